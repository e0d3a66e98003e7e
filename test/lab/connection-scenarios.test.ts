// The scenarios about connections, certificates and TLS: each catches a server with its fault, and names the reason if it
// cannot run. matrix.test.ts runs them against tlsbound. CB26, CB27, CB29, TS08, TS09, TS14, PK01.
import { hash } from 'node:crypto'
import type { Http2SecureServer } from 'node:http2'
import type { TLSSocket } from 'node:tls'
import t from 'tap'
import { generateTokenKey } from '../../src/keys/token-keys.ts'
import { scenarios as catalog } from '../../src/lab/catalog.ts'
import { describeSetting, type Matrix, runMatrix } from '../../src/lab/matrix.ts'
import { readProfile } from '../../src/lab/profile.ts'
import { makeDemoPki } from '../../src/pki/demo.ts'
import { startTestServer, type TestServer } from '../../src/testing/server.ts'
import { connectionOf } from '../../src/tls/connection.ts'
import { startRelay } from '../helpers/client/relay.ts'
import { castOf, playLab } from '../helpers/lab/lab.ts'
import { type FaultName, startBrokenServer } from '../helpers/server/broken-server.ts'

t.setTimeout(240_000) // many connections, and Python, which is slow to start on a busy machine

const find = (...wanted: readonly string[]) => catalog.filter(({ id }) => wanted.includes(id))
const env = { TLSBOUND_TLS_MIN_VERSION: 'TLSv1.2' }
const everything = { tls: ['TLSv1.3', 'TLSv1.2'], http: ['http/1.1', 'h2'] } as const

/** Runs one scenario against a server with faults, and returns the settings in which the scenario did not fail. */
async function findSurvivors(faults: readonly FaultName[], id: string, matrix: Parameters<typeof playLab>[2]) {
  const server = await startBrokenServer(...faults)
  try {
    const runs = await playLab(server, find(id), matrix)
    return runs
      .map(run => ({ ...run, ...run.findings[0] }))
      .filter(({ outcome, evidence }) => outcome !== 'failed' || !evidence?.startsWith('accepted: '))
      .map(run => `${describeSetting(run)}: ${run.outcome}, ${run.evidence}`)
  } finally {
    await server.close()
  }
}

/** Levels that bind a token to the certificate but not to the connection. */
const unbound = { levels: ['certificate', 'proof'] } as const
const bound = { levels: ['proof', 'connection'] } as const
const older = { tls: ['TLSv1.2'] } as const
const caught: readonly (readonly [string, readonly FaultName[], Parameters<typeof playLab>[2]])[] = [
  ['same-subject', ['comparesSubjects'], unbound],
  ['renewed-certificate', ['comparesKeys'], unbound],
  ['expired-certificate', ['ignoresExpiry'], everything],
  ['stolen-ticket', ['resumes'], { ...everything, ...bound }],
  ['ticket-after-expiry', ['resumes', 'ignoresExpiry'], { ...everything, ...bound }],
  ['downgrade', ['issuesWeakTokens'], { levels: ['connection'] }],
  ['downgrade', ['servesWithoutCertificate'], {}],
  ['relay', ['ignoresConfirmation'], { http: ['http/1.1', 'h2'] }],
  ['relay', ['acceptsProofsOfOtherConnections'], { levels: ['proof'] }],
  ['many-connections', ['remembersVerdicts'], { http: ['http/1.1', 'h2'] }],
  ['mixed-tokens', ['remembersVerdicts'], { http: ['http/1.1', 'h2'] }],
  ['same-port', ['knowsConnectionsByAddress'], everything],
  ['no-extended-master-secret', ['bindsWithoutExtendedMasterSecret'], { ...older, ...bound }],
  ['renegotiation', ['renegotiates'], { ...older, ...bound }],
  ['renegotiation-as-another', ['renegotiates'], older],
]

for (const [id, faults, matrix] of caught)
  t.test(`${id} catches a server that ${faults.join(' and ')}`, async t => {
    t.same(await findSurvivors(faults, id, matrix), [])
  })

t.test('reports what level certificate does not promise, and does not count it as a failure', async t => {
  const server = await startBrokenServer('resumes')
  t.teardown(() => server.close())
  const [run] = await playLab(server, find('stolen-ticket'), { levels: ['certificate'] })
  t.match(run?.findings, [{ outcome: 'accepted, not promised', evidence: /200 \(resumed\)/ }])
})

