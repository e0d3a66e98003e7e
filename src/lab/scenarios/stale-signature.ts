// A signature is valid for a minute: one that was made in advance, or long ago, is refused.
import type { Scenario } from '../scenario.ts'
import { presentSigned, signCall } from '../signature.ts'

export const scenario: Scenario = {
  id: 'stale-signature',
  sentence: 'A request is sent with a signature of another time, or one that never ends.',
  stolen: 'a signed request that was not sent, and use of the connection',
  thief: 'the connection, but not the key',
  control: 'signed requests of now',
  expected: 'refused',
  demandedBy: ['RFC 9421 §2.3, §7.2.2'],
  stoppedAt: ['certificate', 'proof', 'connection'],
  remedy: 'Require created and expires, at most 60 seconds apart, and refuse a signature outside of them',
  run(stage) {
    const now = Math.floor(Date.now() / 1000)
    const at = (created: number, expires: number) => ({ parameters: { created, expires } })
    return presentSigned(stage, {
      'of ten minutes ago': client => signCall(stage, client, {}, at(now - 600, now - 540)),
      'of the future': client => signCall(stage, client, {}, at(now + 600, now + 660)),
      'of now, for a day': client => signCall(stage, client, {}, at(now, now + 86_400)),
      'of ten minutes ago, for an hour': client => signCall(stage, client, {}, at(now - 600, now + 3000)),
    })
  },
}
