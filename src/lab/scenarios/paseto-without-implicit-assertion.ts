// What issuer and verifier know without sending it must match: a token of another purpose or issuer must not verify (PASETO: Version4,
// Implicit Assertions).
import { type Forgery, playForgeries } from '../paseto.ts'
import type { Scenario } from '../scenario.ts'

export const scenario: Scenario = {
  id: 'paseto-without-implicit-assertion',
  sentence: "A PASETO that the issuer's key signed has no implicit assertion, or that of another purpose or issuer.",
  stolen: 'a token that the issuer signed for something else',
  thief: 'a registered client, on its own connection',
  control: 'the same claims, signed with the implicit assertion of an access token',
  expected: 'refused',
  demandedBy: ['PASETO v4, Implicit Assertions', 'RFC 8725 §3.11, §3.12'],
  stoppedAt: ['certificate', 'proof', 'connection'],
  remedy: 'Verify with the implicit assertion of your own issuer and purpose, never with one from the token or without',
  run: stage => playForgeries(stage, forgeries),
}

const forgeries: Readonly<Record<string, Forgery>> = {
  'no implicit assertion': ({ sign }) => sign({ implicit: '' }),
  'that of another purpose': ({ sign, issuer }) =>
    sign({ implicit: JSON.stringify({ iss: issuer, purpose: 'state' }) }),
  'that of another issuer': ({ sign }) =>
    sign({ implicit: JSON.stringify({ iss: 'https://other.example', purpose: 'access token' }) }),
  'the issuer alone': ({ sign, issuer }) => sign({ implicit: issuer }),
}
