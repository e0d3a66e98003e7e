// The corpus in handshakes with a real server in a process of its own: client certificates, and the files of authorities,
// lists, certificates and keys that it loads while it runs. Each ends in a verdict with a reason; what was loaded is what
// counts from then on; and what the handshake says of a client, the live connection says too.
import { X509Certificate } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { details } from '../../src/core/details.ts'
import { buildAuthority } from '../helpers/corpus/certificate.ts'
import { buildClients, buildServerFiles, buildTrusts } from '../helpers/corpus/corpus.ts'
import { openCourt } from '../helpers/corpus/court.ts'
import type { ClientEntry, ClientVerdict } from '../helpers/corpus/entry.ts'
import { defaultFiles, settingsOf, startCorpusServer, writeFiles } from '../helpers/corpus/server.ts'
import { leaf, present } from '../helpers/corpus/world.ts'

/** Seconds within which a verdict is there, on the busiest machine. */
const limit = 30

/** Of the whole process; a server that serves nobody has a fifth of it. */
const mostMegabytes = 600

const spare = buildAuthority('spare', { key: 'third' })

const anyone = present('anyone', { chain: [leaf()] }, 'accepted')

t.test('each client certificate ends in the verdict that it should, with a reason and its detail', async t => {
  const clients = buildClients()
  const server = await startCorpusServer(t)
  let trust: ClientEntry['trust'] | undefined
  for (const client of clients) {
    if (client.trust !== trust) {
      const { ca, crl } = client.trust
      // A reload with which nobody could be accepted is refused, so that somebody always can.
      const { load, log } = await server.load({
        'ca.crt': ca + spare.pem,
        ...(crl !== undefined && { 'crl.pem': crl }),
      })
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

t.test('authorities and lists that a running server has loaded decide as they say, or were refused', async t => {
  const trusts = buildTrusts()
  const court = openCourt()
  t.teardown(court.close)
  const folder = mkdtempSync(join(tmpdir(), 'tlsbound-corpus-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const defaults = defaultFiles()
  for (const withLists of [false, true]) {
    const server = await startCorpusServer(t, { withLists })
    for (const { name, kind, files, load: expected, served, refused } of trusts) {
      if (withLists !== (kind === 'revocation lists')) continue
      writeFiles(folder, { ...defaults, ...files })
      const start = await court.ask({ env: settingsOf(folder, { withLists }) })
      const { load, log } = await server.load(files)
      if (expected !== undefined) t.equal(load, expected, `${name}: ${log}`)
      // A reload keeps what is in use where the new files would lock everybody out; a start has nothing to keep.
      if (start.load !== load)
        t.match(
          { start: start.load, load, log },
          { start: 'loaded', load: 'refused', log: /no client could be accepted/ },
          name,
        )
      if (load === 'refused') continue
      for (const client of served)
        t.match(await server.present(client), { verdict: 'accepted' }, `${name}: ${client.name}`)
      for (const client of refused) {
        const { verdict } = await server.present(client)
        t.not(verdict, 'accepted', `${name}: ${client.name}`)
      }
    }
    t.ok((await server.peakMegabytes()) < mostMegabytes)
  }
  t.comment(`files of authorities and lists tried: ${trusts.length}`)
})

t.test('certificates and keys that a running server has loaded are those that it sends', async t => {
  const entries = buildServerFiles()
  const server = await startCorpusServer(t)
  for (const { name, files, load: expected, sends } of entries) {
    const { load, log } = await server.load(files)
    if (expected !== undefined) t.equal(load, expected, `${name}: ${log}`)
    if (load === 'refused') continue
    try {
      const connection = await server.connect(anyone)
      t.equal(await server.ask(connection), 'accepted', name)
      // OpenSSL may put the root behind them, which it finds among the authorities for clients.
      const sent = connection.serverChain.slice(0, sends?.length ?? 0)
      if (sends !== undefined) t.same(sent, sends, `${name}: sends what the file says`)
      connection.close()
    } catch (error) {
      t.fail(`${name}: loaded, and every handshake fails: ${(error as Error).message}`)
    }
  }
  t.comment(`certificates and keys of a server tried: ${entries.length}`)
})

/** The reason of a refusal. */
const isReason = (verdict: string): verdict is Exclude<ClientVerdict, 'accepted' | 'handshake fails'> =>
  verdict in details
