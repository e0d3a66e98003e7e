// grant_type token-exchange (RFC 8693) for the tokens of other products: entries of the list of trusted issuers with a profile,
// and entries without keys, whose issuer is discovered (RFC 8414 §3, OpenID Connect Discovery §4) over real TLS.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { checkTrustedIssuers } from '../../src/doctor/trusted-issuers.ts'
import { makeDemoPki } from '../../src/pki/demo.ts'
import { parseSettings } from '../../src/settings/settings.ts'
import { startTestServer } from '../../src/testing/server.ts'
import { issuerProfiles } from '../../src/verify/issuer-profiles.ts'
import { linesOf } from '../helpers/process/findings.ts'
import { startTlsbound } from '../helpers/process/process.ts'
import {
  claimsOf,
  exchange,
  exchangeClients,
  goodClaims,
  idp,
  makeIssuer,
  outsideAudience,
  refuseExchange,
  startKeyServer,
  tokenType,
  trust,
} from '../helpers/tokens/outside-issuer.ts'

const pki = makeDemoPki()
const issuer = await makeIssuer()
const rsa = await makeIssuer('outside-rs', 'PS256')
const files = { 'ca.pem': pki.ca.certificate, 'keys.json': { keys: [issuer.publicJwk, rsa.publicJwk] } }
const json = (body: object) => JSON.stringify(body)

/** A server that trusts these entries, and a connection of alice. */
async function start(t: Test, entries: readonly object[]) {
  const server = await startTestServer({ env: trust(t.testdir(), entries, files), clients: exchangeClients, pki })
  t.teardown(() => server.close())
  return { server, connection: await server.connect('alice') }
}

t.test('with a profile, exchanges only tokens in the form of that issuer, and reads their scope', async t => {
  /** Which `typ` and which claims a token of each profile has, and one that it never has. */
  const rows = {
    okta: [undefined, { scp: ['notes:read'], cid: 'app' }, 'at+jwt'],
    entra: ['JWT', { roles: ['notes:read'], appid: 'app' }, undefined],
    keycloak: ['JWT', { scope: 'notes:read', azp: 'app', typ: 'Bearer' }, undefined],
    rfc9068: ['application/at+jwt', { scope: 'notes:read', client_id: 'app' }, 'JWT'],
  } as const
  for (const [profile, [typ, claims, wrong]] of Object.entries(rows)) {
    const own = await start(t, [{ issuer: idp, audience: outsideAudience, jwks_file: 'keys.json', profile }])
    const { connection, server } = own
    const base = { scope: undefined, ...claims }
    const sign = (more: object, type: string | undefined = typ) =>
      issuer.sign(server.clock, { ...base, ...more }, { typ: type })
    t.match(
      await exchange(connection, await sign({})),
      { status: 200, body: { scope: 'notes:read' } },
      `control: ${profile}`,
    )
    t.match(await exchange(connection, await sign({}), { subject_token_type: tokenType('jwt') }), { status: 200 })
    await refuseExchange(t, own, `${profile}: typ ${wrong}`, await issuer.sign(server.clock, base, { typ: wrong }))
    for (const more of [
      ...[{ at_hash: 'x' }, { c_hash: 'x' }, { s_hash: 'x' }, { events: {} }],
      ...[{ typ: 'ID' }, { typ: 'Refresh' }, { token_use: 'id' }, { typ: 7 }, { typ: 'Bearer', token_use: 'id' }],
      ...[{ aud: 'https://other.example' }, { exp: server.clock - 1 }, { iat: undefined }, { sub: undefined }],
    ])
      await refuseExchange(t, own, `${profile}: ${json(more)}`, await sign(more))
    const bare = { ...goodClaims(server.clock), scope: undefined, nonce: 'n' }
    await refuseExchange(t, own, `${profile}: an ID token`, await issuer.sign(server.clock, bare, { typ }))
    const by = await rsa.sign(server.clock, base, { typ })
    t.match(await exchange(connection, by), { status: 200 }, `${profile}: with each asymmetric algorithm`)
  }
})

