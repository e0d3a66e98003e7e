// In TLS, anyone who can resume a connection counts as the client that opened it: the certificate comes from the
// ticket, and its key is not needed. A token that is bound only to the certificate is then valid.
import { attempt } from '../attempt.ts'
import type { Scenario } from '../scenario.ts'
import { playTicket, stealTicket } from '../ticket.ts'

export const scenario: Scenario = {
  id: 'stolen-ticket',
  sentence:
    'A TLS connection is resumed with a stolen ticket, without any private key; a token is used and requested there.',
  stolen: 'the token, the TLS ticket and its secret, at level proof also a proof',
  thief: 'nothing',
  control: 'the token on the connection that the ticket was issued on',
  expected: 'no resumption, or no authentication on resumed connections',
  demandedBy: ['level proof', 'level connection'],
  stoppedAt: ['proof', 'connection'],
  remedy: 'Disable TLS session resumption, with tickets and with session ids, on listeners that accept bound tokens',
  async run(stage) {
    const client = await stage.victim()
    const { connection, token } = client
    const control = () => attempt('on its own connection', () => stage.use(connection, token))
    const controls = [await control()]
    const { thefts } = await playTicket(stage, client, stealTicket(connection))
    return { controls: [...controls, await control()], thefts }
  },
}
