// The corpus in handshakes with a real server in a process of its own: client certificates, and the files of certificates and
// keys that it loads while it runs. Each ends in a verdict with a reason; the start, the reload and the doctor agree; and what
// was loaded is what counts from then on. Authorities and lists: corpus-trust.test.ts.
import { X509Certificate } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { details } from '../../../src/core/details.ts'
import { buildAuthority } from '../../helpers/corpus/certificate.ts'
import { buildClients, buildServerFiles } from '../../helpers/corpus/corpus.ts'
import { findProblems, openCourt } from '../../helpers/corpus/court.ts'
import type { ClientEntry, ClientVerdict } from '../../helpers/corpus/entry.ts'
import {
  type CorpusServer,
  defaultFiles,
  settingsOf,
  startCorpusServer,
  writeFiles,
} from '../../helpers/corpus/server.ts'
import { leaf, present } from '../../helpers/corpus/world.ts'

/** Milliseconds within which a verdict is there, on the busiest machine. */
const limit = 30_000

/** Of the whole process; a server that serves nobody has a fifth of it. */
const mostMegabytes = 600

const anyone = present('anyone', { chain: [leaf()] }, 'accepted')

const folder = mkdtempSync(join(tmpdir(), 'tlsbound-corpus-'))
t.teardown(() => rmSync(folder, { recursive: true }))
const court = openCourt()
t.teardown(court.close)

t.test('each client certificate ends in the verdict that it should, with a reason and its detail', async t => {
  const clients = buildClients()
  const server = await startCorpusServer(t)
  const problems: string[] = []
  let trust: ClientEntry['trust'] | undefined
  for (const client of clients) {
    if (client.trust !== trust) {
      const { ca, crl } = client.trust
      // A reload with which nobody could be accepted is refused, so that somebody always can.
      const files = { 'ca.crt': ca + spare.pem, ...(crl !== undefined && { 'crl.pem': crl }) }
      const { load, log } = await server.load(files)
      if (load !== 'loaded') problems.push(`the authorities of ${client.name} are refused: ${log}`)
      trust = client.trust
    }
    problems.push(...(await findClientProblems(server, client)))
  }
  t.same(problems, [])
  t.ok((await server.peakMegabytes()) < mostMegabytes)
  t.comment(`client certificates tried: ${clients.length}`)
})

const spare = buildAuthority('spare', { key: 'third' })

/** What is wrong with the verdict on a client certificate; nothing, if it is right. */
async function findClientProblems(server: CorpusServer, client: ClientEntry): Promise<string[]> {
  const start = performance.now()
  const { verdict, event, token } = await server.present(client)
  const problems: string[] = []
  // Whether OpenSSL can read a key that is none depends on where it looks at it first: refused in either case.
  const isRefused = client.verdict === 'handshake fails' && verdict === 'certificate_untrusted'
  if (verdict !== client.verdict && !isRefused) problems.push(`${verdict}, not ${client.verdict}`)
  if (performance.now() - start > limit) problems.push('takes too long')
  if (isReason(verdict)) {
    if (event?.reason !== verdict) problems.push(`its event says ${event?.reason}`)
    if (!Object.keys(details[verdict]).includes(event?.detail)) problems.push(`${event?.detail} is no detail`)
  } else if (verdict === 'accepted' && token !== 401) {
    const { subject } = new X509Certificate(client.chain[0] as Buffer)
    if (subject !== 'CN=alice' || token !== 200) problems.push(`gets a token of alice's as ${subject}: status ${token}`)
  }
  return problems.map(problem => `${client.name}: ${problem}`)
}

/** The reason of a refusal. */
const isReason = (verdict: string): verdict is Exclude<ClientVerdict, 'accepted' | 'handshake fails'> =>
  verdict in details

t.test('certificates and keys that a running server has loaded are those that it sends', async t => {
  const entries = buildServerFiles()
  const server = await startCorpusServer(t)
  const defaults = defaultFiles()
  const problems: string[] = []
  for (const entry of entries) {
    const { name, files, sends } = entry
    writeFiles(folder, { ...defaults, ...files })
    const start = await court.ask({ env: settingsOf(folder), folder })
    problems.push(...findProblems(folder, entry, start))
    const { load, log } = await server.load(files)
    if (
      start.load !== load &&
      !(start.load === 'loaded' && /valid from .* which does not include the current time/.test(log))
    )
      problems.push(`${name}: ${start.load} at the start, ${load} at a reload: ${log}`)
    if (load === 'refused') continue
    try {
      const connection = await server.connect(anyone)
      const verdict = await server.ask(connection)
      if (verdict !== 'accepted') problems.push(`${name}: ${verdict}`)
      // OpenSSL may put the root behind them, which it finds among the authorities for clients.
      const sent = connection.serverChain.slice(0, sends?.length ?? 0)
      if (sends?.every((der, at) => sent[at]?.equals(der)) === false) problems.push(`${name}: sends something else`)
      connection.close()
    } catch (error) {
      problems.push(`${name}: loaded, and every handshake fails: ${(error as Error).message}`)
    }
  }
  t.same(problems, [])
  t.comment(`certificates and keys of a server tried: ${entries.length}`)
})
