// A resumed connection has the verdict of its first handshake: the certificate is not checked again, so a ticket can outlive
// it.
import { attempt } from '../attempt.ts'
import type { Scenario } from '../scenario.ts'
import { issueShortLived, outlive } from '../short-lived.ts'
import { playTicket, stealTicket } from '../ticket.ts'

export const scenario: Scenario = {
  id: 'ticket-after-expiry',
  sentence: 'A TLS connection is resumed after its certificate has expired; a token is used and requested there.',
  stolen: 'the token, the TLS ticket and its secret, at level proof also a proof',
  thief: 'nothing',
  control: 'the token while the certificate is valid',
  expected: 'no resumption, or no authentication on resumed connections',
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
    // Without resumption there is no expiry to wait for.
    if (!early.resumed) return { controls, thefts: early.thefts }
    await outlive(stage, shortLived)
    return { controls, thefts: (await playTicket(stage, client, ticket)).thefts }
  },
}
