// Checks of a running server from outside: the real server, and servers with common faults.
import { constants, hash } from 'node:crypto'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { examineOutside } from '../../src/doctor/doctor.ts'
import { issueCertificate } from '../../src/pki/certificate.ts'
import { findFreePort } from '../../src/testing/free-port.ts'
import { startTestServer, type TestServer } from '../../src/testing/server.ts'
import { linesOf } from '../helpers/process/findings.ts'
import { startBrokenServer } from '../helpers/server/broken-server.ts'

t.setTimeout(120_000)

async function examine({ origin: url, pki }: TestServer, who: 'alice' | 'stranger' | null) {
  const identity = who === null ? undefined : { ...pki[who], ca: pki.ca.certificate }
  return examineOutside({ url, identity, ca: identity === undefined ? pki.ca.certificate : undefined, now: Date.now() })
}
const of = (check: string, findings: Awaited<ReturnType<typeof examine>>) =>
  linesOf(findings.filter(finding => finding.check === check))

t.test('reports no failure for the real server, and describes it', async t => {
  const server = await startTestServer({ env: { TLSBOUND_PORT: String(await findFreePort()) } })
  t.teardown(() => server.close())
  const findings = await examine(server, 'alice')
  t.match(of('tls', findings), [
    /^✓ connected with TLSv1\.3, TLS_/,
    /^! the server certificate expires in \d+ days/,
    '✓ TLS 1.3 is accepted',
    '✓ TLS 1.2 is not accepted',
    '✓ TLS 1.1 and TLS 1.0 are not accepted',
    /^✓ sessions are not resumed/,
    '✓ renegotiation is not possible: TLS 1.3 does not have it',
  ])
  t.match(of('metadata', findings), [
    `✓ the metadata names the issuer ${server.origin}`,
    `✓ token_endpoint: ${server.origin}/oauth/token`,
    `✓ jwks_uri: ${server.origin}/oauth/jwks`,
    /^✓ tokens are bound to: .*connection/,
    /^✓ keys: \S+ ES256$/,
  ])
  t.match(of('binding', findings), [
    /^✓ the server accepts the certificate of CN=alice, [\w-]{43}$/,
    '✓ both ends see the same channel bindings',
  ])
  t.match(of('clock', findings), [/^✓ this clock agrees with the clock of localhost:\d+$/])
  t.same(
    server.events.filter(({ outcome }) => outcome === 'refused'),
    [],
    'the server refuses none of the requests',
  )
})

t.test('connects without a certificate, and reports a certificate that the server rejects', async t => {
  const server = await startTestServer()
  t.teardown(() => server.close())
  t.match(of('binding', await examine(server, null)), [/^✓ no certificate was presented: pass --cert, --key and --ca/])
  t.match(of('binding', await examine(server, 'stranger')), [
    /^✗ the server rejects the presented certificate: certificate_untrusted; read the detail of the refusal/,
    /^(✓|✗) /,
  ])
})

t.test('reports resumption and renegotiation', async t => {
  const resuming = await startBrokenServer('resumes')
  t.teardown(() => resuming.close())
  const found = of('tls', await examine(resuming, 'alice'))
  t.match(found, [
    /^✓/,
    /^!/,
    '✓ TLS 1.3 is accepted',
    /^! TLS 1\.2 is accepted: /,
    /^✓/,
    /^✗ sessions are resumed: with a stolen ticket/,
    '✓ renegotiation is rejected',
  ])

  const renegotiating = await startBrokenServer('renegotiates')
  t.teardown(() => renegotiating.close())
  t.match(
    of('tls', await examine(renegotiating, 'alice')).at(-1),
    /^✗ renegotiation is accepted: the certificate of a connection can change/,
  )
})

/** Starts an HTTPS server that returns documents by path. */
async function serve(
  t: Test,
  server: TestServer,
  documents: (origin: string) => Readonly<Record<string, unknown>>,
  options = {},
) {
  const { certificate, key } = server.pki.server
  let origin = ''
  const other = createServer({ cert: certificate, key, ...options }, (request, response) => {
    const document = documents(origin)[request.url as string]
    response.writeHead(document === undefined ? 404 : 200, { 'content-type': 'application/json' })
    response.end(JSON.stringify(document))
  })
  await new Promise<void>(listening => other.listen(0, '127.0.0.1', listening))
  t.teardown(() => other.close())
  origin = `https://localhost:${(other.address() as AddressInfo).port}`
  return { ...server, origin } as TestServer
}

