// Authorities and revocation lists of the corpus, loaded by a running server process. Start, reload and doctor agree with
// each other and with the handshakes of clients. Each refusal has a reason.
import { X509Certificate } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { parseCertificates } from '../../../src/files/pem.ts'
import { buildTrusts } from '../../helpers/corpus/corpus.ts'
import { findProblems, openCourt, type Verdict } from '../../helpers/corpus/court.ts'
import type { ClientEntry, TrustEntry } from '../../helpers/corpus/entry.ts'
import { defaultFiles, settingsOf, startCorpusServer, writeFiles } from '../../helpers/corpus/server.ts'

/** Of the whole process; an idle server uses a fifth of it. */
const mostMegabytes = 600

const folder = mkdtempSync(join(tmpdir(), 'tlsbound-corpus-'))
t.teardown(() => rmSync(folder, { recursive: true }))
const court = openCourt()
t.teardown(court.close)

t.test('applies authorities and lists that a running server has loaded, or refuses to load them', async t => {
  const trusts = buildTrusts()
  const defaults = defaultFiles()
  const problems: string[] = []
  for (const withLists of [false, true]) {
    const server = await startCorpusServer(t, { withLists })
    for (const entry of trusts) {
      const { name, kind, files, served, refused } = entry
      if (withLists !== (kind === 'revocation lists')) continue
      writeFiles(folder, { ...defaults, ...files })
      const start = await court.ask({ env: settingsOf(folder, { withLists }), folder })
      const { load, log } = await server.load(files)
      problems.push(...findProblems(folder, entry, start))
      // A reload refuses files that would lock out all clients, and keeps the current ones; a start cannot.
      const isForNow = /no client could be accepted: .* (?:expired on|is not valid before) /.test(log)
      if (start.load !== load && !(start.load === 'loaded' && isForNow))
        problems.push(`${name}: ${start.load} at the start, ${load} at a reload: ${log}`)
      const failures = failuresOf(start)
      if (load === 'refused' && failures.length === 0) problems.push(`${name}: refused, but the doctor reports nothing`)
      if (load === 'refused') continue
      const verdicts = new Map<ClientEntry, string>()
      for (const client of [...served, ...refused]) verdicts.set(client, (await server.present(client)).verdict)
      for (const client of served)
        if (verdicts.get(client) !== 'accepted')
          problems.push(`${name}: ${client.name} is not accepted, but ${verdicts.get(client)}`)
      for (const client of refused)
        if (verdicts.get(client) === 'accepted') problems.push(`${name}: ${client.name} is accepted`)
      problems.push(...findContradictions(entry, verdicts, failures).map(text => `${name}: ${text}`))
    }
    t.ok((await server.peakMegabytes()) < mostMegabytes)
  }
  t.same(problems, [])
  t.comment(`files of authorities and lists: ${trusts.length}`)
})

/** The failures that the doctor reports for authorities and lists. */
function failuresOf(start: Verdict): string[] {
  const findings = 'findings' in start ? start.findings : []
  return findings
    .filter(({ check, verdict }) => check === 'authorities' && verdict === 'failure')
    .map(({ found }) => found)
}

/** Entries for which the doctor reports less than the handshake, with the reason. */
const milder: Readonly<Record<string, string>> = {
  'authorities: with one between others: ended': 'an authority that has ended, beside others, is only a warning',
}

/** Returns where doctor and handshakes disagree about an authority. It fails if and only if all of its clients are rejected. */
function findContradictions(
  { name, files }: TrustEntry,
  verdicts: ReadonlyMap<ClientEntry, string>,
  failures: readonly string[],
): string[] {
  return parseCertificates(files['ca.crt'] ?? '', 'ca.crt').flatMap(({ x509, line }) => {
    // A client that is revoked itself proves nothing about its authority.
    const own = [...verdicts].filter(([client, verdict]) => verdict !== 'certificate_revoked' && isIssuer(x509, client))
    if (own.length === 0) return []
    const isWorking = own.some(([, verdict]) => verdict === 'accepted')
    const isFailure = failures.some(found => found.includes(`ca.crt, line ${line}: all clients of the authority`))
    if (isWorking !== isFailure || (!isWorking && name in milder)) return []
    const who = own.map(([client, verdict]) => `${client.name} ${verdict}`).join(', ')
    return [`line ${line}: the doctor reports ${isFailure ? 'that all clients are rejected' : 'nothing'}: ${who}`]
  })
}

/** By name, and by signature if its key can be parsed. */
function isIssuer(authority: X509Certificate, { chain }: ClientEntry): boolean {
  const leaf = new X509Certificate(chain[0] as Buffer)
  if (leaf.issuer !== authority.subject) return false
  try {
    return leaf.verify(authority.publicKey)
  } catch {
    return true
  }
}
