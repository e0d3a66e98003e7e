// Whoever can resume a connection is, for TLS, the client that opened it: the certificate comes out of the ticket, nobody
// asks for its key. A token that is bound to the certificate alone goes with it.
import { attempt } from '../attempt.ts'
import type { Scenario } from '../scenario.ts'
import { playTicket, stealTicket } from '../ticket.ts'

export const scenario: Scenario = {
  id: 'stolen-ticket',
  sentence:
    'A TLS connection is resumed with a stolen ticket, without any private key; a token is used and asked for there.',
  stolen: 'the token, the TLS ticket and its secret, at level proof a proof as well',
  thief: 'nothing',
  control: 'the token on the connection that the ticket was given on',
  expected: 'a server that resumes nothing, or trusts nobody on what was resumed',
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
