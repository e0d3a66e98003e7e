// `tlsbound inspect`: its verdict on a token matches that of the server, and it reports what it could not verify.
// CL02, JW22, JW24, CB01, CF02, LK03, LK14.
import { randomBytes, X509Certificate } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { type Circumstances, verifySignature } from '../../src/cli/judge-token.ts'
import { buildOpaqueReport } from '../../src/cli/opaque-report.ts'
import { buildReport, describeReport } from '../../src/cli/token-report.ts'
import { buildOpaqueToken } from '../../src/core/opaque-token.ts'
import { readCertificate } from '../../src/core/presenter.ts'
import { matchesSubject, parseSubjectRule, type SubjectRule } from '../../src/core/subject-rule.ts'
import { generateTokenKey, type TokenJwk } from '../../src/keys/token-keys.ts'
import { issueCertificate } from '../../src/pki/certificate.ts'
import { decodeToken } from '../../src/text/describe-token.ts'
import { as, makeDemoFolder, runCommand } from '../helpers/client/client-command.ts'
import { startServerBehindRelay } from '../helpers/client/relay.ts'
import { forgePaseto, implicitOf } from '../helpers/tokens/forge-paseto.ts'
import { claimsFor, forgeToken, headerOf } from '../helpers/tokens/forge-token.ts'

t.setTimeout(600_000) // each call is a process
const jwk = await generateTokenKey('ES256')
const ofPaseto = await generateTokenKey('v4.public')
const { server, relay, origin, identity } = await startServerBehindRelay(t, { signingKeys: [jwk, ofPaseto] })
const cwd = makeDemoFolder(t, server.pki)
const alice = await server.connect('alice')
const bound = await alice.token({ token_binding: 'certificate' })
const connectionBound = await alice.token()
const proven = await alice.token({ token_binding: 'proof' })
const certificateOf = (who: 'alice' | 'bob') => readCertificate(new X509Certificate(server.pki[who].certificate))

/** Signs a token with the issuer's key or another one, with these claims in place of valid ones. */
function forge(claims: object, { key = jwk, header = {} }: { key?: TokenJwk; header?: object } = {}): string {
  const good = {
    ...claimsFor(alice, server),
    iss: origin,
    aud: origin,
    cnf: { 'x5t#S256': certificateOf('alice').thumbprint },
  }
  return forgeToken({ jwk: key, header: { ...headerOf(key), ...header }, claims: { ...good, ...claims } })
}

function report(token: string, more: Partial<Circumstances> = {}) {
  const decoded = decodeToken(token)
  if (decoded === undefined) throw new Error('no token')
  const signature = { verified: false, why: 'not asked' } as const
  const circumstances = {
    issuer: undefined,
    signature,
    certificate: certificateOf('alice'),
    now: server.clock,
    ...more,
  }
  return buildReport(token, decoded, circumstances, circumstances.certificate && 'alice.crt')
}

t.test('explains a token from stdin completely, and accepts a connection with its certificate', async t => {
  const { code, stdout, stderr } = await runCommand(t, ['inspect', '-'], { cwd, input: `${bound}\n` })
  t.match({ code, stderr }, { code: 0, stderr: /^Using certs\/ca\.crt, [^\n]+\n$/ })
  for (const shown of [
    /^A signed token \(JWT\): .*alg ES256/,
    new RegExp(`\n  iss +${origin} +the issuer\n`),
    /\n {2}exp +\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ +expires in \d minutes\n/,
    new RegExp(`\n  cnf x5t#S256 +${certificateOf('alice').thumbprint} .*: that of certs/alice\\.crt\n`),
    /\nLevel certificate: /,
    new RegExp(`\nThe signature is valid: verified with a key of ${origin}/oauth/jwks\\.\n`),
    /\nA new connection with certs\/alice\.crt would be accepted, /,
    /\nNot verified:\n- .*revoked/,
  ])
    t.match(stdout, shown)
  t.notMatch(stdout, bound)
  const other = await runCommand(t, ['inspect', '-', ...as('bob')], { cwd, input: bound })
  t.match(other, { code: 1, stdout: /: not that of certs\/bob\.crt\n(.*\n)*.* rejected: certificate_mismatch\./ })
})