t.test('a token is of the kind that it was said to be, with a profile', async t => {
  const entry = { issuer: idp, audience: outsideAudience, jwks_file: 'keys.json' }
  const own = await start(t, [{ ...entry, profile: 'keycloak' }])
  const ofIdToken = { typ: 'ID', at_hash: 'x', nonce: 'n', scope: undefined }
  const idToken = await issuer.sign(own.server.clock, ofIdToken, { typ: 'JWT' })
  const access = await issuer.sign(own.server.clock, { typ: 'Bearer', azp: 'app' }, { typ: 'JWT' })
  const as = (type: string) => ({ subject_token_type: tokenType(type) })
  t.match(await exchange(own.connection, idToken, as('id_token')), { status: 200 }, 'control')
  t.match(await exchange(own.connection, access, as('access_token')), { status: 200 }, 'control')
  await refuseExchange(t, own, 'an ID token as an access token', idToken, as('access_token'))
  await refuseExchange(t, own, 'an ID token as a JWT', idToken, as('jwt'))
  await refuseExchange(t, own, 'an access token as an ID token', access, as('id_token'))
  t.match(
    own.server.events.filter(event => 'detail' in event).map(event => (event as { detail?: unknown }).detail),
    ['other_token', 'other_token', 'other_token'],
  )
  const plain = await start(t, [entry])
  t.match(await exchange(plain.connection, access, as('id_token')), { status: 200 }, 'control: without a profile')
})

t.test('a profile and narrower algorithms: those of the entry', async t => {
  const entry = { issuer: idp, audience: outsideAudience, jwks_file: 'keys.json', profile: 'rfc9068' }
  const own = await start(t, [{ ...entry, algorithms: ['ES256'] }])
  t.match(await exchange(own.connection, await issuer.sign(own.server.clock)), { status: 200 }, 'control')
  await refuseExchange(t, own, 'PS256', await rsa.sign(own.server.clock))
})

t.test('every profile of createVerifier can be named', async t => {
  for (const profile of Object.keys(issuerProfiles))
    await start(t, [{ issuer: idp, audience: 'x', jwks_file: 'keys.json', profile }])
  const wrong = { issuer: idp, audience: 'x', jwks_file: 'keys.json', profile: 'Okta' }
  await t.rejects(start(t, [wrong]), {
    message: /issuers\.json:\n {2}- issuer "https:\/\/idp\.example": profile must be one of rfc9068, keycloak, /,
  })
})

/** An issuer over HTTPS: its documents by path, and the paths that were requested. */
async function startIssuer(t: Test, path = '') {
  const documents: Record<string, object | string> = {}
  const requested: string[] = []
  const server = await startKeyServer(t, pki, (request, response) => {
    requested.push(request.url as string)
    const document = documents[request.url as string]
    if (typeof document === 'string') return void response.writeHead(302, { location: document }).end()
    response.writeHead(document === undefined ? 404 : 200, { 'content-type': 'application/json' })
    response.end(document === undefined ? '' : json(document))
  })
  const { origin } = new URL(server.uri)
  const name = `${origin}${path}`
  documents['/keys'] = { keys: [issuer.publicJwk] }
  const metadata = { issuer: name, jwks_uri: `${origin}/keys` }
  const entry = { issuer: name, audience: outsideAudience, ca_file: 'ca.pem' }
  return { name, origin, documents, requested, metadata, entry, sign: (now: number) => issuer.sign(now, { iss: name }) }
}

const forms = {
  'OpenID Connect Discovery': (path: string) => `${path}/.well-known/openid-configuration`,
  'RFC 8414': (path: string) => `/.well-known/oauth-authorization-server${path}`,
}

