// The corpus in handshakes with a real server in a process of its own: client certificates, and the files of authorities,
// lists, certificates and keys that it loads while it runs. Each ends in a verdict with a reason; what was loaded is what
// counts from then on; and what the handshake says of a client, the live connection says too.
import { X509Certificate } from 'node:crypto'
import t from 'tap'
import { details } from '../../src/core/details.ts'
import { buildClients } from '../helpers/corpus/corpus.ts'
import type { ClientEntry, ClientVerdict } from '../helpers/corpus/entry.ts'
import { startCorpusServer } from '../helpers/corpus/server.ts'

/** Seconds within which a verdict is there, on the busiest machine. */
const limit = 30

/** Of the whole process; a server that serves nobody has a fifth of it. */
const mostMegabytes = 600

t.test('each client certificate ends in the verdict that it should, with a reason and its detail', async t => {
  const clients = buildClients()
  const server = await startCorpusServer(t)
  let trust: ClientEntry['trust'] | undefined
  for (const client of clients) {
    if (client.trust !== trust) {
      const { ca, crl } = client.trust
      const { load, log } = await server.load({ 'ca.crt': ca, ...(crl !== undefined && { 'crl.pem': crl }) })
      if (load !== 'loaded') t.fail(`the authorities of ${client.name} are refused: ${log}`)
      trust = client.trust
    }
    const start = performance.now()
    const { verdict, event, token } = await server.present(client)
    t.equal(verdict, client.verdict, client.name)
    t.ok(performance.now() - start < limit * 1000, `${client.name}: in time`)
    if (isReason(verdict)) {
      const known = Object.keys(details[verdict])
      t.match(event, { event: 'client.refused', outcome: 'refused', reason: verdict, status: 401 }, client.name)
      t.ok(known.includes(event.detail), `${client.name}: ${event.detail} is a detail of ${verdict}`)
    } else if (verdict === 'accepted') {
      const isAlice = new X509Certificate(client.chain[0] as Buffer).subject === 'CN=alice'
      if (token !== 401) t.ok(isAlice && token === 200, `${client.name}: gets a token of alice's, status ${token}`)
    }
  }
  t.ok(clients.length >= 200)
  t.comment(`client certificates tried: ${clients.length}`)
  t.ok((await server.peakMegabytes()) < mostMegabytes)
})

/** The reason of a refusal. */
const isReason = (verdict: string): verdict is Exclude<ClientVerdict, 'accepted' | 'handshake fails'> =>
  verdict in details
