// Servers whose certificates or authorities have unusual keys: each outgoing connection succeeds or fails with a
// reason. Runs in a separate process, which must exit normally.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createSecureServer } from 'node:http2'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { resolve } from 'node:path'
import { createSecureContext, TLSSocket } from 'node:tls'
import t from 'tap'
import { issueCertificate } from '../../src/pki/certificate.ts'
import { makeDemoPki } from '../../src/pki/demo.ts'
import type { KeyPair } from '../../src/pki/signing.ts'
import { findFreePort } from '../../src/testing/free-port.ts'
import { startTestServer } from '../../src/testing/server.ts'
import { callers, groups, letsNobodyIn } from '../helpers/client/outgoing-callers.ts'
import { basicEnvironment } from '../helpers/process/basic-environment.ts'
import type { Order, Outcome } from '../helpers/server/call-servers.ts'
import { buildChain, type Chain, canServe, kinds, type Position } from '../helpers/tls/unusual-chains.ts'

const client = issueCertificate({ subject: [['CN', 'alice']], extendedKeyUsage: ['clientAuth'] })
const issuerKey = issueCertificate({ subject: [['CN', 'key']] }).publicKey
const positions: readonly Position[] = ['server', 'intermediate', 'root']
const all = Object.keys(callers)
/** Kinds that differ only in chain verification. */
const few = [
  'connectTls',
  'connectTls, TLS 1.2',
  'connectTls, resumed',
  'fetchJson',
  'client, HTTP/2',
  'lab',
  'PostgreSQL',
]

/** Callers that present a certificate and request a token with it. */
const clients = ['connect, HTTP/2', 'client, HTTP/1.1', 'sidecar', 'tlsbound token', 'tlsbound call']

