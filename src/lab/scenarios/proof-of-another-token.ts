// A proof is made for one token: it must not be accepted with another one.
import { presentProofs } from '../proof.ts'
import type { Scenario } from '../scenario.ts'

export const scenario: Scenario = {
  id: 'proof-of-another-token',
  sentence: 'A token is presented with a proof that was made for another token of the same client and connection.',
  stolen: 'the token; the proof was made on the connection for another token',
  thief: 'the connection, but not the key',
  control: 'the token with its own proof',
  expected: 'refused',
  demandedBy: ['draft-mw-oauth-tls-session-bound-tokens §2.3.2, §3.3'],
  stoppedAt: ['proof'],
  remedy: 'Compare ath in the proof with the hash of the presented token',
  run: stage =>
    presentProofs(stage, {
      'the proof of another token': async ({ connection }) => connection.prove(await stage.tokenFor(connection)),
      'the proof of another token, used before': async ({ connection }) => {
        const token = await stage.tokenFor(connection)
        const proof = connection.prove(token)
        await connection.call(stage.resourcePath, { token, proof })
        return proof
      },
      'the proof of an empty token': ({ connection }) => connection.prove(''),
      'the proof of the token without its signature': ({ connection, token }) =>
        connection.prove(token.slice(0, token.lastIndexOf('.'))),
    }),
}
