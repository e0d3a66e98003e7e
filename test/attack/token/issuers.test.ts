// Tokens of other issuers whose header members and claims have every JSON type, by each kind of verifier: no member makes the
// verifier throw anything but a refusal, and no token with a changed header is accepted. JW01 – JW10, JW19, JW22, JW27; I2.
import { generateKeyPairSync, X509Certificate } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { CompactSign } from 'jose'
import t from 'tap'
import { createVerifier, mutualTls, OAuthError, readCertificate, type Verifier } from 'tlsbound'
import { makeDemoPki } from '../../../src/pki/demo.ts'
import { openConnection } from '../../../src/testing/connection.ts'

const pki = makeDemoPki()
const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const jwks = { keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'k' }] }
const issuer = { issuer: 'https://a.example', audience: 'api', jwks }
const verifiers: Readonly<Record<string, Verifier>> = {
  rfc9068: createVerifier(issuer),
  keycloak: createVerifier({ ...issuer, profile: 'keycloak' }),
  pingfederate: createVerifier({ ...issuer, profile: 'pingfederate' }),
  'two issuers': createVerifier({ issuers: [issuer, { ...issuer, issuer: 'https://b.example' }] }),
}
let verifier: Verifier
const server = mutualTls({ cert: pki.server.certificate, key: pki.server.key, ca: pki.ca.certificate })(
  (request: IncomingMessage, response: ServerResponse) => {
    verifier.verify(request).then(
      () => response.end('{}'),
      error => {
        if (error instanceof OAuthError) verifier.sendRefusal(response, error)
        else response.writeHead(500).end()
      },
    )
  },
)
await new Promise<void>(listening => server.listen(0, '127.0.0.1', listening))
t.teardown(() => server.close())
const { port } = server.address() as AddressInfo
const identity = { cert: pki.alice.certificate, key: pki.alice.key, ca: pki.ca.certificate }
const alice = await openConnection({ host: '127.0.0.1', port, servername: 'localhost', ...identity }, 'alice')
t.teardown(() => alice.close())

const now = Math.floor(Date.now() / 1000)
const header = { alg: 'ES256', typ: 'at+jwt', kid: 'k' }
const claims: Readonly<Record<string, unknown>> = {
  ...{ iss: 'https://a.example', aud: 'api', sub: 's', client_id: 'c', azp: 'c', jti: 'j', scope: 'x' },
  ...{ iat: now, exp: now + 600 },
  cnf: { 'x5t#S256': readCertificate(new X509Certificate(pki.alice.certificate)).thumbprint },
}
const others = ['typ', 'token_use', 'nonce', 'events', 'at_hash', 'grant', 'act', '__proto__', 'scp', 'nbf']
const values: readonly unknown[] = [
  ...[null, true, 0, -1, 1.5, '', 'x', '\u0000', '\ud800', '§'.repeat(300)],
  ...[[], ['x'], [null], [[['x']]], {}, { x: 1 }, { toString: 1, length: -1 }, Array(50).fill('a')],
]
const sign = (changed: object) =>
  new CompactSign(Buffer.from(JSON.stringify({ ...claims, ...changed }))).setProtectedHeader(header).sign(privateKey)

for (const [name, chosen] of Object.entries(verifiers))
  t.test(`answers below 500 to members of every JSON type: ${name}`, async t => {
    verifier = chosen
    const token = await sign({})
    t.match(await alice.get('/', token), { status: 200 }, 'control')
    const problems: string[] = []
    let count = 0
    for (const value of values) {
      for (const claim of [...Object.keys(claims), ...others]) {
        const { status } = await alice.get(
          '/',
          await sign(JSON.parse(`{${JSON.stringify(claim)}:${JSON.stringify(value)}}`)),
        )
        count++
        const isNeeded = ['iss', 'aud', 'exp', 'cnf'].includes(claim)
        if (status >= 500 || (isNeeded && status === 200)) problems.push(`${claim} ${JSON.stringify(value)}: ${status}`)
      }
      for (const member of ['alg', 'typ', 'kid', 'crit', 'b64', 'jku', 'jwk', 'x5c']) {
        const [, payload, signature] = token.split('.')
        const changed = Buffer.from(JSON.stringify({ ...header, [member]: value })).toString('base64url')
        const { status } = await alice.get('/', `${changed}.${payload}.${signature}`)
        count++
        if (status >= 500 || status === 200) problems.push(`header ${member} ${JSON.stringify(value)}: ${status}`)
      }
    }
    t.same(problems, [])
    t.comment(`tokens tried: ${count}`)
  })
