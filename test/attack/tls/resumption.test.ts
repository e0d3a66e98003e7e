// TLS sessions are never resumed: a resumed connection would have a certificate without proof of its key (RFC 8446 §2.2).
// CB05, CB06, TS01, TS14, TS15. The control is a plain Node server, with which the same clients resume.
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { TLSSocket } from 'node:tls'
import t from 'tap'
import { openConnection } from '../../../src/testing/connection.ts'
import { startTestServer, type TestConnection } from '../../../src/testing/server.ts'
import { asAlice, run, writePki } from '../../helpers/client/peers.ts'
import { requestText } from '../../helpers/server/raw-http.ts'
import { refusal } from '../../helpers/server/refusals.ts'

const server = await startTestServer({ env: { TLSBOUND_TLS_MIN_VERSION: 'TLSv1.2' } })
t.teardown(() => server.close())
const { pki } = server
const folder = writePki(t, server)
const material = { cert: pki.server.certificate, key: pki.server.key, ca: pki.ca.certificate }

const plain = createServer({ ...material, requestCert: true, rejectUnauthorized: false }, ({ socket }, response) => {
  const tls = socket as TLSSocket
  response.end(
    JSON.stringify({
      resumed: tls.isSessionReused(),
      authorized: tls.authorized,
      subject: tls.getPeerX509Certificate()?.subject,
    }),
  )
})
await new Promise<void>(resolve => plain.listen(0, '127.0.0.1', resolve))
t.teardown(() => {
  plain.close()
  plain.closeAllConnections()
})
const plainPort = (plain.address() as AddressInfo).port

const versions = ['TLSv1.3', 'TLSv1.2'] as const
type Version = (typeof versions)[number]

function open(port: number, who: 'alice' | null, maxVersion: Version, session?: Buffer): Promise<TestConnection> {
  const { certificate: cert, key } = pki.alice
  const common = { port, host: '127.0.0.1', servername: 'localhost', ca: pki.ca.certificate, maxVersion }
  return openConnection({ ...common, ...(who && { cert, key }), ...(session && { session }) }, 'alice')
}

/** A connection of alice after its first response, and its session. */
async function openFirst(port: number, version: Version): Promise<{ first: TestConnection; session: Buffer }> {
  const first = await open(port, 'alice', version)
  let session = first.socket.getSession()
  first.socket.on('session', ticket => (session = ticket)) // TLS 1.3: after the handshake
  await first.get('/binding')
  t.teardown(() => first.close())
  return { first, session: session as Buffer }
}

t.test("lets a client without alice's key be alice with her ticket, on a server that resumes (control)", async t => {
  for (const version of versions) {
    const { session } = await openFirst(plainPort, version)
    const thief = await open(plainPort, null, version, session)
    t.same((await thief.get('/')).body, { resumed: true, authorized: true, subject: 'CN=alice' }, version)
    thief.close()
  }
})

async function refuseResumption(t: Tap, version: Version): Promise<void> {
  const { first, session } = await openFirst(server.port, version)
  const token = await first.token()
  t.match(await first.get('/api/whoami', token), { status: 200 })

  const again = await open(server.port, 'alice', version, session)
  t.equal(again.socket.isSessionReused(), false)
  t.match((await again.get('/binding')).body, {
    protocol: version,
    resumed: false,
    certificate: { subject: 'CN=alice' },
  })
  t.match(await again.get('/api/whoami', token), refusal('connection_mismatch'))

  const thief = await open(server.port, null, version, session)
  t.equal(thief.socket.isSessionReused(), false)
  t.match((await thief.get('/binding')).body, { resumed: false, certificate: null })
  t.match(await thief.get('/api/whoami', token), refusal('no_certificate'), 'TS01')
  t.match(await thief.requestToken(), refusal('no_certificate', 'invalid_client'))
  for (const connection of [again, thief]) connection.close()
}
type Tap = Pick<typeof t, 'equal' | 'match'>

/** Counts how often `openssl s_client` resumes in six connections. On TLS 1.3 it would not wait for a ticket. */
async function reconnect(t: Tap & { teardown(end: () => void): void }, port: number) {
  const { all } = await run(t, 'openssl', asAlice(port, '-tls1_2', '-reconnect'), { cwd: folder })
  return { fresh: all.match(/^New, TLSv1/gm)?.length ?? 0, resumed: all.match(/^Reused, TLSv1/gm)?.length ?? 0 }
}

/** The same with the session in a file, which a thief could copy. */
async function resumeFromFile(t: Tap & { teardown(end: () => void): void }, port: number, version: Version) {
  const flags = [version === 'TLSv1.3' ? '-tls1_3' : '-tls1_2', '-ign_eof']
  const input = requestText('GET /binding', ['Connection: close'])
  await run(t, 'openssl', asAlice(port, ...flags, '-sess_out', 'session'), { cwd: folder, input })
  const { all } = await run(t, 'openssl', asAlice(port, ...flags, '-sess_in', 'session'), { cwd: folder, input })
  return /^(New|Reused), TLSv1/m.exec(all)?.[1]
}

for (const when of ['before', 'after'])
  t.test(`resumes nothing ${when} a reload (CB05, CB06, TS14)`, async t => {
    if (when === 'after') server.tls.reload(material)
    for (const version of versions) await refuseResumption(t, version)
  })

t.test("resumes nothing for OpenSSL's client, before and after a reload (TS14)", async t => {
  t.same(await reconnect(t, plainPort), { fresh: 1, resumed: 5 }, 'control: the plain server resumes')
  for (const version of versions) t.equal(await resumeFromFile(t, plainPort, version), 'Reused', version)
  for (let reload = 0; reload < 2; reload++) {
    t.same(await reconnect(t, server.port), { fresh: 6, resumed: 0 })
    for (const version of versions) t.equal(await resumeFromFile(t, server.port, version), 'New', version)
    server.tls.reload(material)
  }
})

t.test('accepts no session of another server or of its predecessor (TS15)', async t => {
  for (const version of versions) {
    const replica = await startTestServer({ pki, env: { TLSBOUND_TLS_MIN_VERSION: 'TLSv1.2' } })
    const { session } = await openFirst(server.port, version)
    const there = await replica.connect('alice', { session, maxVersion: version })
    t.match((await there.get('/binding')).body, { protocol: version, resumed: false })
    const { session: old } = await openFirst(replica.port, version)
    await replica.close()
    const successor = await startTestServer({ pki, env: { TLSBOUND_TLS_MIN_VERSION: 'TLSv1.2' } })
    t.teardown(() => successor.close())
    const later = await successor.connect('alice', { session: old, maxVersion: version })
    t.match((await later.get('/binding')).body, { protocol: version, resumed: false })
  }
})

t.test('records no resumed connection in any event', async t => {
  const events = server.events.filter(event => event.tls !== undefined)
  t.ok(events.length > 0)
  t.ok(events.every(event => event.resumed === false))
})
