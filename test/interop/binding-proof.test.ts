// Level proof across servers: a token of one server, used at another, each in its own process. The other one is
// examples/bound.ts; jose signs the proofs. draft-mw-oauth-tls-session-bound-tokens §2.3, §3.3, §3.5; N-24, N-47, N-56 –
// N-59, CB01.
import { spawn } from 'node:child_process'
import { createPrivateKey, hash, X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { SignJWT } from 'jose'
import t from 'tap'
import { openConnection, type TestConnection } from '../../src/testing/connection.ts'
import { findFreePort } from '../../src/testing/free-port.ts'
import { startTlsbound } from '../helpers/process/process.ts'

t.setTimeout(120_000) // two servers, each slow to start on a busy machine
const folder = t.testdir()
const pem = (name: string) => readFileSync(join(folder, 'certs', name), 'utf8')
const issuer = await startTlsbound(t, folder)
const resource = await startResourceServer()

/** Runs examples/bound.ts as its first lines describe, with other ports than the demo's. */
async function startResourceServer(): Promise<{ port: number }> {
  const port = await findFreePort()
  const source = readFileSync('examples/bound.ts', 'utf8')
    .replace('localhost:8443', `localhost:${issuer.port}`)
    .replace('port: 8444', `port: ${port}`)
  writeFileSync(join(folder, 'bound.ts'), `${source}\nprocess.stdout.write('listening')\n`)
  const child = spawn(process.execPath, ['--conditions=tlsbound-source', 'bound.ts'], {
    cwd: folder,
    env: { PATH: process.env.PATH, NODE_EXTRA_CA_CERTS: 'certs/ca.crt' },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const closed = once(child, 'close')
  t.teardown(() => {
    child.kill('SIGKILL')
    return closed
  })
  let errors = ''
  child.stderr.on('data', chunk => (errors += chunk))
  const ended = closed.then(() => Promise.reject(new Error(`examples/bound.ts ended: ${errors}`)))
  ended.catch(() => {}) // a failed test ends it too
  await Promise.race([once(child.stdout, 'data'), ended])
  return { port }
}

type Name = 'alice' | 'bob'

async function connectToResource(who: Name, protocol: string): Promise<TestConnection> {
  const identity = { cert: pem(`${who}.crt`), key: pem(`${who}.key`), ca: pem('ca.crt') }
  const to = { host: '127.0.0.1', port: resource.port, servername: 'localhost', ALPNProtocols: [protocol] }
  const connection = await openConnection({ ...to, ...identity }, who)
  t.teardown(() => connection.close())
  return connection
}

/** A proof as the draft describes it, built without tlsbound's code. */
function prove({ socket }: TestConnection, token: string, who: Name): Promise<string> {
  const x5t = hash('sha256', new X509Certificate(pem(`${who}.crt`)).raw, 'base64url')
  const exported = socket.exportKeyingMaterial(32, 'EXPORTER-oauth-tls-session-bound', Buffer.alloc(0))
  return new SignJWT({ ath: hash('sha256', token, 'base64url'), ekm: exported.toString('base64url') })
    .setProtectedHeader({ typ: 'tls-binding-proof+jwt', alg: 'ES256', 'x5t#S256': x5t })
    .setIssuedAt()
    .sign(createPrivateKey(pem(`${who}.key`)))
}

const accepted = { status: 200, text: 'notes of alice\n' }
const refused = (error: string, reason: string) => ({
  status: 401,
  headers: { 'www-authenticate': new RegExp(`^Bearer error="${error}"`) },
  body: { error, reason },
})
const missing = refused('use_session_binding', 'proof_missing')
const invalid = refused('invalid_proof', 'proof_invalid')

for (const protocol of ['http/1.1', 'h2']) {
  t.test(
    `accepts a token of the issuer at another server, with a proof signed there: ${protocol} (N-57, N-59)`,
    async t => {
      const home = await issuer.connect('alice', { ALPNProtocols: [protocol] })
      const token = await home.token({ token_binding: 'proof' })
      home.close() // unlike a connection-bound token, it outlives its connection

      const [one, two] = [await connectToResource('alice', protocol), await connectToResource('alice', protocol)]
      t.equal(one.socket.alpnProtocol, protocol)
      const proof = await prove(one, token, 'alice')
      t.match(await one.get('/notes', token), missing)
      t.match(await one.get('/notes', token, proof), accepted)
      t.match(await one.get('/notes', token, proof), accepted, 'one proof for all requests of its connection')
      t.match(await one.get('/notes', token), missing, 'but never without one (N-47)')
      t.match(await two.get('/notes', token, proof), invalid, 'a second connection of the same certificate')
      t.match(await two.get('/notes', token, await prove(two, token, 'alice')), accepted, 'control')
    },
  )

  t.test(`rejects at each server a proof for a connection to the other: ${protocol}`, async t => {
    const [home, there] = [
      await issuer.connect('alice', { ALPNProtocols: [protocol] }),
      await connectToResource('alice', protocol),
    ]
    const token = await home.token({ token_binding: 'proof' })
    const [forHome, forThere] = [await prove(home, token, 'alice'), await prove(there, token, 'alice')]
    t.match(await there.get('/notes', token, forHome), invalid)
    t.match(await there.get('/notes', token, forThere), accepted, 'control')
    t.match(await home.get('/api/notes', token, forThere), invalid)
    t.match(await home.get('/api/notes', token, forHome), { status: 200 }, 'control')
  })

  t.test(`rejects a stolen token and proof without the certificate's key: ${protocol} (N-24)`, async t => {
    const [alice, bob] = [await connectToResource('alice', protocol), await connectToResource('bob', protocol)]
    const token = await (await issuer.connect('alice')).token({ token_binding: 'proof' })
    const proof = await prove(alice, token, 'alice')
    const mismatch = refused('invalid_token', 'certificate_mismatch')
    for (const stolen of [undefined, proof, await prove(bob, token, 'bob'), await prove(bob, token, 'alice')])
      t.match(await bob.get('/notes', token, stolen), mismatch)
    t.match(await alice.get('/notes', token, proof), accepted, 'control')
    const own = await (await issuer.connect('bob')).token({ token_binding: 'proof' })
    const asBob = { status: 200, text: 'notes of bob\n' }
    t.match(await bob.get('/notes', own, await prove(bob, own, 'bob')), asBob, 'control')
  })
}

t.test('accepts certificate-bound tokens at the other server, and no connection-bound one (N-24, CB01)', async t => {
  const home = await issuer.connect('alice')
  const there = await connectToResource('alice', 'http/1.1')
  t.match(await there.get('/notes', await home.token({ token_binding: 'certificate' })), accepted)
  const bound = await home.token({ token_binding: 'connection' })
  const mismatch = refused('invalid_token', 'connection_mismatch')
  t.match(await there.get('/notes', bound), mismatch)
  t.match(await there.get('/notes', bound, await prove(there, bound, 'alice')), mismatch, 'a proof has no effect')
  t.match(await home.get('/api/notes', bound), { status: 200 }, 'control')
})
