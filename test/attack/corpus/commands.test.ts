// Client certificates of the corpus, as files, through `tlsbound doctor --certs`, `inspect` and `scan`. Each gets a verdict
// with a reason in bounded time. The doctor agrees with the handshake, which handshake.test.ts tests. The other files of the
// corpus are tested in the files beside this one.
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

/** Certificates that the handshake rejects and the doctor accepts, with the reason. */
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
    'OpenSSL selects one of several issuers of one name before it verifies a signature',
  ],
  [/^public key: (?:the point at infinity|RSA with )/, 'OpenSSL loads such a key, and fails when it verifies with it'],
]

/** Certificates that the handshake accepts and the commands do not, with the reason. */
const unread: readonly (readonly [names: RegExp, reason: string])[] = [
  [/^octets: outermost length /, 'a PEM block that is not DER on the outside is refused: it may have been changed'],
]

const isAmong = (rows: readonly (readonly [RegExp, string])[], { name }: ClientEntry) =>
  rows.some(([names]) => names.test(name))

t.test('reports each client certificate as the handshake decides, and no command fails', async t => {
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
  t.comment(`client certificates: ${clients.length}, of which the doctor cannot check ${silent}`)
})

function findProblems(client: ClientEntry, answer: Answer, trusted: Readonly<Record<string, string>>): string[] {
  const problems = findDisagreements(folder, trusted, answer)
  const isAccepted = client.verdict === 'accepted'
  const refusals = answer.findings.filter(isRefusal)
  if (isAccepted && refusals.length > 0 && !isAmong(unread, client))
    problems.push(`accepted, but the doctor reports: ${refusals[0]?.found.slice(0, 300)}`)
  if (!isAccepted && refusals.length === 0 && !isAmong(unknown, client))
    problems.push(`${client.verdict}, but the doctor reports nothing`)
  if (!isAccepted && refusals.length > 0 && isAmong(unknown, client))
    problems.push(`the doctor now reports: ${refusals[0]?.found.slice(0, 300)}`)
  const { inspected } = answer
  if (
    typeof inspected === 'string' ? !inspected.includes(certs) || (isAccepted && !isAmong(unread, client)) : !inspected
  )
    problems.push(`inspect reports: ${inspected}`)
  return problems
}

/** Whether the doctor reports that a handshake is refused. The handshake does not check which client a certificate names. */
function isRefusal({ check, verdict, found }: Checked): boolean {
  if (check === 'authorities') return verdict === 'failure'
  const isAboutOwner = /matches no registered client|: no certificate in .* matches/.test(found)
  return check === 'clients' && verdict !== 'good' && found.includes(cert) && !isAboutOwner
}
