// A signature must be verified with the key of the connection's certificate, whatever keyid names.
import { generateKeyPairSync } from 'node:crypto'
import { keyOf } from '../forge.ts'
import type { Scenario } from '../scenario.ts'
import { presentSigned, signCall, thumbprintOf } from '../signature.ts'
import { findOther } from '../thief.ts'

export const scenario: Scenario = {
  id: 'signature-by-another-key',
  sentence: 'A request is signed with another key than that of the client certificate of its connection.',
  stolen: 'the token, and use of the connection',
  thief: 'their own keys and certificate, but not the key of the certificate',
  control: 'the same requests, signed with the key of the certificate',
  expected: 'refused',
  demandedBy: ['RFC 9421 §3.2, §7.3.2'],
  stoppedAt: ['certificate', 'proof', 'connection'],
  remedy:
    'Verify the signature with the public key of the client certificate of the connection, and compare keyid with it',
  run(stage) {
    const other = findOther(stage)
    const { privateKey: ec } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const { privateKey: rsa } = generateKeyPairSync('rsa', { modulusLength: 2048 })
    const { privateKey: ed } = generateKeyPairSync('ed25519')
    return presentSigned(stage, {
      'a new key': client => signCall(stage, client, {}, { key: ec }),
      'a new RSA key, with its algorithm': client =>
        signCall(stage, client, {}, { key: rsa, parameters: { alg: 'rsa-pss-sha512' } }),
      'a new Ed25519 key': client => signCall(stage, client, {}, { key: ed }),
      ...(other !== null && {
        'the key of another identity': client => signCall(stage, client, {}, { key: keyOf(other) }),
        'the key and the certificate of another identity': client =>
          signCall(stage, client, {}, { key: keyOf(other), parameters: { keyid: thumbprintOf(other) } }),
      }),
    })
  },
}
