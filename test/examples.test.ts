// The examples in TypeScript, with other ports, issuer names and certificate folder. Those in other languages:
// test/interop/languages.test.ts.
import { type ChildProcess, spawn } from 'node:child_process'
import { hash, X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join, resolve } from 'node:path'
import { transform } from 'esbuild'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import t from 'tap'
import { WebSocket } from 'ws'
import { openConnection, type TestConnection } from '../src/testing/connection.ts'
import { findFreePort, run, startTlsbound } from './helpers/process/process.ts'

t.setTimeout(120_000) // each example is a process
const folder = t.testdir()
const pem = (name: string) => readFileSync(join(folder, 'certs', name), 'utf8')

// An identity provider and issuer of certificate-bound tokens that is not tlsbound.
const { publicKey, privateKey } = await generateKeyPair('RS256')
const keys = { keys: [{ ...(await exportJWK(publicKey)), kid: 'own', alg: 'RS256', use: 'sig' }] }
const sign = (iss: string, aud: string, claims: object) =>
  new SignJWT({ scope: 'notes:read', client_id: 'alice', jti: 'own', ...claims })
    .setProtectedHeader({ alg: 'RS256', typ: 'at+jwt', kid: 'own' })
    .setIssuer(iss)
    .setAudience(aud)
    .setSubject('carol')
    .setIssuedAt()
    .setExpirationTime('2m')
    .sign(privateKey)

const port = await findFreePort()
const list = JSON.parse(readFileSync('examples/issuers.json', 'utf8')) as [{ issuer: string; audience: string }]
const { jwks_uri: _, ...idp } = list[0] as { jwks_uri?: string; issuer: string; audience: string }
writeFileSync(join(folder, 'keys.json'), JSON.stringify(keys))
writeFileSync(
  join(folder, 'issuers.json'),
  JSON.stringify([{ ...idp, audience: `https://localhost:${port}`, jwks_file: 'keys.json' }]),
)
await startTlsbound(t, folder, {
  TLSBOUND_PORT: String(port),
  TLSBOUND_CLIENTS_FILE: resolve('examples/clients.json'),
  TLSBOUND_TRUSTED_ISSUERS_FILE: 'issuers.json',
})

