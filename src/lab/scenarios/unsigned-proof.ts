// A proof without a signature, or no proof at all, proves nothing.
import { createHmac, createPublicKey } from 'node:crypto'
import { encode, joinToken, readToken } from '../forge.ts'
import { type Forgery, presentProofs } from '../proof.ts'
import type { Scenario } from '../scenario.ts'

export const scenario: Scenario = {
  id: 'unsigned-proof',
  sentence: 'A token is presented without a proof, or with one whose signature is missing, empty or of zeros.',
  stolen: 'the token, and use of the connection',
  thief: 'no key',
  control: 'the token with a signed proof',
  expected: 'refused',
  demandedBy: ['draft-mw-oauth-tls-session-bound-tokens §3.3, §3.5', 'RFC 8725 §3.1'],
  stoppedAt: ['proof'],
  remedy: 'Require a proof with a valid signature for every token of level proof',
  run(stage) {
    const certificate = createPublicKey(stage.cast.alice.certificate)
    const secret = certificate.export({ type: 'spki', format: 'pem' })
    return presentProofs(stage, {
      'no proof': () => undefined,
      'an empty proof': () => '',
      'a word': () => 'proof',
      'the token itself': ({ token }) => token,
      'a proof without a signature': changing(({ header, claims }) => joinToken(header, claims)),
      'a signature of one octet': changing(({ input }) => `${input}.AA`),
      'a signature of zeros': changing(
        ({ input, signature }) => `${input}.${encode(Buffer.alloc(Buffer.from(signature, 'base64url').length))}`,
      ),
      'alg none, without a signature': changing(({ header, claims }) => joinToken({ ...header, alg: 'none' }, claims)),
      'alg none, with a signature': changing(({ header, claims, signature }) =>
        joinToken({ ...header, alg: 'none' }, claims, signature),
      ),
      'HS256, with the public key as the secret': changing(({ header, claims }) => {
        const input = `${encode({ ...header, alg: 'HS256' })}.${encode(claims)}`
        return `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`
      }),
      'changed claims': changing(({ header, claims, signature }) =>
        joinToken(header, { ...claims, jti: 'x' }, signature),
      ),
      'a truncated signature': changing(({ input, signature }) => `${input}.${signature.slice(0, -4)}`),
    })
  },
}

function changing(change: (proof: ReturnType<typeof readToken>) => string): Forgery {
  return ({ connection, token }) => change(readToken(connection.prove(token)))
}