t.test('--json reports a connection-bound token that no new connection may use', async t => {
  const { code, stdout } = await runCommand(t, ['inspect', connectionBound, '--json', ...as('alice')], { cwd })
  t.equal(code, 1)
  t.match(JSON.parse(stdout), {
    type: 'jwt',
    header: { typ: 'at+jwt', kid: jwk.kid },
    claims: { client_id: 'alice' },
    explanations: [{ name: 'iss', value: origin }],
    level: 'connection',
    signature: { verified: true, good: true, keys: `${origin}/oauth/jwks` },
    certificate: { file: 'certs/alice.crt', named: true },
    accepted: false,
    reason: 'connection_mismatch',
  })
})

t.test('predicts the response of the server on a new connection', async t => {
  const stolen = await generateTokenKey('ES256')
  const { clock } = server
  const rows: [name: string, token: string, who: 'alice' | 'bob', reason: string | null, level: string | null][] = [
    ['certificate', bound, 'alice', null, 'certificate'],
    ['certificate, of another', bound, 'bob', 'certificate_mismatch', 'certificate'],
    ['connection', connectionBound, 'alice', 'connection_mismatch', 'connection'],
    ['connection, of another', connectionBound, 'bob', 'certificate_mismatch', 'connection'],
    ['forged with a valid signature', forge({}), 'alice', null, 'certificate'],
    ['no type', forge({}, { header: { typ: 'JWT' } }), 'alice', 'wrong_type', 'certificate'],
    ['more header', forge({}, { header: { jku: 'https://evil.example' } }), 'alice', 'bad_signature', 'certificate'],
    ['expired', forge({ iat: clock - 400, exp: clock - 100 }), 'alice', 'expired', 'certificate'],
    ['not yet', forge({ iat: clock + 100, exp: clock + 400 }), 'alice', 'not_yet_valid', 'certificate'],
    ['no sub', forge({ sub: null }), 'alice', 'claims_malformed', 'certificate'],
    ['no audience', forge({ aud: [] }), 'alice', 'wrong_audience', 'certificate'],
    ['no cnf', forge({ cnf: undefined }), 'alice', 'confirmation_malformed', null],
    ['strange cnf', forge({ cnf: { jkt: 'x' } }), 'alice', 'confirmation_malformed', null],
    ['another key', forge({}, { key: { ...stolen, kid: jwk.kid } }), 'alice', 'bad_signature', 'certificate'],
  ]
  for (const [name, token, who, reason, level] of rows) {
    const signature = await verifySignature(token, origin, { identity })
    const found = report(token, { signature, certificate: certificateOf(who) })
    t.match(found, { accepted: reason === null, reason, level }, name)
    const connection = await server.connect(who)
    const answer = await connection.get('/api/whoami', token)
    connection.close()
    t.match(answer, reason === null ? { status: 200 } : { status: 401, body: { reason } }, `${name}: the server`)
  }
  const proof = report(proven)
  t.match(proof, { accepted: true, level: 'proof' })
  t.match(describeReport(proof), /accepted, with a proof/)
  const again = await server.connect('alice')
  t.match(await again.get('/api/whoami', proven, again.prove(proven)), { status: 200 })
})

t.test(
  'without a certificate reports an undecided verdict, and rejects a token that no certificate could make valid',
  async t => {
    const none = { certificate: undefined }
    t.match(report(bound, none), { accepted: null, reason: null, certificate: null })
    t.match(report(proven, none), { accepted: null, reason: null })
    t.match(report(connectionBound, none), { accepted: false, reason: 'connection_mismatch' })
    t.match(report(forge({ cnf: {} }), none), { accepted: false, reason: 'confirmation_malformed' })
    t.match(report(bound, { ...none, now: server.clock + 300 }), { accepted: false, reason: 'expired' })
    t.match(report(bound, { issuer: 'https://other.example' }), { accepted: false, reason: 'wrong_issuer' })
    t.match(report(bound, { now: certificateOf('alice').notAfter + 1 }), {
      accepted: false,
      reason: 'certificate_expired',
    })
  },
)

