// A key belongs to one version and purpose (PASETO: Algorithm Lucidity). A server that takes any key of its key set for a PASETO accepts
// what was signed for something else.
import { buildFooter } from '../../core/paseto.ts'
import { type Forgery, playForgeries } from '../paseto.ts'
import type { Scenario } from '../scenario.ts'

export const scenario: Scenario = {
  id: 'paseto-key-of-another-purpose',
  sentence: "A PASETO is signed with the issuer's key for JWTs, and names that key, or the one for PASETO.",
  stolen: "the issuer's key for JWTs, or the use of it",
  thief: 'a registered client, on its own connection',
  control: 'the same token, signed with the key for PASETO',
  expected: 'refused',
  demandedBy: ['PASETO, Algorithm Lucidity', 'RFC 8725 §3.1'],
  stoppedAt: ['certificate', 'proof', 'connection'],
  remedy: 'Store for each key the one version and purpose that it is for, and find keys by both',
  run: stage => playForgeries(stage, forgeries),
}

const forgeries: Readonly<Record<string, Forgery>> = {
  'the key for JWTs with its own id': ({ sign }) => sign({ key: 'jwt' }),
  'the key for JWTs with the id of the other': ({ sign, footer }) => sign({ key: 'jwt', footer }),
  'the key for JWTs without a footer': ({ sign }) => sign({ key: 'jwt', footer: undefined }),
  'the key for JWTs under a made-up id': ({ sign }) =>
    sign({ key: 'jwt', footer: buildFooter(`k4.pid.${'A'.repeat(44)}`) }),
}
