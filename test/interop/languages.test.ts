// The clients in examples/ in other languages, as processes against a server process. Their own checks are tested too: by the
// server's events, and by a man in the middle that they must detect. RFC 5929 §3, RFC 8705 §3, RFC 9266; CB01, CB10, CB11,
// CB27; N-25, N-56, N-57.
import { execFile } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { join, resolve } from 'node:path'
import { pipeline } from 'node:stream'
import { connect, createServer, type SecureVersion, type TLSSocket } from 'node:tls'
import t from 'tap'
import { startTlsbound } from '../helpers/process/process.ts'

t.setTimeout(300_000) // Go may have to compile its standard library first

const folder = t.testdir()
const env = { TLSBOUND_TLS_MIN_VERSION: 'TLSv1.2', TLSBOUND_AUDIT_FILE: 'events.jsonl' }
const server = await startTlsbound(t, folder, env)
const origin = `https://localhost:${server.port}`
const debianPackages = { python3: 'python3', go: 'golang-go' }

interface Ended {
  /** The exit code, or null if it took too long. */
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs a program in the folder of the certificates. Rejects if `language` is not installed. */
function run(language: keyof typeof debianPackages, program: string, ...args: readonly string[]): Promise<Ended> {
  return new Promise((done, failed) => {
    execFile(program, args, { cwd: folder, timeout: 240_000, killSignal: 'SIGKILL' }, (error, stdout, stderr) => {
      if (error?.code === 'ENOENT')
        failed(new Error(`this test needs ${language}: install the Debian package ${debianPackages[language]}`))
      else done({ code: error === null ? 0 : typeof error.code === 'number' ? error.code : null, stdout, stderr })
    })
  })
}

const python = (origin: string) => run('python3', 'python3', resolve('examples/python/notes.py'), origin)

/** Compiled once; `go run` would link it again each time. */
const compiled = (async () => {
  const program = join(folder, 'notes')
  const sources = readdirSync('examples/go').filter(name => name.endsWith('.go'))
  const paths = sources.map(name => resolve('examples/go', name))
  const { code, stderr } = await run('go', 'go', 'build', '-o', program, ...paths)
  if (code !== 0) throw new Error(`examples/go does not compile: ${stderr}`)
  return program
})()
compiled.catch(() => {}) // shown to the developer
const go = async (origin: string) => run('go', await compiled, origin)

/** The server's view of a client: level and TLS version of each token, and the reason of each refusal. */
async function seenDuring<Result>(client: () => Promise<Result>): Promise<{ ended: Result; seen: string[] }> {
  const events = () => readFileSync(join(folder, env.TLSBOUND_AUDIT_FILE), 'utf8') // written before each response
  const before = events().length
  const ended = await client()
  const lines = events().slice(before).trim().split('\n')
  const seen = lines.map(line => {
    const { event, token_binding, tls, reason } = JSON.parse(line)
    return event === 'token.issued' ? `${token_binding} on ${tls}` : reason
  })
  return { ended, seen }
}

t.test(
  'issues the Python client a certificate-bound token, and one bound by tls-unique on TLS 1.2 (CB01, CB10)',
  async t => {
    const { ended, seen } = await seenDuring(() => python(origin))
    t.match(ended, { code: 0, stderr: '' })
    for (const line of [
      /cnf names the client certificate and nothing else: \{'x5t#S256': '[\w-]{43}'\}$/m, // N-25
      /it is accepted on a second connection: \(200, None\)$/m,
      /cnf names the tls-unique of the client's end: [\w-]{43}$/m,
      /it is accepted on this connection: \(200, None\)$/m,
      /it is refused on another one: \(401, 'connection_mismatch'\)$/m,
      /^All checks passed\.\n$/m,
    ])
      t.match(ended.stdout, line)
    t.same(seen, ['certificate on TLSv1.3', 'connection on TLSv1.2', 'connection_mismatch'])
  },
)

t.test(
  'issues the Go client bound tokens, and accepts its binding proofs and signed requests (CB01, CB11, N-56, N-57)',
  async t => {
    const { ended, seen } = await seenDuring(() => go(origin))
    t.match(ended, { code: 0, stderr: '' })
    for (const line of [
      /cnf names the client certificate: [\w-]{43}$/m,
      /cnf names the tls-exporter of the client's end: [\w-]{43}$/m,
      /it is accepted on this connection: 200$/m,
      /it is refused on another one: 401 invalid_token connection_mismatch$/m,
      /it is accepted on a second connection: 200$/m,
      /it is refused without a proof: 401 use_session_binding proof_missing$/m,
      /that proof is refused on a third connection: 401 invalid_proof proof_invalid$/m,
      /where its own proof is accepted: 200$/m,
      /it refuses an unsigned request: 401 use_signed_request signature_missing$/m,
      /it accepts a GET that is signed when it asks: 200$/m,
      /and a POST: 201$/m,
      /it refuses another body under a signature: 401 invalid_signature digest_invalid$/m,
      /it refuses the request on another connection: 401 invalid_signature signature_invalid$/m,
      /it accepts it on its own: 201$/m,
      /and not a second time: 401 invalid_signature signature_invalid$/m,
      /^All checks passed\.\n$/m,
    ])
      t.match(ended.stdout, line)
    t.same(seen, [
      ...['connection on TLSv1.3', 'connection_mismatch'],
      ...['proof on TLSv1.3', 'proof_missing', 'proof_invalid'],
      ...['certificate on TLSv1.3', 'signature_missing', 'signature_missing', 'signature_missing'],
      ...['digest_invalid', 'signature_invalid', 'signature_invalid'],
    ])
  },
)

t.test('lets both clients detect a man in the middle with the keys of server and client (CB27)', async t => {
  const pem = (name: string) => readFileSync(join(folder, 'certs', name))
  const ALPNProtocols = ['http/1.1']
  const middle = createServer({ cert: pem('server.crt'), key: pem('server.key'), ALPNProtocols }, near => {
    const version = near.getProtocol() as SecureVersion
    const alice = { cert: pem('alice.crt'), key: pem('alice.key'), ca: pem('ca.crt') }
    const versions = { minVersion: version, maxVersion: version }
    const to = { host: '127.0.0.1', port: server.port, servername: 'localhost' }
    const far: TLSSocket = connect({ ...to, ...alice, ...versions, ALPNProtocols })
    pipeline(near, far, near, () => {})
  })
  await new Promise<void>(listening => middle.listen(0, '127.0.0.1', listening))
  t.teardown(() => middle.close())
  const there = `https://localhost:${(middle.address() as AddressInfo).port}`

  const { ended, seen } = await seenDuring(() => python(there))
  t.match(ended.stdout, /it is accepted on a second connection: \(200, None\)$/m, 'control: it forwards unchanged')
  t.match(ended.stderr, /cnf names the tls-unique of the client's end: expected [\w-]{43}, found [\w-]{43}$/m)
  t.equal(ended.code, 1)
  t.same(seen, ['certificate on TLSv1.3', 'connection on TLSv1.2'])

  const { ended: other } = await seenDuring(() => go(there))
  t.match(other.stdout, /cnf names the client certificate: [\w-]{43}$/m, 'control')
  t.match(other.stderr, /cnf names the tls-exporter of the client's end: expected [\w-]{43}, found [\w-]{43}$/m)
  t.equal(other.code, 1)
})