t.test('reports old TLS versions, metadata of another issuer, and missing pages of another server', async t => {
  const server = await startTestServer()
  t.teardown(() => server.close())
  const wellKnown = '/.well-known/oauth-authorization-server'
  const old = {
    minVersion: 'TLSv1',
    maxVersion: 'TLSv1.2',
    ciphers: 'DEFAULT:@SECLEVEL=0',
    secureOptions: constants.SSL_OP_NO_TICKET,
  } as const
  const other = await serve(t, server, () => ({ [wellKnown]: { issuer: 'https://as.example' } }), old)
  const findings = await examine(other, 'alice')
  const tls = of('tls', findings)
  t.match(tls.slice(2, 5), [
    '✗ TLS 1.3 is not accepted; enable it',
    /^! TLS 1\.2 is accepted/,
    /^✗ TLS 1\.1 or TLS 1\.0 is accepted; disable both/,
  ])
  t.match(of('metadata', findings), [
    /^✗ .*the document is that of "https:\/\/as\.example", not of the issuer .*; set the issuer exactly as it names itself$/,
  ])
  t.match(of('binding', findings), [/^✗ /])

  const bare = await serve(t, server, origin => ({
    [wellKnown]: { issuer: origin, token_endpoint: 'http://localhost/token', jwks_uri: `${origin}/keys` },
    '/keys': { keys: [] },
  }))
  const some = await examine(bare, 'alice')
  t.match(of('metadata', some), [
    /^✓ the metadata names the issuer /,
    /^✗ .*token_endpoint in the metadata of the issuer is "http:\/\/localhost\/token"; it must be an https URL/,
    /^✓ jwks_uri: /,
    '✗ the metadata declares no binding of tokens; declare it as in RFC 8705 section 3.3',
    '✗ the key set contains no keys',
  ])
  t.match(of('binding', some), [/^! https:\/\/localhost:\d+\/binding: no such page/])
  t.match(
    of('tls', some).find(line => line.includes('sessions')),
    /^✗ sessions are resumed/,
    'the default of Node',
  )
})

t.test('detects a proxy that terminates TLS by channel binding and certificate', async t => {
  const server = await startTestServer()
  t.teardown(() => server.close())
  const thumbprint = hash('sha256', server.pki.alice.x509.raw, 'base64url')
  const seen = async (certificate: unknown) => {
    const document = { certificate, bindings: { 'tls-exporter': 'of another connection' } }
    return of('binding', await examine(await serve(t, server, () => ({ '/binding': document })), 'alice'))
  }
  const differ = /^✗ the channel bindings differ: a proxy in between terminates TLS; make it forward TCP/
  t.match(await seen({ subject: 'CN=alice', 'x5t#S256': thumbprint }), [
    /^✓ the server accepts the certificate of CN=alice/,
    differ,
  ])
  t.match(await seen(null), [
    '✗ the server received no client certificate; make it request client certificates',
    differ,
  ])
  t.match(await seen({ subject: 'CN=proxy', 'x5t#S256': 'x' }), [
    /^✗ the server received another certificate: /,
    differ,
  ])
})

t.test('reports an unreachable server, a wrong name and an untrusted authority', async t => {
  const server = await startTestServer()
  const { pki, port } = server
  t.teardown(() => server.close())
  const ca = pki.ca.certificate
  const name = await examineOutside({ url: `https://127.0.0.2:${port}`, identity: undefined, ca, now: Date.now() })
  t.match(of('tls', name), [
    /^✗ 127\.0\.0\.2:\d+: (the server certificate is for .*, not for 127\.0\.0\.2|nothing accepts connections)/,
  ])
  const stranger = issueCertificate({ ca: true, subject: [['CN', 'x']] }).certificate
  const other = await examineOutside({ url: server.origin, identity: undefined, ca: stranger, now: Date.now() })
  t.match(of('tls', other), [/^✗ localhost:\d+: the server certificate is not trusted/])
  t.ok(other.every(({ verdict, remedy, check }) => verdict !== 'failure' || remedy !== undefined || check === ''))
})