t.test('skips scenarios that need an authority or a second identity, and names the reason', async t => {
  const server = await startTestServer({ env })
  t.teardown(() => server.close())
  const { alice, ca } = castOf(server.pki)
  const matrix = { ...(await readMatrix(server)), cast: { alice, ca } }
  const [run] = await runMatrix(find('same-subject', 'ticket-after-expiry', 'relay', 'other-connection'), matrix)
  const found = Object.fromEntries(run?.findings.map(({ scenario, ...finding }) => [scenario.id, finding]) ?? [])
  t.match(found['same-subject'], { outcome: 'not tried', evidence: /key of the authority/ })
  t.match(found['ticket-after-expiry'], { outcome: 'not tried', evidence: /key of the authority/ })
  t.match(found.relay, { outcome: 'not tried', evidence: /second identity/ })
  t.match(found['other-connection'], { outcome: 'passed' })
})

t.test('skips the renegotiation as another client without Python', async t => {
  const server = await startTestServer({ env })
  t.teardown(() => server.close())
  const { PATH } = process.env
  t.teardown(() => (process.env.PATH = PATH))
  process.env.PATH = '/nowhere'
  const matrix = { ...(await readMatrix(server)), tls: ['TLSv1.2'] as const }
  const [run] = await runMatrix(find('renegotiation', 'renegotiation-as-another'), matrix)
  t.match(run?.findings, [{ outcome: 'passed' }, { outcome: 'not tried', evidence: /python3/ }])
})

/** Returns level connection over TLS 1.3 and HTTP/1.1, with the complete cast. */
async function readMatrix({ origin, pki, connect }: Pick<TestServer, 'origin' | 'pki' | 'connect'>): Promise<Matrix> {
  const asker = await connect('alice')
  const profile = await readProfile(new URL(origin), {}, path => asker.get(path))
  asker.close()
  const settings = { levels: ['connection'], tls: ['TLSv1.3'], http: ['http/1.1'] } as const
  return { ...settings, profile, cast: castOf(pki), pause: 0, maximumConnections: 20 }
}

/** Replaces the bindings of connections by their number since the server started. */
function countConnections({ app }: TestServer): void {
  let count = 0
  const listener = app.server as unknown as Http2SecureServer
  listener.on('secureConnection', (socket: TLSSocket) => {
    const connection = connectionOf(socket)
    if (connection?.presenter === undefined) return
    count += 1
    const bindings = { 'tls-exporter': hash('sha256', String(count), 'base64url') }
    Object.assign(connection, { presenter: { ...connection.presenter, bindings } })
  })
}

for (const [words, outcome, prepare] of [
  ['rejects connection-bound tokens after a restart (CB29)', 'passed', () => {}],
  ['catches a server that numbers its connections from the start again', 'failed', countConnections],
] as const)
  t.test(words, async t => {
    const relay = await startRelay(t)
    const [pki, signingKeys] = [makeDemoPki(), [await generateTokenKey('ES256')]]
    const start = async () => {
      const server = await startTestServer({ pki, signingKeys })
      prepare(server)
      relay.target = server.port
      return server
    }
    let server = await start()
    t.teardown(() => server.close())
    const restart = async () => {
      await server.close()
      server = await start()
    }
    const { profile, ...matrix } = await readMatrix(server)
    await restart() // the connection for the profile counts as well
    const at = (url: URL) => new URL(url.pathname, relay.origin)
    const { tokenEndpoint, resource } = profile
    const behind = { ...profile, tokenEndpoint: at(tokenEndpoint), resource: at(resource) }
    const levels = ['connection', 'certificate'] as const
    const runs = await runMatrix(find('server-restart'), { ...matrix, levels, profile: behind, restart })
    t.match(
      runs.map(({ findings }) => findings[0]),
      [{ outcome }, { outcome: 'accepted, not promised' }],
    )
  })

t.test('skips the restart of a server that cannot be restarted', async t => {
  const server = await startTestServer()
  t.teardown(() => server.close())
  const [run] = await playLab(server, find('server-restart'), { levels: ['connection'] })
  t.match(run?.findings, [{ outcome: 'not tried', evidence: /restart/ }])
})
