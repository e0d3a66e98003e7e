// The purpose local is encrypted with a symmetric key. A server that accepts it for a public key lets everybody issue tokens (PASETO:
// Payload Processing, Type Safety with Cryptographic Keys).
import { type Forgery, playForgeries } from '../paseto.ts'
import type { Scenario } from '../scenario.ts'

export const scenario: Scenario = {
  id: 'paseto-local',
  sentence: 'A token of purpose public is presented as one of purpose local.',
  stolen: "nothing: the claims are the client's own, so only the purpose is tested",
  thief: 'a registered client, on its own connection',
  control: 'the same token with its own purpose',
  expected: 'refused',
  demandedBy: ['PASETO, Algorithm Lucidity', 'PASETO, Payload Processing'],
  stoppedAt: ['certificate', 'proof', 'connection'],
  remedy: 'Compare version and purpose with the one that you expect, before anything else of the token is read',
  run: stage => playForgeries(stage, forgeries),
}

const forgeries: Readonly<Record<string, Forgery>> = {
  'v4.local with the same signature': genuine => ({ ...genuine, header: 'v4.local.' }),
  'v4.local without a footer': genuine => ({ ...genuine, header: 'v4.local.', footer: undefined }),
  'v3.local with the same signature': genuine => ({ ...genuine, header: 'v3.local.' }),
  'v4.local with a nonce before the claims': genuine => ({
    ...genuine,
    header: 'v4.local.',
    message: Buffer.concat([Buffer.alloc(32, 1), genuine.message]),
  }),
  'V4.LOCAL': genuine => ({ ...genuine, header: 'V4.LOCAL.' }),
}