for (const [form, addressOf] of Object.entries(forms))
  t.test(`without keys, finds those of the issuer by its metadata: ${form}`, async t => {
    for (const path of ['', '/realms/a', '/']) {
      const other = await startIssuer(t, path)
      const address = addressOf(path.replace(/\/$/, ''))
      other.documents[address] = other.metadata
      const { connection, server } = await start(t, [other.entry])
      t.same(other.requested, [], 'not before the first use')
      const answer = await exchange(connection, await other.sign(server.clock))
      t.match(answer, { status: 200 }, `issuer with the path ${path}: ${json(answer.body)}`)
      t.match(claimsOf(answer.body.access_token), { sub: 'carol', act: { sub: 'alice' } })
      t.same(other.requested.slice(-2), [address, '/keys'])
      const { length } = other.requested
      server.clock += 5
      t.match(await exchange(connection, await other.sign(server.clock)), { status: 200 })
      t.equal(other.requested.length, length, 'no document is fetched again, nor one that the issuer does not have')
    }
  })

t.test('rejects tokens of an issuer whose metadata is missing or names another issuer, and states why', async t => {
  const other = await startIssuer(t)
  const [openid, oauth] = Object.values(forms).map(addressOf => addressOf('')) as [string, string]
  const set = (first?: object | string, second?: object | string) => {
    for (const address of [openid, oauth]) delete other.documents[address]
    Object.assign(other.documents, first && { [openid]: first }, second && { [oauth]: second })
  }
  const liar = { ...other.metadata, issuer: 'https://other.example' }
  const unavailable = { status: 503, headers: { 'retry-after': '1' }, body: { reason: 'issuer_unavailable' } }
  for (const [name, first, second, detail, cause] of [
    ['neither', undefined, undefined, 'status', 'responds with 404'],
    ['lies, OpenID', liar, undefined, 'no_usable_key', 'the metadata belongs to another issuer than'],
    ['lies, RFC 8414', undefined, liar, 'no_usable_key', 'the metadata belongs to another issuer than'],
    ['lies by a slash', { ...liar, issuer: `${other.name}/` }, undefined, 'no_usable_key', 'belongs to another issuer'],
    ['redirects', `${other.origin}/moved`, undefined, 'redirect', 'redirects are not followed'],
    ['redirects, RFC 8414', undefined, `${other.origin}/moved`, 'redirect', 'redirects are not followed'],
    ['keys over http', { ...other.metadata, jwks_uri: 'http://a.example/' }, undefined, 'no_usable_key', 'jwks_uri in'],
    ['keys nowhere', { issuer: other.name }, undefined, 'no_usable_key', 'jwks_uri in the metadata'],
    ['keys that redirect', { ...other.metadata, jwks_uri: `${other.origin}/away` }, undefined, 'redirect', 'redirects'],
    ['a list', [], undefined, 'no_usable_key', 'the metadata belongs to another issuer than'],
  ] as const) {
    other.documents['/moved'] = other.metadata
    other.documents['/away'] = `${other.origin}/keys`
    set(first, second)
    const { connection, server } = await start(t, [other.entry])
    t.match(await exchange(connection, await other.sign(server.clock)), unavailable, name)
    t.match(server.events.at(-1), { reason: 'issuer_unavailable', detail }, name)
    t.match(server.log.join(''), cause, name)
    t.notOk(other.requested.includes('/moved'), `${name}: no redirect is followed`)
    set(other.metadata)
    server.clock += 600 // metadata and keys are cached for ten minutes
    t.match(await exchange(connection, await other.sign(server.clock)), { status: 200 }, `control: ${name}`)
  }
  set(liar, other.metadata)
  const { connection, server } = await start(t, [other.entry])
  t.match(await exchange(connection, await other.sign(server.clock)), { status: 200 }, 'the other form is right')

  const down = { ...other.entry, issuer: 'https://127.0.0.1:1' }
  const own = await start(t, [down])
  const token = await issuer.sign(own.server.clock, { iss: down.issuer })
  t.match(await exchange(own.connection, token), unavailable, 'an issuer that is down')
  t.match(own.server.events.at(-1), { detail: 'unreachable' })
  const untrusted = await start(t, [{ ...other.entry, ca_file: undefined }])
  t.match(await exchange(untrusted.connection, await other.sign(untrusted.server.clock)), unavailable)
  t.match(untrusted.server.events.at(-1), { detail: 'not_trusted' })
})

