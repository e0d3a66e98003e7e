// The resource servers in examples/verifiers, which verify tokens without tlsbound: with jose, PyJWT, and Go's standard library.
// RFC 8705 §3, RFC 9068 §4, RFC 8725 §3. Needs the Debian packages python3-jwt, python3-cryptography and golang-go.
import { execFile } from 'node:child_process'
import { createPublicKey, hash, type JsonWebKey, X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, globSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { basename, join, resolve } from 'node:path'
import { connect } from 'node:tls'
import { promisify } from 'node:util'
import { decodeJwt, exportJWK, generateKeyPair, importJWK, type JWK, SignJWT } from 'jose'
import t from 'tap'
import { rotateKeysFile } from '../../src/process/signing-keys.ts'
import { findFreePort } from '../../src/testing/free-port.ts'
import { connectAs, readExample, startExample } from '../helpers/process/example.ts'
import { startTlsbound } from '../helpers/process/process.ts'

t.setTimeout(300_000) // Go may have to compile its standard library first

const folder = t.testdir()
const certs = join(folder, 'certs')
const server = await startTlsbound(t, folder)
const thumbprint = (who: string) =>
  hash('sha256', new X509Certificate(readFileSync(join(certs, `${who}.crt`))).raw, 'base64url')

const alice = await server.connect('alice')
// Libraries must ignore the key for PASETO in the key set, whose alg they do not know.
await rotateKeysFile(join(folder, 'data/signing-keys.json'), 'v4.public', Math.floor(Date.now() / 1000) - 300)
server.child.kill('SIGHUP')
await server.seen(/signing key k4\.pid\.\S+: added/)
const genuine = await alice.token({ token_binding: 'certificate' })
const payload = decodeJwt(genuine)
const [own] = (JSON.parse(readFileSync(join(folder, 'data/signing-keys.json'), 'utf8')) as { keys: [JWK] }).keys
const kid = own.kid as string
const now = Math.floor(Date.now() / 1000)

/** A token with the issuer's own signature: what a verifier refuses in it, it refuses for the changed claim alone. */
async function sign(claims: object, header: { typ?: string; kid?: string } = {}, key = own): Promise<string> {
  const jwt = new SignJWT({ ...payload, ...claims })
  return jwt.setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid, ...header }).sign(await importJWK(key, 'ES256'))
}
const segment = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')

const other = await generateKeyPair('ES256', { extractable: true })
const rsa = await generateKeyPair('RS256')
const publicPem = createPublicKey({ key: own as JsonWebKey, format: 'jwk' }).export({ type: 'spki', format: 'pem' })
const withAlg = (alg: string, key: Parameters<SignJWT['sign']>[0]) =>
  new SignJWT(payload).setProtectedHeader({ alg, typ: 'at+jwt', kid }).sign(key)

const refused: Readonly<Record<string, string>> = {
  'of level connection': await alice.token(),
  'of level proof': await alice.token({ token_binding: 'proof' }),
  'without cnf': await sign({ cnf: undefined }),
  'with an empty cnf': await sign({ cnf: {} }),
  'with the thumbprint of another certificate': await sign({ cnf: { 'x5t#S256': thumbprint('bob') } }),
  'with a second member of cnf': await sign({ cnf: { 'x5t#S256': thumbprint('alice'), jkt: 'x' } }),
  'with a thumbprint in a list': await sign({ cnf: { 'x5t#S256': [thumbprint('alice')] } }),
  'that has expired': await sign({ iat: now - 600, exp: now - 300 }),
  'without exp': await sign({ exp: undefined }),
  'for another audience': await sign({ aud: 'https://other.example' }),
  'without aud': await sign({ aud: undefined }),
  'of another issuer': await sign({ iss: 'https://other.example' }),
  'without iss': await sign({ iss: undefined }),
  'that is not an access token': await sign({}, { typ: 'JWT' }),
  'with an unknown kid': await sign({}, { kid: 'unknown' }),
  'signed with another key': await sign({}, {}, await exportJWK(other.privateKey)),
  'with a changed claim': genuine.replace(/\..*\./, `.${segment({ ...payload, client_id: 'mallory' })}.`),
  'with alg none': `${segment({ alg: 'none', typ: 'at+jwt', kid })}.${segment(payload)}.`,
  'with alg HS256 and the public key as its secret': await withAlg('HS256', Buffer.from(publicPem)),
  'with alg RS256': await withAlg('RS256', rsa.privateKey),
  'that is no JWT': 'x',
  'with three empty parts': '..',
}

type Start = (name: string, port: number, issuerPort?: number) => Promise<readonly [string, ...string[]]>

