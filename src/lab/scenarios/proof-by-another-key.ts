// A proof must be verified with the key of the connection's certificate, not with a key that the proof contains.
import { createPublicKey, generateKeyPairSync, type KeyObject, X509Certificate } from 'node:crypto'
import { hashToken } from '../../core/binding-proof.ts'
import { readKeyingMaterial } from '../../core/channel-binding.ts'
import { readCertificate } from '../../core/presenter.ts'
import type { Identity } from '../cast.ts'
import { type Json, keyOf, signToken } from '../forge.ts'
import { type Forgery, presentProofs } from '../proof.ts'
import type { Scenario } from '../scenario.ts'
import { findOther } from '../thief.ts'

export const scenario: Scenario = {
  id: 'proof-by-another-key',
  sentence: 'A token is presented with a proof with valid claims, signed with another key.',
  stolen: 'the token, and use of the connection',
  thief: 'their own keys, but not the key of the certificate',
  control: 'the same claims, signed with the key of the certificate',
  expected: 'refused',
  demandedBy: ['draft-mw-oauth-tls-session-bound-tokens §2.3.1, §3.3', 'RFC 8725 §3.10'],
  stoppedAt: ['proof'],
  remedy: 'Verify the signature of the proof with the public key of the client certificate of the connection',
  run(stage) {
    const { alice } = stage.cast
    const other = findOther(stage)
    const own = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
    const jwk = createPublicKey(own).export({ format: 'jwk' })
    const x5t = thumbprintOf(alice)
    return presentProofs(stage, {
      'a new key': sign(own, { 'x5t#S256': x5t }),
      'a new key, contained in the header': sign(own, { 'x5t#S256': x5t, jwk }),
      'a new key, without x5t#S256': sign(own, {}),
      ...(other !== null && {
        'the key of another identity': sign(keyOf(other), { 'x5t#S256': x5t }),
        'the key and the certificate of another identity': sign(keyOf(other), { 'x5t#S256': thumbprintOf(other) }),
        'the certificate chain of another identity': sign(keyOf(other), { 'x5t#S256': x5t, x5c: chainOf(other) }),
      }),
    })
  },
}

function sign(key: KeyObject, header: Json): Forgery {
  return ({ connection, token }) => {
    const ekm = readKeyingMaterial(connection.socket) ?? ''
    const claims = { ath: hashToken(token), ekm, iat: Math.floor(Date.now() / 1000) }
    return signToken({ typ: 'tls-binding-proof+jwt', ...header }, claims, key)
  }
}

function thumbprintOf({ certificate }: Identity): string {
  return readCertificate(new X509Certificate(certificate)).thumbprint
}

function chainOf({ certificate }: Identity): string[] {
  return [new X509Certificate(certificate).raw.toString('base64')]
}
