// Services in Python, Go and Node behind a gateway, as processes: unchanged ones at level connection, and ones that verify the
// assertion. Needs the Debian packages python3, python3-flask, python3-jwt, python3-cryptography and golang-go.
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join, resolve } from 'node:path'
import t from 'tap'
import { createKeyRing } from '../../src/keys/key-ring.ts'
import { importSigningKeys } from '../../src/keys/token-keys.ts'
import type { TestConnection } from '../../src/testing/connection.ts'
import { findFreePort } from '../../src/testing/free-port.ts'
import { run, startTlsbound } from '../helpers/process/process.ts'
import { patience } from '../helpers/until.ts'

t.setTimeout(300_000) // Go may have to compile its standard library first

/** The Python of Debian, which has Debian's packages. */
const python = '/usr/bin/python3'
const folder = t.testdir()
const ports = await Promise.all([findFreePort(), findFreePort(), findFreePort(), findFreePort(), findFreePort()])
const [plainPython, plainGo, flask, go, node] = ports.map(port => `http://127.0.0.1:${port}`) as [
  string,
  string,
  string,
  string,
  string,
]

const plainService = `package main

import "net/http"

func main() {
	http.HandleFunc("/hello", func(w http.ResponseWriter, r *http.Request) { w.Write([]byte("hello from Go")) })
	http.ListenAndServe("${plainGo.slice(7)}", nil)
}
`
mkdirSync(join(folder, 'www'))
mkdirSync(join(folder, 'go'))
writeFileSync(join(folder, 'www/hello'), 'hello from Python')
writeFileSync(join(folder, 'go/main.go'), plainService)

/** Compiles a Go program. */
async function build(source: string, program: string): Promise<string> {
  const path = join(folder, program)
  const { code, stderr } = await run('go', ['build', '-o', path, source], folder, { HOME: process.env.HOME ?? folder })
  if (code !== 0) throw new Error(`Go does not compile ${source} (Debian package golang-go): ${stderr}`)
  return path
}

function start(command: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): void {
  const child: ChildProcess = spawn(command, args, {
    cwd: folder,
    env: { PATH: process.env.PATH, ...env },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let words = ''
  child.stderr?.on('data', chunk => (words += chunk))
  child.on('exit', code => code !== null && t.fail(`${command} ${args.join(' ')} has ended with ${code}: ${words}`))
  t.teardown(() => child.kill('SIGKILL'))
}

async function untilListening(address: string): Promise<void> {
  const started = Date.now()
  for (;;) {
    const { port } = new URL(address)
    const answers = await new Promise<boolean>(done => {
      const socket = connect(Number(port), '127.0.0.1', () => done(true)).on('error', () => done(false))
      socket.once('connect', () => socket.destroy())
    })
    if (answers) return
    if (Date.now() - started > patience) throw new Error(`nothing listens on ${address}`)
    await new Promise(resolve => setTimeout(resolve, 50))
  }
}

const binding = 'connection'
writeFileSync(
  join(folder, 'routes.json'),
  JSON.stringify([
    { path: '/python/', upstream: plainPython, scope: 'notes:read', binding, strip_path: true },
    { path: '/golang/', upstream: plainGo, scope: 'notes:read', binding, strip_path: true },
    { path: '/py/', upstream: flask },
    { path: '/go/', upstream: go },
    { path: '/node/', upstream: node },
  ]),
)
const server = await startTlsbound(t, folder, { TLSBOUND_GATEWAY_FILE: 'routes.json' })
const issuer = `https://localhost:${server.port}`
const serviceEnv = (upstream: string) => ({ ISSUER: issuer, UPSTREAM: upstream, CA: 'certs/ca.crt' })

start(python, ['-m', 'http.server', new URL(plainPython).port, '--bind', '127.0.0.1', '--directory', 'www'])
start(python, ['-m', 'flask', '--app', resolve('examples/gateway/app.py'), 'run', '--port', new URL(flask).port], {
  ...serviceEnv(flask),
  PYTHONDONTWRITEBYTECODE: '1',
})
start(process.execPath, ['--conditions=tlsbound-source', resolve('examples/gateway/app.ts')], serviceEnv(node))
start(await build(join(folder, 'go/main.go'), 'plain'), [])
start(await build(resolve('examples/gateway/main.go'), 'verifying'), [], serviceEnv(go))
await Promise.all([plainPython, plainGo, flask, go, node].map(untilListening))

for (const [name, path, text] of [
  ['Python', '/python/hello', 'hello from Python'],
  ['Go', '/golang/hello', 'hello from Go'],
] as const)
  t.test(`an unchanged service in ${name} is protected at level connection`, async t => {
    const alice = await server.connect('alice')
    const token = await alice.token()
    t.match(await alice.get(path, token), { status: 200, text })
    const stolen = await (await server.connect('alice')).get(path, token)
    t.match(stolen, { status: 401, body: { reason: 'connection_mismatch' } })
    t.match(await alice.get(path, await alice.token({ token_binding: 'certificate' })), {
      body: { reason: 'binding_too_weak' },
    })
    t.match(await alice.get(path), { status: 401, body: { reason: 'no_token' } })
    t.match(await alice.get(path, token), { status: 200 }, 'control')
  })

/** A request to a service without the gateway. */
async function ask(address: string, assertion?: string): Promise<number> {
  return (await fetch(address, assertion === undefined ? {} : { headers: { 'Tlsbound-Assertion': assertion } })).status
}

const verifying: readonly (readonly [name: string, path: string, address: string])[] = [
  ['Flask', '/py/whoami', flask],
  ['Go', '/go/whoami', go],
  ['Express', '/node/whoami', node],
]
for (const [name, path, address] of verifying)
  t.test(`a service in ${name} verifies the assertion, and accepts no request around the gateway`, async t => {
    const alice: TestConnection = await server.connect('alice')
    const token = await alice.token()
    t.match(await alice.get(path, token), { status: 200, body: { sub: 'alice', token_binding: 'connection' } })
    t.equal(await ask(`${address}${path}`), 401)
    t.equal(await ask(`${address}${path}`, token), 401, 'an access token is no assertion')
    t.equal(await ask(`${address}${path}`, 'e30.e30.e30'), 401)
    t.equal(
      await ask(`${address}${path}`, await assertionFor(address === flask ? go : flask)),
      401,
      'one for another service',
    )
    t.equal(await ask(`${address}${path}`, await assertionFor(address)), 200, 'control')
  })

/** An assertion by the server's own key, for a service. */
async function assertionFor(audience: string): Promise<string> {
  const now = Math.floor(Date.now() / 1000)
  const { keys } = JSON.parse(readFileSync(join(folder, 'data/signing-keys.json'), 'utf8'))
  const claims = { iss: issuer, aud: audience, sub: 'alice', token_binding: 'connection', iat: now, exp: now + 60 }
  return createKeyRing(await importSigningKeys(keys), now).sign(claims, now, 'tlsbound-assertion+jwt')
}