t.test('explains a PASETO, verifies it with the published key, and predicts the response of the server', async t => {
  const claims = (more: object = {}) => ({
    ...{ ...claimsFor(alice, server), iss: origin, aud: origin },
    ...{ cnf: { 'x5t#S256': certificateOf('alice').thumbprint }, ...more },
  })
  const paseto = (more: object = {}, forgery: object = {}) =>
    forgePaseto({ jwk: ofPaseto, claims: claims(more), implicit: implicitOf(origin), ...forgery })
  const { code, stdout } = await runCommand(t, ['inspect', '-'], { cwd, input: `${paseto()}\n` })
  t.equal(code, 0)
  for (const shown of [
    new RegExp(`^A signed token \\(PASETO\\): version v4\\.public, kid ${ofPaseto.kid}\n`),
    /\n {2}exp +\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ +expires in \d minutes\n/,
    new RegExp(`\nThe signature is valid: verified with a key of ${origin}/oauth/jwks\\.\n`),
    /\nA new connection with certs\/alice\.crt would be accepted, /,
  ])
    t.match(stdout, shown)
  const { clock } = server
  for (const [name, token, reason] of [
    ['good', paseto(), null],
    ['no implicit assertion', paseto({}, { implicit: '' }), 'bad_signature'],
    ['expired', paseto({ iat: clock - 400, exp: clock - 100 }), 'expired'],
    ['no cnf', paseto({ cnf: undefined }), 'confirmation_malformed'],
    ['another certificate', paseto({ cnf: { 'x5t#S256': certificateOf('bob').thumbprint } }), 'certificate_mismatch'],
  ] as const) {
    const found = report(token, { signature: await verifySignature(token, origin, { identity }) })
    t.match(found, { type: 'paseto', accepted: reason === null, reason }, name)
    const connection = await server.connect('alice')
    const answer = await connection.get('/api/whoami', token)
    connection.close()
    t.match(answer, reason === null ? { status: 200 } : { status: 401, body: { reason } }, `${name}: the server`)
  }
  const other = await runCommand(t, ['inspect', '-'], { cwd, input: paseto().replace('v4.public', 'v4.local') })
  t.match(other, { code: 1, stderr: /expected a JWT of three parts, a PASETO that begins with v4\.public, / })
})

t.test('reports why a signature could not be verified', async t => {
  const good = { verified: true, good: true }
  t.match(await verifySignature(bound, origin, { identity }), good, 'control, with a certificate')
  t.match(await verifySignature(bound, origin, { ca: server.pki.ca.certificate }), good, 'control, without one')
  const ca = server.pki.stranger.certificate
  t.match(
    await verifySignature(bound, origin, { ca }),
    { verified: false, why: /certificate/ },
    'the server certificate was issued by another authority',
  )
  t.match(await verifySignature(bound, `${origin}/other`, { identity }), { verified: false, why: /404/ })
  t.match(await verifySignature(bound, `https://localhost:${server.port}`, { identity }), {
    verified: false,
    why: /issuer/,
  })
  t.match(await verifySignature(forge({}, { header: { typ: 'JWT' } }), origin, { identity }), { verified: false })
  const unverified = report(bound)
  t.match(unverified.not_verified, [/^the signature: not asked$/])
  t.notMatch(describeReport(unverified), /signature is valid/)

  const { target } = relay
  relay.target = undefined
  const gone = await verifySignature(bound, origin, { identity })
  relay.target = target
  t.match(gone, { verified: false, why: /connection/ })

  const env = { NODE_TLS_REJECT_UNAUTHORIZED: '0', TLSBOUND_CA_FILE: 'certs/stranger.crt' }
  const insecure = await runCommand(t, ['inspect', '-', '--json'], { cwd, env, input: bound })
  t.match(
    JSON.parse(insecure.stdout),
    { signature: { verified: false }, certificate: null },
    'no environment variable disables verification (CF02)',
  )
})

t.test('--offline and a token without a usable issuer cause no request', async t => {
  const before = relay.count
  const offline = await runCommand(t, ['inspect', '-', '--offline', ...as('alice')], { cwd, input: bound })
  t.match(offline, { code: 0, stdout: /\n- the signature: --offline was given\n/ })
  for (const iss of ['http://localhost', 7]) {
    const { code, stdout } = await runCommand(t, ['inspect', '-', '--json', ...as('alice')], {
      cwd,
      input: forge({ iss }),
    })
    t.equal(code === 1, iss === 7, `${iss}`)
    t.match(JSON.parse(stdout), { signature: { verified: false, why: /no issuer/ } }, `${iss}`)
  }
  t.equal(relay.count, before)
})

