// A proof is valid only close to its iat: a proof for another time may have been signed in advance, and stolen.
import { presentProofs } from '../proof.ts'
import type { Scenario } from '../scenario.ts'
import type { Client } from '../thief.ts'

export const scenario: Scenario = {
  id: 'stale-proof',
  sentence: 'A token is presented with a proof whose iat is minutes in the past or in the future.',
  stolen: 'the token, and a proof that was signed for another time',
  thief: 'the connection, but not the key',
  control: 'the token with a current proof',
  expected: 'refused',
  demandedBy: ['draft-mw-oauth-tls-session-bound-tokens §2.3.2, §3.3'],
  stoppedAt: ['proof'],
  remedy: 'Compare iat in the proof with the clock, and accept only a few seconds',
  run: stage =>
    presentProofs(stage, {
      'ten minutes old': from(-600),
      'a day old': from(-86_400),
      'from 1970': ({ connection, token }) => connection.prove(token, { iat: 0 }),
      'ten minutes ahead': from(600),
      'a year ahead': from(31_536_000),
    }),
}

function from(seconds: number): (client: Client) => string {
  return ({ connection, token }) => connection.prove(token, { iat: Math.floor(Date.now() / 1000) + seconds })
}
