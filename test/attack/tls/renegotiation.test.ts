// TLS 1.2 connections are never renegotiated: certificate and bindings could change for a token. TS21, N-04, N-10; RFC 9266
// §4.2. The control is a plain Node server, with which the same clients renegotiate.
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:tls'
import t from 'tap'
import { startTestServer } from '../../../src/testing/server.ts'
import { asAlice, run, start, writePki } from '../../helpers/client/peers.ts'
import { requestText } from '../../helpers/server/raw-http.ts'

const server = await startTestServer({ env: { TLSBOUND_TLS_MIN_VERSION: 'TLSv1.2' } })
t.teardown(() => server.close())
const { pki } = server
const folder = writePki(t, server)
const material = { cert: pki.server.certificate, key: pki.server.key, ca: pki.ca.certificate }

/** Reports after each message how many handshakes its connection has completed. */
const plain = createServer({ ...material, requestCert: true, rejectUnauthorized: false }, socket => {
  let handshakes = 1
  socket.on('secure', () => handshakes++).on('error', () => {})
  socket.on('data', () => socket.write(`HTTP/1.1 200 OK {"bindings":${handshakes}}\n`))
})
await new Promise<void>(resolve => plain.listen(0, '127.0.0.1', resolve))
t.teardown(() => plain.close())
const plainPort = (plain.address() as AddressInfo).port

type Scope = { teardown(end: () => void): void }

/** Sends a request, renegotiates, and sends it again; returns the output after the attempt to renegotiate. */
async function renegotiateWithOpenssl(t: Scope, port: number): Promise<string> {
  const client = start(t, 'openssl', asAlice(port, '-tls1_2'), folder)
  client.write(requestText('GET /binding', []))
  await client.until(/"bindings":/)
  const since = client.output.length
  client.write('R\n')
  const over = await Promise.race([
    client.ended,
    client.until(/depth=0.*\n.*verify return/, since).then(() => undefined),
  ])
  if (over === undefined) {
    client.write(requestText('GET /binding', []))
    await client.until(/"bindings":/, since)
    client.end()
  }
  return client.output.slice(since)
}

async function renegotiateWithGnutls(t: Scope, port: number): Promise<string> {
  const identity = ['--x509cafile=ca.crt', '--x509certfile=alice.crt', '--x509keyfile=alice.key']
  const names = ['--sni-hostname=localhost', '--verify-hostname=localhost', `--port=${port}`, '127.0.0.1']
  const version = '--priority=NORMAL:-VERS-ALL:+VERS-TLS1.2'
  const { all } = await run(t, 'gnutls-cli', ['--rehandshake', version, ...identity, ...names], { cwd: folder })
  return all
}

t.test('renegotiates with both clients at a plain Node server (control)', async t => {
  t.match(await renegotiateWithOpenssl(t, plainPort), /RENEGOTIATING.*verify return.*"bindings":2/s)
  t.match(await renegotiateWithGnutls(t, plainPort), /ReHandshake was completed/)
})

for (const when of ['before', 'after'])
  t.test(`ends a connection that renegotiates, ${when} a reload (N-04, N-10, TS21)`, async t => {
    if (when === 'after') server.tls.reload(material)
    const bystander = await server.connect('alice', { maxVersion: 'TLSv1.2' })
    const token = await bystander.token()
    const attempts = await Promise.all([
      ...Array.from({ length: 4 }, () => renegotiateWithOpenssl(t, server.port)),
      renegotiateWithGnutls(t, server.port),
    ])
    for (const said of attempts) {
      t.match(said, /RENEGOTIATING|ReHandshake has failed/)
      t.notMatch(said, /verify return|"bindings":|ReHandshake was completed/, 'refused, and no response after it')
    }
    t.match(await bystander.get('/api/whoami', token), { status: 200 }, 'other connections stay open')
  })
