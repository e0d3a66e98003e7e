// The examples in TypeScript, in a project of their own outside of this tree: with the packed package, the packages that
// examples/README.md names, and the certificates of the demo. Only ports and names of issuers differ. Examples in other languages
// are tested in test/interop.
import { hash, X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { cpSync, globSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { transform } from 'esbuild'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import t from 'tap'
import { WebSocket } from 'ws'
import type { TestConnection } from '../src/testing/connection.ts'
import { findFreePort } from '../src/testing/free-port.ts'
import { connectAs, readExample, startExample } from './helpers/process/example.ts'
import { copyTree, installInto, manifest, pack } from './helpers/process/package.ts'
import { run, startTlsbound } from './helpers/process/process.ts'

t.setTimeout(600_000) // npm, tsc, and each example is a process

const root = realpathSync(mkdtempSync(join(tmpdir(), 'tlsbound-examples-')))
t.teardown(() => rmSync(root, { recursive: true, force: true }))
const folder = join(root, 'app')

/** The packages that examples/README.md names for each example in TypeScript. */
const named = readPackages(readFileSync('examples/README.md', 'utf8'))
const compilers = ['typescript', '@types/node']
const tarball = await pack(copyTree(join(root, 'repository')).path, root)
await installInto(folder, `file:${tarball.path}`, [...new Set([...named.values()].flat()), ...compilers])
writeFileSync(
  join(folder, 'package.json'),
  JSON.stringify({ ...JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')), type: 'module' }),
)
cpSync(join(folder, 'node_modules/tlsbound/examples'), join(folder, 'examples'), { recursive: true })
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
const environment = {
  TLSBOUND_PORT: String(port),
  TLSBOUND_CLIENTS_FILE: 'examples/clients.json',
  TLSBOUND_TRUSTED_ISSUERS_FILE: 'issuers.json',
}
await startTlsbound(t, folder, environment, 1, [process.execPath, 'node_modules/tlsbound/dist/cli/cli.js', 'serve'])

/** Writes an example into the project, with other ports and with changes. Returns its path there. */
function place(name: string, changes: Readonly<Record<string, string>> = {}): string {
  writeFileSync(join(folder, 'examples', name), readExample(name, port, changes))
  return `examples/${name}`
}

const trust = { NODE_EXTRA_CA_CERTS: 'certs/ca.crt' }
const runExample = (path: string, env = {}) => run(process.execPath, [path], folder, { ...trust, ...env })
/** Runs a client as alice, or with the certificate of bob, for whom the server has no client. */
const runClient = (name: string, env = {}) => runExample(place(name), env)
const runThief = (name: string) => runExample(place(name, { 'alice.crt': 'bob.crt', 'alice.key': 'bob.key' }))

interface Ending {
  teardown(end: () => unknown): void
}

/** Starts a resource server, and connects to it as a client. */
async function startResource(t: Ending, name: string, changes = {}) {
  const own = await findFreePort()
  const path = place(name, { 'port: 8444': `port: ${own}`, ...changes })
  await startExample(t, own, [process.execPath, await compile(path)], folder, trust)
  return (who: string | null): Promise<TestConnection> => connect(t, own, who)
}

/** Compiles an example with decorators, which Node does not run, to JavaScript beside it. */
async function compile(path: string): Promise<string> {
  const source = readFileSync(join(folder, path), 'utf8')
  if (!source.includes('@Controller')) return path
  const tsconfigRaw = { compilerOptions: { experimentalDecorators: true } }
  const { code } = await transform(source, { loader: 'ts', format: 'esm', tsconfigRaw })
  writeFileSync(join(folder, `${path}.mjs`), code)
  return `${path}.mjs`
}

const connect = (t: Ending, to: number, who: string | null) => connectAs(t, to, who, join(folder, 'certs'))

t.test('names the packages of each example in its README', async t => {
  const examples = globSync('examples/**/*.ts').map(path => path.replace('examples/', ''))
  t.same([...named.keys()].sort(), examples.sort(), 'each example has a row')
  const rows = new Map<readonly string[], string[]>() // an example and its plain version have one row
  for (const [name, packages] of named) rows.set(packages, [...(rows.get(packages) ?? []), name])
  const installed = (name: string) =>
    JSON.parse(readFileSync(join(folder, 'node_modules', name, 'package.json'), 'utf8')) as Partial<typeof manifest>
  for (const [packages, names] of rows) {
    const imported = names.flatMap(name => importedPackages(readFileSync(join('examples', name), 'utf8')))
    const types = imported.map(name => `@types/${name}`).filter(name => name in manifest.devDependencies)
    const needed = new Set([...imported, ...types])
    t.same(
      [...needed].filter(name => !packages.includes(name)),
      [],
      `${names} needs no other package`,
    )
    const peers = [...imported, 'tlsbound'].flatMap(name => Object.keys(installed(name).peerDependencies ?? {}))
    t.same(
      packages.filter(name => !needed.has(name) && !peers.includes(name)),
      [],
      `${names} needs all of them`,
    )
  }
})

t.test('compiles in a strict TypeScript project, types of libraries included', async t => {
  const compilerOptions = {
    ...{ target: 'es2024', module: 'nodenext', types: ['node'], noEmit: true },
    ...{ strict: true, exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true, skipLibCheck: false },
    experimentalDecorators: true, // of NestJS
    allowImportingTsExtensions: true, // for examples of several files, which Node runs as they are
  }
  const compile = (include: string) => {
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: [include] }))
    return run(process.execPath, ['node_modules/typescript/bin/tsc', '-p', '.'], folder)
  }
  const compiled = await compile('examples')
  t.match(compiled, { code: 0, stdout: '' }, compiled.stdout)
  const changed = place('bound.ts', { 'claims.client_id': 'claims.nothing' })
  t.match(await compile(changed), { stdout: /'nothing' does not exist/ }, 'control: a mistake is found')
})

t.test('gets tokens with each client and uses them, without printing a secret', async t => {
  const fetched = await runClient('client-fetch.ts')
  t.match(fetched, { code: 0, stdout: /^200 \{.*written at .*binding: 'connection'.*tokens: 1,/s })
  const streamed = await runClient('client-stream.ts')
  t.match(streamed, { code: 0, stdout: /^201 \{.*sent word by word .*\n\{"notes":\[.*sent word by word .*written at/s })
  const token = await runClient('client-token.ts')
  t.match(token, { code: 0, stdout: /^200 \{.*client_id: 'alice'.*token_binding: 'connection'/s }, token.stderr)
  const refreshed = await runClient('client-refresh.ts')
  t.match(refreshed, { code: 0, stdout: /^200 \{.*client_id: 'alice'.*token_binding: 'connection'/s }, refreshed.stderr)
  for (const name of ['client-fetch.ts', 'client-stream.ts', 'client-token.ts', 'client-refresh.ts'])
    t.match(
      await runThief(name),
      { code: 1, stdout: '', stderr: /client_mismatch|unknown_client/ },
      `${name} with another certificate`,
    )
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
    const resource = await startResource(t, 'own-api.ts')
    const alice = await resource('alice')
    const token = await alice.token()
    t.match(await alice.get('/notes', token), { status: 200, text: 'notes of alice\n' })
    t.match(await (await resource('alice')).get('/notes', token), { body: { reason: 'connection_mismatch' } })
    t.match(await (await resource('bob')).get('/notes', token), { body: { reason: 'certificate_mismatch' } })
    const weaker = await alice.token({ token_binding: 'certificate' })
    t.match(await alice.get('/notes', weaker), { status: 401, body: { reason: 'binding_too_weak' } })
  },
)
for (const name of ['bound.ts', 'express.ts', 'koa.ts', 'hono.ts', 'nest-fastify.ts', 'https.ts'])
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

t.test(
  'websocket.ts accepts the upgrade request of its certificate alone, and its plain version that of everyone',
  async t => {
    const token = await (await connect(t, port, 'alice')).token({ token_binding: 'certificate' })
    for (const name of ['websocket.ts', 'plain/websocket.ts']) {
      const resource = await startResource(t, name)
      const { remotePort } = (await resource('alice')).socket
      const open = (who: string, token: string) => {
        const identity = { cert: pem(`${who}.crt`), key: pem(`${who}.key`), ca: pem('ca.crt') }
        const headers = { authorization: `Bearer ${token}` }
        const socket = new WebSocket(`wss://localhost:${remotePort}/`, { ...identity, headers })
        t.teardown(() => socket.terminate())
        return socket
      }
      for (const who of name === 'websocket.ts' ? ['alice'] : ['alice', 'bob']) {
        const peer = open(who, token)
        await once(peer, 'open')
        peer.send('hello')
        const [answer] = (await once(peer, 'message')) as [Buffer]
        t.equal(answer.toString(), 'alice: hello', `${name}, as ${who}`)
      }
      const refused = name === 'websocket.ts' ? open('bob', token) : open('alice', `${token.slice(0, -8)}AAAAAAAA`)
      const [error] = (await once(refused, 'error')) as [Error]
      t.match(error.message, /401/)
    }
  },
)

t.test('verifiers/jose.ts accepts a token of level certificate with its certificate alone', async t => {
  const resource = await startResource(t, 'verifiers/jose.ts')
  const token = await (await connect(t, port, 'alice')).token({ token_binding: 'certificate' })
  t.match(await (await resource('alice')).get('/notes', token), { status: 200, text: 'notes of alice\n' })
  t.match(await (await resource('bob')).get('/notes', token), { status: 401 })
})

for (const name of ['plain-bearer.ts', 'express.ts', 'koa.ts', 'hono.ts', 'nest-fastify.ts', 'https.ts'])
  t.test(`the plain version of ${name} accepts a token from everyone, and requires its signature`, async t => {
    const resource = await startResource(t, name === 'plain-bearer.ts' ? name : `plain/${name}`)
    const token = await (await connect(t, port, 'alice')).token({ scope: 'notes:read' })
    for (const who of ['alice', 'bob', null])
      t.match(await (await resource(who)).get('/notes', token), { status: 200, text: 'notes of alice\n' }, `${who}`)
    t.match(await (await resource('alice')).get('/notes', `${token.slice(0, -8)}AAAAAAAA`), { status: 401 })
    t.match(await (await resource('alice')).get('/notes'), { status: 401 })
    const plain = readFileSync(join('examples/plain', name === 'plain-bearer.ts' ? 'https.ts' : name), 'utf8')
    if (!plain.includes('notes:write')) return
    const post = async (token: string) => (await resource('bob')).call('/notes', { method: 'POST', token })
    t.match(await post(token), { status: 403 })
    t.match(await post(await (await connect(t, port, 'alice')).token()), { text: 'written by alice\n' })
  })

for (const name of ['undici.ts', 'axios.ts', 'got.ts', 'oauth4webapi.ts', 'openid-client.ts'])
  t.test(`clients/${name} gets and uses tokens with its own certificate alone`, async t => {
    const ended = await runClient(`clients/${name}`)
    t.match(ended, { code: 0, stdout: /^level certificate.*: 200 200 200 200\nlevel connection.*: 200 200 200 200\n$/ })
    t.match(await runThief(`clients/${name}`), { code: 1, stdout: '' })
  })

t.test('the tests of an app pass', async t => {
  for (const name of ['plain-bearer.test.ts', 'bound.test.ts'])
    t.match(await run(process.execPath, ['--test', `examples/${name}`], folder), { code: 0, stdout: /pass 1\n/ }, name)
  const changed = place('bound.test.ts', { "server.connect('bob')": "server.connect('alice')" })
  const failed = await run(process.execPath, ['--test', '--test-force-exit', changed], folder)
  t.match(failed, { code: 1, stdout: /fail 1\n/ }, 'control')
})

/** Maps the path of each example in TypeScript to the packages in the last column of its row. */
function readPackages(page: string): Map<string, readonly string[]> {
  const packages = new Map<string, readonly string[]>()
  for (const table of page.split(/\n\n/).filter(text => text.startsWith('| file |'))) {
    const [header = '', , ...rows] = table.trimEnd().split('\n')
    for (const row of rows) {
      const cells = row.split(' | ')
      const last = header.endsWith('| packages |') ? (cells.at(-1) ?? '') : ''
      const names = [...last.matchAll(/`([^`]+)`/g)].map(([, name]) => name as string)
      for (const [, file] of (cells[0] ?? '').matchAll(/\]\(([^)]+\.ts)\)/g)) packages.set(file as string, names)
    }
  }
  return packages
}

/** The packages that a source imports, except those of Node and tlsbound, and files beside it. */
function importedPackages(source: string): string[] {
  const specifiers = [...source.matchAll(/^(?:import .*|\} )?from '([^']+)'|^import '([^']+)'/gm)]
  return specifiers
    .map(([, named, bare]) => /^(@[^/]+\/)?[^/]+/.exec(named ?? bare ?? '')?.[0] ?? '')
    .filter(name => !name.startsWith('node:') && name !== 'tlsbound' && name !== '.')
}
