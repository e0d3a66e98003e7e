// Other TLS libraries compute the same channel bindings: OpenSSL, Python's ssl, GnuTLS. CB10, CB11; N-01, N-02, N-03, N-09,
// N-18. GnuTLS computes tls-exporter itself, the others only parts of it.
import { hash } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:tls'
import t, { type Test } from 'tap'
import { readChannelBindings } from '../../src/core/channel-binding.ts'
import { startTestServer } from '../../src/testing/server.ts'
import { asAlice, run, writePki } from '../helpers/client/peers.ts'
import { requestText } from '../helpers/server/raw-http.ts'

t.setTimeout(60_000) // many processes, each slow to start on a busy machine
const server = await startTestServer({ env: { TLSBOUND_TLS_MIN_VERSION: 'TLSv1.2' } })
t.teardown(() => server.close())
const folder = writePki(t, server)

const thumbprint = (hex = '') => hash('sha256', Buffer.from(hex, 'hex'), 'base64url')
const askBinding = requestText('GET /binding', ['Connection: close'])

/** Parses the JSON at the end of a client's output of an HTTP response. */
function answerIn(output: string) {
  const json = /\{"(?:protocol|error|access_token)".*\}/.exec(output)?.[0]
  if (json === undefined) throw new Error(`no response in: ${output}`)
  return JSON.parse(json)
}

async function askWithOpenssl(t: Test, ...flags: string[]) {
  const exporter = ['-keymatexport', 'EXPORTER-Channel-Binding', '-keymatexportlen', '32', '-ign_eof']
  const { all } = await run(t, 'openssl', asAlice(server.port, ...exporter, ...flags), {
    cwd: folder,
    input: askBinding,
  })
  return { exporter: thumbprint(/Keying material: ([0-9A-F]{64})\n/.exec(all)?.[1]), body: answerIn(all) }
}

t.test('reports as tls-exporter what OpenSSL exports on TLS 1.3 (CB11, N-01, N-17)', async t => {
  const [first, second] = [await askWithOpenssl(t, '-tls1_3'), await askWithOpenssl(t, '-tls1_3')]
  for (const { exporter, body } of [first, second])
    t.match(body, { protocol: 'TLSv1.3', resumed: false, bindings: { 'tls-exporter': exporter } })
  t.not(first?.exporter, second?.exporter)
})

t.test("differs on TLS 1.2 from OpenSSL's client, which exports without a context (CB11, N-02)", async t => {
  const { exporter, body } = await askWithOpenssl(t, '-tls1_2')
  t.match(body, { protocol: 'TLSv1.2', extended_master_secret: true, bindings: { 'tls-exporter': /^[\w-]{43}$/ } })
  t.not(body.bindings['tls-exporter'], exporter)
})

const pythonClient = `
import json, socket, ssl, sys
port, version, path = int(sys.argv[1]), sys.argv[2], sys.argv[3]
context = ssl.create_default_context(cafile='ca.crt')
context.load_cert_chain('alice.crt', 'alice.key')
context.maximum_version = context.minimum_version = ssl.TLSVersion[version]
session = None
for _ in range(2):
    raw = socket.create_connection(('127.0.0.1', port))
    with context.wrap_socket(raw, server_hostname='localhost', session=session) as tls:
        tls.sendall(('GET ' + path + ' HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n').encode())
        unique, answer = tls.get_channel_binding('tls-unique'), b''
        while part := tls.recv(65536): answer += part
        session = tls.session
        print(json.dumps([unique.hex(), tls.session_reused, json.loads(answer.split(b'\\r\\n\\r\\n', 1)[1])]))
`

async function askWithPython(t: Test, port: number, version: 'TLSv1_2' | 'TLSv1_3') {
  const { status, stdout, all } = await run(t, 'python3', ['-c', pythonClient, `${port}`, version, '/binding'], {
    cwd: folder,
  })
  if (status !== 0) throw new Error(`python3 failed: ${all}`)
  return stdout
    .trim()
    .split('\n')
    .map(line => JSON.parse(line))
    .map(([unique, resumed, body]) => ({ unique: thumbprint(unique), resumed, body }))
}

t.test('reports as tls-unique the value that Python has, on each full handshake of TLS 1.2 (CB10, N-09)', async t => {
  const asked = await askWithPython(t, server.port, 'TLSv1_2')
  t.equal(asked.length, 2)
  for (const { unique, resumed, body } of asked) {
    t.equal(resumed, false, 'the second was meant to resume the first')
    t.match(body, { protocol: 'TLSv1.2', resumed: false, bindings: { 'tls-unique': unique } })
  }
  t.not(asked[0]?.unique, asked[1]?.unique)
})

