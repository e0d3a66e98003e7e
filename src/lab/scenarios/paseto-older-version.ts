// Older versions have no implicit assertion and other algorithms. A server accepts one version: a token must not choose how it is verified
// (PASETO: Algorithm Lucidity).
import { type Forgery, playForgeries } from '../paseto.ts'
import type { Scenario } from '../scenario.ts'

export const scenario: Scenario = {
  id: 'paseto-older-version',
  sentence: "A PASETO of another version is presented: relabelled, or signed with the issuer's key as v2.public.",
  stolen: 'a token that the issuer signed under an older version',
  thief: 'a registered client, on its own connection',
  control: 'the same claims under the version of the issuer',
  expected: 'refused',
  demandedBy: ['PASETO, Algorithm Lucidity'],
  stoppedAt: ['certificate', 'proof', 'connection'],
  remedy: 'Accept the one version that the issuer uses, and keep no key for another one',
  run: stage => playForgeries(stage, forgeries),
}

const forgeries: Readonly<Record<string, Forgery>> = {
  'v2.public with the same signature': genuine => ({ ...genuine, header: 'v2.public.' }),
  'v3.public with the same signature': genuine => ({ ...genuine, header: 'v3.public.' }),
  'v5.public with the same signature': genuine => ({ ...genuine, header: 'v5.public.' }),
  'signed as v2.public': ({ sign }) => sign({ header: 'v2.public.', implicit: null }),
  'signed as v2.public, sent as v4.public': ({ sign }) => ({
    ...sign({ header: 'v2.public.', implicit: null }),
    header: 'v4.public.',
  }),
  'signed as v3.public': ({ sign }) => sign({ header: 'v3.public.' }),
}
