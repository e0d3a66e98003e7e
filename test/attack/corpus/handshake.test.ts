// The corpus in handshakes with a real server process: client certificates, and files of certificates and keys that it loads
// while it runs. Each gets a verdict with a reason. Start, reload and doctor agree, and loaded files take effect. Authorities
// and lists: trust.test.ts.
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

/** Milliseconds for a verdict, on a very busy machine. */
const limit = 30_000

/** Of the whole process; an idle server uses a fifth of it. */
const mostMegabytes = 600

const anyone = present('anyone', { chain: [leaf()] }, 'accepted')

const folder = mkdtempSync(join(tmpdir(), 'tlsbound-corpus-'))
t.teardown(() => rmSync(folder, { recursive: true }))
const court = openCourt()
t.teardown(court.close)

t.test('decides each client certificate as expected, with a reason and its detail', async t => {
  const clients = buildClients()
  const server = await startCorpusServer(t)
  const problems: string[] = []
  let trust: ClientEntry['trust'] | undefined
  for (const client of clients) {
    if (client.trust !== trust) {
      const { ca, crl } = client.trust
      // A reload that would lock out all clients is refused, so one authority is always present.
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

/** Returns what is wrong with the verdict on a client certificate; nothing if it is right. */
async function findClientProblems(server: CorpusServer, client: ClientEntry): Promise<string[]> {
  const start = performance.now()
  const { verdict, event, token } = await server.present(client)
  const problems: string[] = []
  // Where OpenSSL first parses an invalid key decides whether the handshake fails; it is rejected in either case.
  const isRefused = client.verdict === 'handshake fails' && verdict === 'certificate_untrusted'
  // A malformed extension leaves an error in OpenSSL's queue. Node may report it as an error of the connection, which then ends.
  const isEnded = leavesError.has(client.name) && verdict === 'handshake fails'
  if (verdict !== client.verdict && !isRefused && !isEnded) problems.push(`${verdict}, not ${client.verdict}`)
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

/** Certificates with an extended key usage that is not DER, or not a list of object identifiers. */
const leavesError = new Set(['purpose: not DER', 'purpose: a list of texts', 'purpose: clientAuth and a broken one'])

/** The reason of a refusal. */
const isReason = (verdict: string): verdict is Exclude<ClientVerdict, 'accepted' | 'handshake fails'> =>
  verdict in details

t.test('sends the certificates and keys that a running server has loaded', async t => {
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
      // OpenSSL may append the root, which it finds among the authorities for clients.
      const sent = connection.serverChain.slice(0, sends?.length ?? 0)
      if (sends?.every((der, at) => sent[at]?.equals(der)) === false) problems.push(`${name}: sends other certificates`)
      connection.close()
    } catch (error) {
      problems.push(`${name}: loaded, but every handshake fails: ${(error as Error).message}`)
    }
  }
  t.same(problems, [])
  t.comment(`certificates and keys of a server: ${entries.length}`)
})