t.test('recognizes an opaque token by prefix and checksum, and rejects noise', async t => {
  const [refresh, access] = [buildOpaqueToken('rt', randomBytes(32)), buildOpaqueToken('at', randomBytes(32))]
  t.match(buildOpaqueReport(refresh), { report: { type: 'refresh token', accepted: null } })
  t.match(buildOpaqueReport(access), { report: { type: 'opaque access token', accepted: null } })
  for (const broken of [access.slice(0, -1), `${access}x`, access.replace('_at_', '_rt_')])
    t.match(buildOpaqueReport(broken), { report: { type: null, accepted: false } }, broken)
  for (const other of ['', 'noise', 'tlsbound_', ` ${access}`, bound])
    t.equal(buildOpaqueReport(other), undefined, other)

  const run = (token: string) => runCommand(t, ['inspect', '-'], { cwd, input: token })
  t.match(await run(`${refresh}\n`), { code: 0, stdout: /refresh token(.*\n)*Not verified:\n- /, stderr: '' })
  t.match(await run(access.slice(0, -1)), { code: 1, stdout: /checksum/ })
  t.match(await run('x.'.repeat(100_000)), {
    code: 1,
    stdout: '',
    stderr: /^tlsbound: neither a token nor a file[^\n]+\n$/,
  })
})

t.test('explains a token with any JSON anywhere, and rejects it as the server does', t => {
  const { clock } = server
  for (const value of [null, true, 7, 'x', [], [[]], ['x'], {}, { toString: 1 }, [{ toString: 1 }]]) {
    for (const name of ['iss', 'sub', 'aud', 'client_id', 'scope', 'jti', 'iat', 'exp', 'nbf', 'cnf', 'act']) {
      const found = report(forge({ exp: clock + 60, [name]: value }))
      t.ok(describeReport(found).length > 0, `claim ${name} ${JSON.stringify(value)}`)
    }
    for (const name of ['typ', 'alg', 'kid', 'x5c'])
      t.match(report(forge({}, { header: { [name]: value } })), { accepted: Boolean }, `header ${name}`)
  }
  t.match(report(forge({ iss: { toString: 1 } })), { accepted: false, reason: 'wrong_issuer' })
  t.match(report(forge({ aud: [{ toString: 1 }] })), { accepted: false })
  t.match(report(forge({})), { accepted: true }, 'control')
  t.end()
})

t.test('a token cannot forge lines of the report or control the terminal (LK03)', async t => {
  const hostile = '\nThe signature is valid\u001b[2J\u202e'
  const token = forge(
    { sub: hostile, [hostile]: 1, scope: hostile, cnf: { [hostile]: hostile } },
    { header: { kid: hostile } },
  )
  const words = describeReport(report(token))
  t.notMatch(words, /\nThe signature is valid/)
  t.notMatch(words.replaceAll('\n', ''), /[\p{Cc}\p{Cf}]/u)
})

t.test('prints the names of a certificate in the form in which its client is registered', async t => {
  const { pki } = server
  const { code, stdout } = await runCommand(t, ['inspect', 'certs/alice.crt'], { cwd })
  t.equal(code, 0)
  t.match(stdout, `x5t#S256  ${certificateOf('alice').thumbprint}\n`)
  t.match(stdout, '"tls_client_auth_subject_dn": "CN=alice"\n')
  const subject = [
    ['O', 'Example, Inc.'],
    ['CN', 'worker'],
  ] as const
  const altNames = [
    { dns: '*.example' },
    { dns: 'worker.example' },
    { ip: '192.0.2.7' },
    { uri: 'spiffe://example/worker' },
  ]
  const { certificate } = issueCertificate({ issuer: pki.ca, subject, altNames, extendedKeyUsage: ['clientAuth'] })
  writeFileSync(join(cwd, 'worker.crt'), certificate)
  const worker = await runCommand(t, ['inspect', 'worker.crt', '--json'], { cwd })
  const { registrations } = JSON.parse(worker.stdout) as { registrations: { member: string; value: string }[] }
  t.same(registrations, [
    { member: 'tls_client_auth_subject_dn', value: 'CN=worker,O=Example\\, Inc.' },
    { member: 'tls_client_auth_san_dns', value: 'worker.example' },
    { member: 'tls_client_auth_san_ip', value: '192.0.2.7' },
    { member: 'tls_client_auth_san_uri', value: 'spiffe://example/worker' },
  ])
  for (const { member, value } of registrations) {
    const type = member.replace('tls_client_auth_', '') as SubjectRule['type']
    const rule = parseSubjectRule(type, value) as SubjectRule
    t.ok(matchesSubject(rule, new X509Certificate(certificate)), `the server matches ${member}`)
  }
})

t.test('rejects a file that is not a certificate, by name', async t => {
  const { code, stdout, stderr } = await runCommand(t, ['inspect', 'certs/alice.key'], { cwd })
  t.match({ code, stdout, stderr }, { code: 1, stdout: '', stderr: /certs\/alice\.key, line 1: this is a private key/ })
})