t.test('tokens of another issuer that the same host discovers are refused', async t => {
  const other = await startIssuer(t, '/a')
  other.documents['/a/.well-known/openid-configuration'] = other.metadata
  const own = await start(t, [other.entry])
  t.match(await exchange(own.connection, await other.sign(own.server.clock)), { status: 200 }, 'control')
  for (const iss of [`${other.origin}/b`, other.origin, `${other.name}/`])
    await refuseExchange(t, own, iss, await issuer.sign(own.server.clock, { iss }))
})

t.test('SIGHUP applies profile and discovery, and keeps the list where the new one is wrong', async t => {
  const other = await startIssuer(t)
  other.documents['/.well-known/openid-configuration'] = other.metadata
  const folder = t.testdir()
  const { entry } = other
  const env = trust(folder, [{ ...entry, ca_file: undefined, jwks_file: 'keys.json' }], {
    ...files,
    'clients.json': exchangeClients,
  })
  const more = { TLSBOUND_OPS_PORT: '0', TLSBOUND_CLIENTS_FILE: join(folder, 'clients.json'), ...env }
  const running = await startTlsbound(t, folder, more)
  const connection = await running.connect('alice')
  const status = async () => (await exchange(connection, await other.sign(Math.floor(Date.now() / 1000)))).status
  t.equal(await status(), 200, 'control')
  const reload = async (entries: readonly object[], line: RegExp) => {
    trust(folder, entries)
    const { length } = running.stderr()
    running.child.kill('SIGHUP')
    await running.seen(line, length)
  }
  await reload([{ ...entry, profile: 'okta' }], /trusted issuers were loaded again/)
  t.equal(await status(), 400, 'an at+jwt is none of Okta')
  await reload([{ ...entry, profile: 'none' }], /trusted issuers stay as they were: .*profile must be one of/)
  t.equal(await status(), 400, 'still that of Okta')
  await reload([{ ...entry, profile: 'rfc9068' }], /trusted issuers were loaded again/)
  t.equal(await status(), 200)
  t.ok(other.requested.includes('/keys'))
})

t.test('the doctor follows the metadata, and reports what is wrong with it', async t => {
  const other = await startIssuer(t)
  const folder = t.testdir()
  const check = async ({ readings }: { readings: [] | undefined } = { readings: [] }) => {
    const { TLSBOUND_TRUSTED_ISSUERS_FILE: trustedIssuersFile } = trust(folder, [other.entry], {
      ...files,
      'ca.pem': readFileSync(join(folder, 'ca.pem'), 'utf8'),
    })
    return linesOf(await checkTrustedIssuers({ ...parseSettings({}), trustedIssuersFile }, readings), folder)
  }
  trust(folder, [], files)
  t.match(await check(), [
    /^✗ https:.*openid-configuration: it responds with 404/,
    /^✗ https:.*oauth-authorization-server: it responds with 404/,
  ])
  other.documents['/.well-known/oauth-authorization-server'] = { ...other.metadata, issuer: 'https://other.example' }
  t.match(await check(), [/404/, /^✗ .*oauth-authorization-server: the metadata belongs to another issuer than/])
  other.documents['/.well-known/oauth-authorization-server'] = other.metadata
  t.same(await check(), [`✓ ${other.name}: keys outside-1 ES256`])
  other.documents['/keys'] = {}
  t.match(await check(), [/^✗ .*it has no list of keys/])
  t.match(await check({ readings: undefined }), [
    /^✓ .*its keys are fetched from the address in its metadata, https:.*configuration or/,
  ])
})