/** Starts the server that all callers connect to, with this chain, and returns its address. */
async function serve(chain: Chain, wanted: readonly string[]): Promise<Order> {
  const { name, certificate, key, ca } = chain
  const server = createSecureServer({
    cert: certificate,
    key,
    ecdhCurve: groups,
    minVersion: 'TLSv1.2',
    requestCert: true,
    rejectUnauthorized: false,
    allowHTTP1: true,
  })
  server.on('sessionError', () => {})
  server.on('request', (request, response) => {
    request.resume()
    response.writeHead(200, { 'content-type': 'application/json' })
    response.end(JSON.stringify(answers[request.url]))
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const sockets = new Set<{ destroy(): void }>()
  server.on('secureConnection', socket => sockets.add(socket.on('error', () => {})))
  t.teardown(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  const { port } = server.address() as AddressInfo
  const origin = `https://localhost:${port}`
  const token = { access_token: 'opaque', token_type: 'Bearer', expires_in: 300, token_binding: 'certificate' }
  const answers: Readonly<Record<string, object>> = {
    '/.well-known/oauth-authorization-server': {
      issuer: origin,
      token_endpoint: `${origin}/token`,
      jwks_uri: `${origin}/jwks`,
    },
    '/token': token,
    '/api/whoami': { well: true },
    '/jwks': { keys: [{ ...issuerKey.export({ format: 'jwk' }), kid: 'one', alg: 'ES256', use: 'sig' }] },
    '/reporters': {
      public_keys: [{ key_identifier: 'one', key: issuerKey.export({ type: 'spki', format: 'pem' }) }],
    },
    '/hook': {},
  }
  const databasePort = await serveDatabase(chain)
  return {
    name,
    origin,
    port,
    databasePort,
    callers: wanted,
    identity: { certificate: client.certificate, key: client.key, ca },
  }
}

/** A database that accepts a request for TLS and rejects everything after it. */
async function serveDatabase({ certificate, key }: Chain): Promise<number> {
  const secureContext = createSecureContext({ cert: certificate, key, ecdhCurve: groups })
  const refusal = Buffer.from(`SFATAL\0C28000\0M${letsNobodyIn}\0\0`)
  const length = Buffer.alloc(4)
  length.writeUInt32BE(refusal.length + 4)
  const sockets = new Set<Socket>()
  const server = createServer(socket => {
    sockets.add(socket.on('error', () => {}))
    socket.once('data', () => {
      socket.write('S')
      const secured = new TLSSocket(socket, { isServer: true, secureContext })
      secured.on('error', () => socket.destroy())
      secured.once('data', () => secured.end(Buffer.concat([Buffer.from('E'), length, refusal])))
    })
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  t.teardown(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  return (server.address() as AddressInfo).port
}

/** Runs all these calls in a process; returns its output and how it ends. */
async function callAll(orders: readonly Order[]): Promise<{ code: unknown; outcomes: Outcome[]; stderr: string }> {
  const child = spawn(process.execPath, [resolve('test/helpers/server/call-servers.ts')], {
    env: basicEnvironment,
  })
  t.teardown(() => child.kill('SIGKILL'))
  const output = { stdout: '', stderr: '' }
  child.stdout.on('data', chunk => (output.stdout += chunk))
  child.stderr.on('data', chunk => (output.stderr += chunk))
  child.stdin.on('error', () => {})
  child.stdin.end(JSON.stringify(orders))
  const [code, signal] = await once(child, 'close')
  const lines = output.stdout.split('\n').filter(line => line.startsWith('{"name"'))
  return { code: code ?? signal, outcomes: lines.map(line => JSON.parse(line) as Outcome), stderr: output.stderr }
}

/** An address, the finding, and the remedy. */
const reason = /(?:localhost|127\.0\.0\.1):\d+\S*: [^;]+;/

/** Whether OpenSSL accepts the chain, and this caller can complete a handshake with it. */
function isAcceptable(name: string, caller: string): boolean {
  const isServer = name.endsWith('as server')
  if (/explicit parameters|17408/.test(name)) return false
  if (!isServer || /^P-256|^brainpoolP(256|384)r1|^Ed448|^RSA-PSS/.test(name)) return true
  if (name.startsWith('ML-DSA')) return !/TLS 1.2|resumed/.test(caller)
  return caller === 'connectTls, TLS 1.2' && /^sec/.test(name) // on a curve that both sides offer
}

t.test('connects to servers with unusual keys in their chain, or rejects them with a reason', async t => {
  const orders: Order[] = []
  for (const kind of ['P-256', 'brainpoolP256r1', 'secp256k1'])
    for (const position of positions) orders.push(await serve(buildChain(kind, position), all))
  for (const kind of Object.keys(kinds).slice(3))
    for (const position of positions)
      if (canServe(kind) || position !== 'server') orders.push(await serve(buildChain(kind, position), few))
  const { code, outcomes, stderr } = await callAll(orders)
  t.equal(code, 0, 'the process exits normally')
  if (code !== 0) t.comment(`after ${JSON.stringify(outcomes.at(-1))}: ${stderr.slice(-2000)}`)
  t.equal(
    outcomes.length,
    orders.reduce((sum, { callers: wanted }) => sum + wanted.length, 0),
  )
  for (const { name, caller, problem } of outcomes)
    if (isAcceptable(name, caller)) t.equal(problem, undefined, `${caller}: ${name}`)
    else t.match(problem, reason, `${caller}: ${name}`)
})

t.test('a client with an unusual key is served, or gets an error about its key', async t => {
  const pki = makeDemoPki()
  const server = await startTestServer({
    pki,
    env: { TLSBOUND_PORT: String(await findFreePort()) },
    clients: [
      {
        client_id: 'alice',
        token_endpoint_auth_method: 'tls_client_auth',
        tls_client_auth_subject_dn: 'CN=alice',
        scope: 'notes:read',
        token_bindings: ['certificate'],
      },
    ],
  })
  t.teardown(() => server.close())
  const rows: [kind: string, problem: RegExp | undefined][] = [
    ['P-256', undefined],
    ['brainpoolP256r1', undefined],
    ['Ed448', undefined],
    ['RSA-PSS', undefined],
    ['ML-DSA-65', undefined],
    ['secp256k1', /on the curve secp256k1; use one on P-256/],
    ['brainpoolP512t1', /on the curve brainpoolP512t1; use one on P-256/],
    ['DSA', /of type DSA; use one on P-256/],
    ['brainpoolP256r1 with explicit parameters', /certificate_untrusted/],
  ]
  const orders = rows.map(([kind]): Order => {
    const { certificate, key } = issueCertificate({
      subject: [['CN', 'alice']],
      issuer: pki.ca,
      keyPair: (kinds[kind] as () => { keyPair: KeyPair })().keyPair,
      extendedKeyUsage: ['clientAuth'],
    })
    const { origin, port } = server
    return { name: kind, origin, port, callers: clients, identity: { certificate, key, ca: pki.ca.certificate } }
  })
  const { code, outcomes, stderr } = await callAll(orders)
  t.equal(code, 0, 'the process exits normally')
  if (code !== 0) t.comment(`after ${JSON.stringify(outcomes.at(-1))}: ${stderr.slice(-2000)}`)
  t.equal(outcomes.length, rows.length * clients.length)
  for (const { name, caller, problem } of outcomes) {
    const [, expected] = rows.find(([kind]) => kind === name) as (typeof rows)[number]
    if (expected === undefined) t.equal(problem, undefined, `${caller}: ${name}`)
    else t.match(problem, expected, `${caller}: ${name}`)
  }
})