/** Writes an example for other ports, and returns its path. */
function write(name: string, port: number, issuerPort = server.port): string {
  const path = join(folder, basename(name))
  const text = readExample(name, issuerPort)
  writeFileSync(path, text.replace(/8444/, String(port)))
  return path
}

const verifiers: Readonly<Record<string, Start>> = {
  'jose.ts': async (name, port, issuerPort) => {
    if (!existsSync(join(folder, 'node_modules'))) symlinkSync(resolve('node_modules'), join(folder, 'node_modules'))
    return [process.execPath, write(name, port, issuerPort)]
  },
  // Not the first python3 of PATH, which may be one without the Debian packages.
  'pyjwt.py': async (name, port, issuerPort) => ['/usr/bin/python3', write(name, port, issuerPort)],
  go: async (name, port, issuerPort) => {
    const sources = readdirSync(join('examples', name)).map(file => write(join(name, file), port, issuerPort))
    const program = join(folder, 'verifier')
    await promisify(execFile)('go', ['build', '-o', program, ...sources])
    return [program]
  },
}

t.test('has a test for each verifier', async t => {
  t.same(readdirSync('examples/verifiers').sort(), Object.keys(verifiers).sort())
  for (const path of globSync('examples/verifiers/**/*.*'))
    t.ok(readFileSync(path, 'utf8').trimEnd().split('\n').length <= 60, `${path} is short enough to be copied`)
})

const environment = { NODE_EXTRA_CA_CERTS: join(certs, 'ca.crt'), HOME: folder }
const pem = (name: string) => readFileSync(join(certs, name), 'utf8')
const identity = { cert: pem('alice.crt'), key: pem('alice.key'), ca: pem('ca.crt') }

/** Sends one request on a new connection as alice. Returns the session for the next one, and whether this one was resumed. */
async function openSession(port: number, session?: Buffer): Promise<{ session: Buffer | undefined; resumed: boolean }> {
  const socket = connect({ host: '127.0.0.1', port, servername: 'localhost', ...identity, ...(session && { session }) })
  let next: Buffer | undefined
  socket.on('session', given => (next = given))
  await once(socket, 'secureConnect')
  const resumed = socket.isSessionReused()
  socket.resume().write('GET /notes HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')
  await once(socket, 'close')
  return { session: next, resumed }
}
const resumes = async (port: number) => (await openSession(port, (await openSession(port)).session)).resumed

for (const [name, start] of Object.entries(verifiers))
  t.test(`${name} accepts a token of level certificate on a connection of its certificate alone`, async t => {
    const port = await findFreePort()
    const command = await start(`verifiers/${name}`, port)
    await startExample(t, port, command, folder, environment)
    const use = async (token: string | undefined, who: string | null = 'alice') => {
      const connection = await connectAs(t, port, who, certs)
      return connection.get('/notes', token)
    }
    const accepted = { status: 200, text: 'notes of alice\n' }
    t.match(await use(genuine), accepted, 'the token of the server')
    t.match(await use(await sign({})), accepted, 'control: the same claims, signed here')
    t.match(await use(genuine, 'bob'), { status: 401 }, 'with another trusted certificate')
    await t.rejects(use(genuine, null), 'without a certificate')
    await t.rejects(use(genuine, 'stranger'), 'with a certificate of another authority')
    for (const [what, token] of Object.entries(refused)) {
      const { status, headers } = await use(token)
      t.match([status, headers['www-authenticate']], [401, /^Bearer error="invalid_token"/], `a token ${what}`)
    }
    t.match(await use(undefined), { status: 401 }, 'without a token')
    t.match(await use(await sign({ scope: 'notes:write' })), { status: 403 }, 'without the scope')
    t.match(await use(genuine), accepted, 'and it still accepts the first one')
  })

for (const [name, start] of Object.entries(verifiers))
  t.test(`${name} resumes no TLS connection, and accepts no token without the keys of the issuer`, async t => {
    const port = await findFreePort()
    await startExample(t, port, await start(`verifiers/${name}`, port, await findFreePort()), folder, environment)
    t.equal(await resumes(port), false)
    const { status } = await (await connectAs(t, port, 'alice', certs)).get('/notes', genuine)
    t.equal(status, name === 'pyjwt.py' ? 401 : 503)
  })

t.test('control: a server with the defaults of Node resumes TLS connections', async t => {
  const defaults = createServer({ cert: pem('server.crt'), key: pem('server.key') }, (_request, response) =>
    response.end(),
  )
  await new Promise<void>(done => defaults.listen(0, '127.0.0.1', done))
  t.teardown(() => defaults.close())
  t.equal(await resumes((defaults.address() as AddressInfo).port), true)
})