/** The source of an example, adapted to the server of this test. */
function adapt(name: string, changes: Readonly<Record<string, string>> = {}): string {
  const source = readFileSync(`examples/${name}`, 'utf8')
    .replaceAll('localhost:8443', `localhost:${port}`)
    .replaceAll(/(['`])certs\//g, `$1${folder}/certs/`)
  return Object.entries(changes).reduce((text, [from, to]) => {
    if (!text.includes(from)) throw new Error(`${name} does not contain ${from}`)
    return text.replaceAll(from, to)
  }, source)
}

interface Ending {
  teardown(end: () => unknown): void
}

const flags = ['--conditions=tlsbound-source', '--input-type=module-typescript']
const runClient = (name: string, env = {}) => run(process.execPath, [...flags, '-e', adapt(name)], process.cwd(), env)

/** Starts a resource server, and connects to it as a client. */
async function startResource(t: Ending, name: string, changes = {}): Promise<(who: string) => Promise<TestConnection>> {
  const own = await findFreePort()
  const typescript = `${adapt(name, { 'port: 8444': `port: ${own}`, ...changes })}\nprocess.stdout.write('listening')\n`
  // Node strips types, and leaves decorators to a compiler.
  const source = (
    await transform(typescript, {
      loader: 'ts',
      tsconfigRaw: { compilerOptions: { experimentalDecorators: true, verbatimModuleSyntax: true } },
    })
  ).code
  const child = spawn(process.execPath, [...flags, '-e', source], {
    env: { PATH: process.env.PATH, NODE_EXTRA_CA_CERTS: join(folder, 'certs/ca.crt') },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  t.teardown(() => end(child))
  let errors = ''
  child.stderr.on('data', chunk => (errors += chunk))
  const ended = once(child, 'close').then(() => Promise.reject(new Error(`${name} ended: ${errors}`)))
  ended.catch(() => {}) // a failed test ends it too
  await Promise.race([once(child.stdout, 'data'), ended])
  return who => connect(t, own, who)
}

async function end(child: ChildProcess): Promise<void> {
  const closed = once(child, 'close')
  child.kill('SIGKILL')
  if (child.exitCode === null) await closed
}

async function connect(t: Ending, to: number, who: string): Promise<TestConnection> {
  const identity = { cert: pem(`${who}.crt`), key: pem(`${who}.key`), ca: pem('ca.crt') }
  const connection = await openConnection({ host: '127.0.0.1', port: to, servername: 'localhost', ...identity }, who)
  t.teardown(() => connection.close())
  return connection
}

t.test('gets tokens with each client and uses them, without printing a secret', async t => {
  const fetched = await runClient('client-fetch.ts')
  t.match(fetched, { code: 0, stdout: /^200 \{.*written at .*binding: 'connection'.*tokens: 1,/s })
  const streamed = await runClient('client-stream.ts')
  t.match(streamed, { code: 0, stdout: /^201 \{.*sent word by word .*\n\{"notes":\[.*sent word by word .*written at/s })
  const token = await runClient('client-token.ts')
  t.match(token, { code: 0, stdout: /^200 \{.*client_id: 'alice'.*token_binding: 'connection'/s }, token.stderr)
  const refreshed = await runClient('client-refresh.ts')
  t.match(refreshed, { code: 0, stdout: /^200 \{.*client_id: 'alice'.*token_binding: 'connection'/s }, refreshed.stderr)
  const outputs = [fetched, streamed, token, refreshed].map(({ stdout }) => stdout)
  t.notMatch(outputs.join(), /ey[A-Za-z]|tlsbound_rt_|PRIVATE/)
})

t.test('acts for the user with an exchanged token, given a token of the identity provider only', async t => {
  const outside = await sign(idp.issuer, `https://localhost:${port}`, {})
  const exchanged = await runClient('client-exchange.ts', { SUBJECT_TOKEN: outside })
  t.match(exchanged, { code: 0, stdout: /^200 \{.*sub: 'carol'.*token_binding: 'connection'/s }, exchanged.stderr)
  const other = await sign('https://other.example', `https://localhost:${port}`, {})
  t.match(await runClient('client-exchange.ts', { SUBJECT_TOKEN: other }), {
    code: 1,
    stderr: 'subject_token_invalid',
  })
})

t.test('accepts a proof at the server of level proof, a single-use one for a change, and no weaker token', async t => {
  const resource = await startResource(t, 'proof.ts')
  const issuer = await connect(t, port, 'alice')
  const token = await issuer.token({ token_binding: 'proof' })
  const alice = await resource('alice')
  const proof = alice.prove(token)
  t.match(await alice.get('/notes', token, proof), { status: 200, text: 'notes of alice\n' })
  t.match(await alice.get('/notes', token), { status: 401, body: { reason: 'proof_missing' } }, 'control: no proof')
  const post = (proof: string) => alice.call('/notes', { method: 'POST', token, proof })
  t.match(await post(proof), { status: 401, body: { reason: 'proof_invalid' } }, 'the proof of the connection')
  const [jti, htu] = ['once', `https://localhost:${alice.socket.remotePort}/notes`]
  t.match(await post(alice.prove(token, { jti, htm: 'POST', htu })), { status: 200, text: 'written by alice\n' })
  const weaker = await issuer.token({ token_binding: 'certificate' })
  t.match(await alice.get('/notes', weaker), { status: 401, body: { reason: 'binding_too_weak' } })
  const thief = await resource('bob')
  t.match(await thief.get('/notes', token, thief.prove(token)), { body: { reason: 'certificate_mismatch' } })
})

t.test('accepts tokens of its own issuer with their certificate only', async t => {
  const server = createServer({ cert: pem('server.crt'), key: pem('server.key') }, (_, response) => {
    response.setHeader('content-type', 'application/json').end(JSON.stringify(keys))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const issuer = `https://localhost:${(server.address() as AddressInfo).port}`
  const resource = await startResource(t, 'own-issuer.ts', { 'https://issuer.example': issuer })
  const cnf = { 'x5t#S256': hash('sha256', new X509Certificate(pem('alice.crt')).raw, 'base64url') }
  const token = await sign(issuer, 'https://notes.example', { cnf })
  t.match(await (await resource('alice')).get('/notes', token), { status: 200, text: 'notes of alice\n' })
  t.match(await (await resource('bob')).get('/notes', token), { body: { reason: 'certificate_mismatch' } })
  const unbound = await sign(issuer, 'https://notes.example', {})
  t.match(await (await resource('alice')).get('/notes', unbound), { status: 401 }, 'a token that is not bound')
})

t.test(
  'issuer and API in one process: a token works on the connection that it was issued on, and on no other',
  async t => {
    const own = (name: string) => join(folder, name)
    const resource = await startResource(t, 'own-api.ts', {
      'examples/clients.json': resolve('examples/clients.json'),
      'sqlite:data/own-api.db': `sqlite:${own('own-api.db')}`,
      'opsPort: 0,': `opsPort: 0, auditFile: '${own('own-api.jsonl')}',`,
    })
    const alice = await resource('alice')
    const token = await alice.token()
    t.match(await alice.get('/notes', token), { status: 200, text: 'notes of alice\n' })
    t.match(await (await resource('alice')).get('/notes', token), { body: { reason: 'connection_mismatch' } })
    t.match(await (await resource('bob')).get('/notes', token), { body: { reason: 'certificate_mismatch' } })
    const weaker = await alice.token({ token_binding: 'certificate' })
    t.match(await alice.get('/notes', weaker), { status: 401, body: { reason: 'binding_too_weak' } })
  },
)
for (const name of ['express.ts', 'koa.ts', 'hono.ts', 'nest-fastify.ts', 'https.ts'])
  t.test(`${name} accepts a token with its certificate alone, and requires its scope`, async t => {
    const resource = await startResource(t, name)
    const issuer = await connect(t, port, 'alice')
    const token = await issuer.token({ token_binding: 'certificate', scope: 'notes:read' })
    const alice = await resource('alice')
    t.match(await alice.get('/notes', token), { status: 200, text: 'notes of alice\n' })
    t.match(await (await resource('bob')).get('/notes', token), {
      status: 401,
      body: { reason: 'certificate_mismatch' },
    })
    const other = await issuer.token({ token_binding: 'certificate', scope: 'notes:write' })
    t.match(await alice.get('/notes', other), { status: 403, body: { reason: 'scope_missing' } })
    if (!readFileSync(`examples/${name}`, 'utf8').includes('notes:write')) return
    t.match(await alice.call('/notes', { method: 'POST', token }), { status: 403, body: { reason: 'scope_missing' } })
    t.match(
      await alice.call('/notes', { method: 'POST', token: await issuer.token({ token_binding: 'certificate' }) }),
      {
        text: 'written by alice\n',
      },
    )
  })

t.test('websocket.ts accepts the upgrade request of its certificate alone', async t => {
  const resource = await startResource(t, 'websocket.ts')
  const token = await (await connect(t, port, 'alice')).token({ token_binding: 'certificate' })
  const { remotePort } = (await resource('alice')).socket
  const open = (who: string) =>
    new WebSocket(`wss://localhost:${remotePort}/`, {
      ...{ cert: pem(`${who}.crt`), key: pem(`${who}.key`), ca: pem('ca.crt') },
      headers: { authorization: `Bearer ${token}` },
    })
  const alice = open('alice')
  t.teardown(() => alice.terminate())
  await once(alice, 'open')
  alice.send('hello')
  const [answer] = (await once(alice, 'message')) as [Buffer]
  t.equal(answer.toString(), 'alice: hello')
  const [error] = (await once(open('bob'), 'error')) as [Error]
  t.match(error.message, /401/)
})

t.test('the tests of an app pass', async t => {
  const runTests = (path: string) =>
    run(process.execPath, ['--conditions=tlsbound-source', '--test', path], process.cwd())
  for (const name of ['plain-bearer.test.ts', 'bound.test.ts'])
    t.match(await runTests(`examples/${name}`), { code: 0, stdout: /pass 1\n/ }, name)
})
