// A server evaluates a client certificate once per connection. The client closes a connection on which it was refused and
// opens a new one for the next request, so the server evaluates the certificate again.
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { createClient } from '../../../src/client/client.ts'
import { issueCertificate } from '../../../src/pki/certificate.ts'
import { issueCrl } from '../../../src/pki/crl.ts'
import { makeDemoPki } from '../../../src/pki/demo.ts'
import { findFreePort } from '../../../src/testing/free-port.ts'
import { startTestServer } from '../../../src/testing/server.ts'
import { json, type Serve, startFakeUpstream } from '../../helpers/client/fake-upstream.ts'
import { ask, makeFolder, startTestSidecar } from '../../helpers/client/sidecar.ts'

/** Starts a server whose authorities and lists the test reloads, with a sidecar in front of it. */
async function start(t: Test, http2: boolean, tokenBinding: 'connection' | 'certificate') {
  const pki = makeDemoPki()
  const server = await startTestServer({
    pki,
    env: { TLSBOUND_PORT: String(await findFreePort()) },
    closeAfter: 0,
    tls: { timeouts: { idle: 3600, retirement: 0 } }, // a change of authorities ends every connection at once
  })
  t.teardown(() => server.close())
  const identity = { certificate: pki.alice.certificate, key: pki.alice.key, ca: pki.ca.certificate }
  const client = createClient({ origin: server.origin, identity, http2, tokenBinding })
  const { address } = await startTestSidecar(t, { client }, { listen: { path: join(makeFolder(t), 's.sock') } })
  const reload = (changes: { ca?: string; crl?: string }) =>
    server.tls.reload({ cert: pki.server.certificate, key: pki.server.key, ca: pki.ca.certificate, ...changes })
  return { pki, server, client, address, reload }
}

for (const http2 of [true, false])
  for (const tokenBinding of ['connection', 'certificate'] as const) {
    const name = `over ${http2 ? 'HTTP/2' : 'HTTP/1.1'} at level ${tokenBinding}`

    t.test(`a sidecar recovers from a refused certificate without a restart, ${name}`, async t => {
      const { pki, server, client, address, reload } = await start(t, http2, tokenBinding)
      const other = issueCertificate({ subject: [['CN', 'another authority']], ca: true })
      const list = (revoked: { serialNumber: string }[]) => issueCrl({ issuer: pki.ca, revoked })
      for (const [reason, broken, repaired] of [
        ['certificate_untrusted', { ca: other.certificate }, {}],
        ['certificate_revoked', { crl: list([pki.alice.x509]) }, { crl: list([]) }],
      ] as const) {
        t.match(await ask(address, '/api/whoami'), { status: 200 }, 'control')
        reload(broken)
        // The previous connection, whose certificate no list names, serves requests until it ends.
        while ((await ask(address, '/api/whoami')).status === 200) await new Promise(setImmediate)
        t.match(await ask(address, '/api/whoami'), {
          status: 502,
          body: { reason, error_description: /localhost:\d+/ },
        })
        reload(repaired)
        t.match(await ask(address, '/api/whoami'), { status: 200, body: { client_id: 'alice' } }, `after ${reason}`)
      }
      t.ok(client.state().connections.length <= 1, 'the client has closed the refused connection')
      t.ok(server.tls.connections.size <= 2)
    })
  }

t.test('a sidecar that connected with an expired revocation list recovers after its renewal', async t => {
  const { pki, server, address, reload } = await start(t, true, 'connection')
  reload({ crl: issueCrl({ issuer: pki.ca, revoked: [], nextUpdate: new Date(Date.now() + 2000) }) })
  const isRefused = async () => (await (await server.connect('alice')).requestToken()).status === 401
  let refused = false
  while (!refused) refused = await isRefused()
  t.match(await ask(address, '/api/whoami'), { status: 502, body: { reason: 'certificate_untrusted' } })
  reload({ crl: issueCrl({ issuer: pki.ca, revoked: [] }) })
  t.match(await ask(address, '/api/whoami'), { status: 200 })
})

for (const http2 of [true, false]) {
  const protocol = http2 ? 'HTTP/2' : 'HTTP/1.1'
  const challenge = { 'www-authenticate': 'Bearer error="invalid_token"' }

  /** Returns the responses of a client whose first connection is refused, and the number of its connections. */
  const see = async (t: Test, body: object, headers: Record<string, string>) => {
    const serve: Serve = (_request, response, { connection }) => {
      if (connection === 1)
        json(response, 401, body, { 'content-length': String(JSON.stringify(body).length), ...headers })
      else response.end('well')
    }
    const upstream = await startFakeUpstream(t, serve, { http2 })
    upstream.issue = () => ({ binding: 'certificate' })
    const client = createClient({ ...upstream.target, http2, connections: 1 })
    t.teardown(() => client.close())
    const first = await client.fetch('/')
    const text = await first.text()
    const second = await client.fetch('/')
    await second.text()
    return { statuses: [first.status, second.status], text, handshakes: upstream.handshakes }
  }

  t.test(`after a refused certificate the next request uses a new connection, over ${protocol}`, async t => {
    for (const reason of ['no_certificate', 'certificate_untrusted', 'certificate_expired', 'certificate_revoked']) {
      const said = { statuses: [401, 200], text: JSON.stringify({ reason }), handshakes: 2 }
      t.same(
        await see(t, { reason }, {}),
        said,
        `${reason}: the caller gets the response, and the next request a new connection`,
      )
      const again = { statuses: [200, 200], text: 'well', handshakes: 2 }
      t.same(await see(t, { reason }, challenge), again, `${reason}: a retry uses a new connection`)
    }
  })

  t.test(`after any other refusal the connection stays in use, over ${protocol}`, async t => {
    for (const body of [
      { reason: 'expired' },
      { reason: 'scope_missing' },
      { error: 'invalid_token' },
      { reason: 7 },
      [],
    ])
      t.same((await see(t, body, {})).handshakes, 1, JSON.stringify(body))
    t.same(
      (await see(t, { reason: 'certificate_untrusted', more: 'x'.repeat(5000) }, {})).handshakes,
      1,
      'a refusal with a long body is not parsed',
    )
  })
}

t.test('a permanently refused certificate does not cause a flood of connections', async t => {
  const upstream = await startFakeUpstream(t, (_request, response) => response.end('never'), { http2: true })
  upstream.issue = () => ({ status: 401, body: { error: 'invalid_client', reason: 'certificate_untrusted' } })
  const client = createClient({ ...upstream.target, connections: 1 })
  t.teardown(() => client.close())
  const started = performance.now()
  let requests = 0
  while (performance.now() - started < 3000) {
    await t.rejects(client.fetch('/'), { code: 'token_refused', reason: 'certificate_untrusted' })
    requests += 1
  }
  t.ok(upstream.handshakes >= 2, 'the client retries')
  t.ok(upstream.handshakes < 40, `${upstream.handshakes} connections for ${requests} requests`)
  upstream.issue = () => ({})
  t.equal((await client.fetch('/')).status, 200, 'after the repair the next request is served')
})