t.test('reports it on a resumed connection too, where a server resumes (CB10, N-09)', async t => {
  const { certificate: cert, key } = server.pki.server
  const plain = createServer({ cert, key, maxVersion: 'TLSv1.2' }, socket => {
    const { 'tls-unique': unique } = readChannelBindings(socket)
    const body = JSON.stringify({ unique, resumed: socket.isSessionReused() })
    socket.on('error', () => {}).on('data', () => socket.end(`HTTP/1.1 200 OK\r\n\r\n${body}`))
  })
  await new Promise<void>(resolve => plain.listen(0, '127.0.0.1', resolve))
  t.teardown(() => plain.close())
  const [full, resumed] = await askWithPython(t, (plain.address() as AddressInfo).port, 'TLSv1_2')
  t.match(full, { resumed: false, body: { resumed: false, unique: full?.unique } })
  t.match(resumed, { resumed: true, body: { resumed: true, unique: resumed?.unique } })
  t.not(resumed?.unique, full?.unique)
})

t.test('offers no tls-unique on TLS 1.3, although Python has a value of that name (CB09, N-05)', async t => {
  for (const { unique, body } of await askWithPython(t, server.port, 'TLSv1_3')) {
    t.same(Object.keys(body.bindings), ['tls-exporter'])
    t.not(body.bindings['tls-exporter'], unique)
  }
})

const tls12 = '--priority=NORMAL:-VERS-ALL:+VERS-TLS1.2'
const withoutExtendedMasterSecret = `${tls12}:%NO_SESSION_HASH`

async function askWithGnutls(t: Test, priority: string, request: string) {
  const identity = ['--x509cafile=ca.crt', '--x509certfile=alice.crt', '--x509keyfile=alice.key']
  const names = ['--sni-hostname=localhost', '--verify-hostname=localhost', `--port=${server.port}`, '127.0.0.1']
  const args = ['--verbose', priority, ...identity, ...names]
  const { all } = await run(t, 'gnutls-cli', args, { cwd: folder, input: request })
  const bound = (type: string) => new RegExp(`'${type}': ([0-9a-f]+)\\n`).exec(all)?.[1]
  return { exporter: bound('tls-exporter'), unique: bound('tls-unique'), body: answerIn(all) }
}

const askToken = (binding: string) => {
  const form = `grant_type=client_credentials&client_id=alice&token_binding=${binding}`
  const type = 'Content-Type: application/x-www-form-urlencoded'
  return requestText('POST /oauth/token', [type, `Content-Length: ${form.length}`, 'Connection: close'], form)
}

t.test('agrees with GnuTLS on both bindings of TLS 1.2 with the extended master secret (CB10, CB11)', async t => {
  const { exporter, unique, body } = await askWithGnutls(t, tls12, askBinding)
  t.match(body, { protocol: 'TLSv1.2', extended_master_secret: true })
  t.same(body.bindings, { 'tls-exporter': thumbprint(exporter), 'tls-unique': thumbprint(unique) }, 'N-01, N-09')
  t.equal(unique?.length, 24)
  t.match((await askWithGnutls(t, tls12, askToken('connection'))).body, { token_binding: 'connection' })
})

t.test('agrees with GnuTLS on tls-exporter on TLS 1.3, without tls-unique (CB11, N-01, N-05)', async t => {
  const { exporter, unique, body } = await askWithGnutls(t, '--priority=NORMAL', askBinding)
  t.same(body.bindings, { 'tls-exporter': thumbprint(exporter) })
  t.equal(unique, undefined)
})

t.test(
  'has no binding and issues no connection-bound token without the extended master secret (N-03, N-18)',
  async t => {
    const { exporter, unique, body } = await askWithGnutls(t, withoutExtendedMasterSecret, askBinding)
    t.match(body, { protocol: 'TLSv1.2', extended_master_secret: false, certificate: { subject: 'CN=alice' } })
    t.same(body.bindings, {})
    t.equal(exporter, undefined, 'GnuTLS offers none either')
    t.equal(unique?.length, 24, 'although it returns a tls-unique, which RFC 7627 §5.4 forbids to rely on')
    const refused = await askWithGnutls(t, withoutExtendedMasterSecret, askToken('connection'))
    t.match(refused.body, { error: 'invalid_request', reason: 'binding_unavailable' })
    const issued = await askWithGnutls(t, withoutExtendedMasterSecret, askToken('certificate'))
    t.match(issued.body, { token_type: 'Bearer', token_binding: 'certificate' })
  },
)
