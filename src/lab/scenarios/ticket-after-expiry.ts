// A resumed connection carries the verdict of the first handshake along: nobody looks at the certificate again, so a ticket
// can outlive it.
import { attempt } from '../attempt.ts'
import type { Scenario } from '../scenario.ts'
import { issueShortLived, outlive } from '../short-lived.ts'
import { playTicket, stealTicket } from '../ticket.ts'

export const scenario: Scenario = {
  id: 'ticket-after-expiry',
  sentence: 'A TLS connection is resumed after its certificate has expired; a token is used and asked for there.',
  stolen: 'the token, the TLS ticket and its secret, at level proof a proof as well',
  thief: 'nothing',
  control: 'the token while the certificate is valid',
  expected: 'a server that resumes nothing, or trusts nobody on what was resumed',
  demandedBy: ['RFC 5280 §6.1.3', 'level proof', 'level connection'],
  stoppedAt: ['proof', 'connection'],
  remedy: 'Disable TLS session resumption, or compare notAfter of the certificate with the clock in every request',
  async run(stage) {
    const shortLived = issueShortLived(stage)
    const client = await stage.victim(shortLived)
    const { connection, token } = client
    const controls = [await attempt('while the certificate is valid', () => stage.use(connection, token))]
    const ticket = stealTicket(connection)
    const early = await playTicket(stage, client, ticket)
    // Where nothing is resumed in time nothing is to be waited for.
    if (!early.resumed) return { controls, thefts: early.thefts }
    await outlive(stage, shortLived)
    return { controls, thefts: (await playTicket(stage, client, ticket)).thefts }
  },
}
