// Certificates of clients of the corpus, as files, through `tlsbound doctor --certs`, `inspect` and `scan`: each ends in a verdict
// with a reason, in bounded time. The doctor agrees with the handshake, whose verdict corpus-handshake.test.ts verifies. The
// other files of the corpus go through the same commands in the other tests of it.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import type { Checked } from '../../../src/doctor/doctor.ts'
import { buildClients } from '../../helpers/corpus/corpus.ts'
import { findDisagreements, openCourt } from '../../helpers/corpus/court.ts'
import type { ClientEntry } from '../../helpers/corpus/entry.ts'
import type { Answer } from '../../helpers/corpus/judge.ts'
import { defaultFiles, settingsOf, writeFiles } from '../../helpers/corpus/server.ts'

const folder = mkdtempSync(join(tmpdir(), 'tlsbound-corpus-'))
t.teardown(() => rmSync(folder, { recursive: true }))
const certs = join(folder, 'certs')
const [cert, key, ca] = [join(certs, 'client.crt'), join(certs, 'client.key'), join(folder, 'ca.crt')]

/** What the handshake refuses and the doctor does not know, with the reason. */
const unknown: readonly (readonly [names: RegExp, reason: string])[] = [
  [
    /^(?:proof: .*|chain: the key is another one's)$/,
    'what the client signs in the handshake is not in its certificate',
  ],
  [/^constrained: (?!not DER)/, 'which names an authority may certify is left to OpenSSL'],
  [/^extension: (?:Netscape type, for servers|IP addresses that the root does not have)$/, 'these are left to OpenSSL'],
  [/^chain: the root as a client$/, 'the certificate of an authority is taken for that of no client'],
  [/^chain: (?:over 100 KB|120 authorities)$/, 'OpenSSL has bounds on what a client sends'],
  [
    /^chain: (?:self-issued authority with another key, without identifiers|two authorities of one name, without .*|cross-signed by an unknown authority, then ours)$/,
    'of several issuers of one name, OpenSSL decides for one before it verifies a signature',
  ],
  [/^public key: (?:the point at infinity|RSA with )/, 'OpenSSL reads such a key, and fails when it verifies with it'],
]

/** What the handshake accepts and the commands do not read, with the reason. */
const unread: readonly (readonly [names: RegExp, reason: string])[] = [
  [/^octets: outermost length /, 'a PEM block that is not DER on the outside is refused: it may have been changed'],
]

const isAmong = (rows: readonly (readonly [RegExp, string])[], { name }: ClientEntry) =>
  rows.some(([names]) => names.test(name))

t.test('the doctor says of each certificate of a client what the handshake does, and no command fails', async t => {
  const court = openCourt()
  t.teardown(court.close)
  const clients = buildClients()
  const problems: string[] = []
  let silent = 0
  for (const client of clients) {
    rmSync(folder, { recursive: true })
    const { ca: authorities, crl } = client.trust
    const trusted = { 'ca.crt': authorities, ...(crl !== undefined && { 'crl.pem': crl }) }
    writeFiles(folder, { ...defaultFiles(), ...trusted })
    writeFiles(certs, {
      'client.crt': client.files['client.crt'] ?? '',
      'client.key': client.files['client.key'] ?? '',
    })
    const env = settingsOf(folder, { withLists: crl !== undefined })
    const verdict = await court.ask({ env, certs, client: { cert, key, ca }, folder })
    if (!('findings' in verdict)) {
      problems.push(`${client.name}: ${verdict.load}: ${verdict.message}`)
      continue
    }
    if (isAmong(unknown, client)) silent++
    problems.push(...findProblems(client, verdict, trusted).map(problem => `${client.name}: ${problem}`))
  }
  t.same(problems, [])
  t.comment(`certificates of clients tried: ${clients.length}, of which the doctor cannot know ${silent}`)
})

function findProblems(client: ClientEntry, answer: Answer, trusted: Readonly<Record<string, string>>): string[] {
  const problems = findDisagreements(folder, trusted, answer)
  const isAccepted = client.verdict === 'accepted'
  const refusals = answer.findings.filter(isRefusal)
  if (isAccepted && refusals.length > 0 && !isAmong(unread, client))
    problems.push(`accepted, and the doctor says: ${refusals[0]?.found.slice(0, 300)}`)
  if (!isAccepted && refusals.length === 0 && !isAmong(unknown, client))
    problems.push(`${client.verdict}, and the doctor finds nothing`)
  if (!isAccepted && refusals.length > 0 && isAmong(unknown, client))
    problems.push(`the doctor knows it now: ${refusals[0]?.found.slice(0, 300)}`)
  const { inspected } = answer
  if (
    typeof inspected === 'string' ? !inspected.includes(certs) || (isAccepted && !isAmong(unread, client)) : !inspected
  )
    problems.push(`inspect says: ${inspected}`)
  return problems
}

/** Whether the doctor says that a handshake is refused; whose the certificate is, the handshake does not ask. */
function isRefusal({ check, verdict, found }: Checked): boolean {
  if (check === 'authorities') return verdict === 'failure'
  const isAboutOwner = /is registered for no client|: no certificate of .* is its own/.test(found)
  return check === 'clients' && verdict !== 'good' && found.includes(cert) && !isAboutOwner
}
