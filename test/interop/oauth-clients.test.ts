// Other client libraries against this server over real mutual TLS: oauth4webapi and openid-client, whose functions verify its
// responses. RFC 8414, RFC 9728, RFC 6749, RFC 8693, RFC 7662, RFC 7009, RFC 8705; N-21, N-26, N-29, N-46, N-50, N-51, N-52,
// OA25.
import { hash } from 'node:crypto'
import { createRemoteJWKSet, customFetch as joseFetch, jwtVerify } from 'jose'
import * as oauth from 'oauth4webapi'
import * as openid from 'openid-client'
import t from 'tap'
import { makeDemoPki } from '../../src/pki/demo.ts'
import { hashSecret } from '../../src/server/clients/client-secret.ts'
import { openSqlite } from '../../src/store/sqlite.ts'
import { type Identity, startTestServer } from '../../src/testing/server.ts'
import { type Line, openLine } from '../helpers/client/undici-fetch.ts'
import {
  backend,
  claimsOf,
  exchangeClients,
  exchangeGrant,
  idp,
  makeIssuer,
  outsideAudience,
  tokenType,
  trust,
} from '../helpers/tokens/outside-issuer.ts'

const issuer = 'https://localhost:8443'
const api = new URL(`${issuer}/api/whoami`)
const pki = makeDemoPki()
const outside = await makeIssuer()
const secret = 'correct horse battery staple'

const [alice, bob, mallory] = exchangeClients
const clients = [
  { ...alice, grant_types: ['client_credentials', 'refresh_token', exchangeGrant] },
  { ...bob, token_endpoint_auth_method: 'client_secret_basic' },
  mallory,
  {
    client_id: 'stranger',
    token_endpoint_auth_method: 'self_signed_tls_client_auth',
    jwks: { keys: [{ kty: 'EC', x5c: [pki.stranger.x509.raw.toString('base64')] }] },
    scope: 'notes:read',
  },
]
const store = openSqlite(':memory:')
await store.putSecret('bob', 'one', await hashSecret(secret))
const env = trust(t.testdir(), [{ issuer: idp, audience: outsideAudience, jwks_file: 'keys.json' }], {
  'keys.json': { keys: [outside.publicJwk] },
})
const server = await startTestServer({ env, clients, pki, store })
t.teardown(() => server.close())

const line = (identity: Identity | null, options = {}) => openLine(t, server, identity, options)
const over = ({ fetch }: Line) => ({ [oauth.customFetch]: fetch })
const asTls = oauth.TlsClientAuth()
const aliceClient = { client_id: 'alice' }

async function discover(by: Line): Promise<oauth.AuthorizationServer> {
  const response = await oauth.discoveryRequest(new URL(issuer), { algorithm: 'oauth2', ...over(by) })
  return oauth.processDiscoveryResponse(new URL(issuer), response)
}

/** `cnf` as the client computes it at its end of the connection. */
function confirmationOf(by: Line, identity: Identity): object {
  const exported = by.socket().exportKeyingMaterial(32, 'EXPORTER-Channel-Binding', Buffer.alloc(0))
  return {
    'x5t#S256': hash('sha256', identity.x509.raw, 'base64url'),
    'tls-exporter#S256': hash('sha256', exported, 'base64url'),
  }
}

/** The rejection of a promise; libraries add members to the Error. */
const failure = (promise: Promise<unknown>): Promise<object> =>
  promise.then(
    () => ({ accepted: true }),
    (error: object) => error,
  )

for (const allowH2 of [false, true])
  t.test(`completes the lifecycle of tokens with oauth4webapi over ${allowH2 ? 'HTTP/2' : 'HTTP/1.1'}`, async t => {
    const by = line(pki.alice, { allowH2 })
    const as = await discover(by)
    t.equal(by.socket().alpnProtocol || 'http/1.1', allowH2 ? 'h2' : 'http/1.1')

    const request = await oauth.clientCredentialsGrantRequest(as, aliceClient, asTls, { scope: 'notes:read' }, over(by))
    const issued = await oauth.processClientCredentialsResponse(as, aliceClient, request)
    t.match(issued, { token_type: 'bearer', expires_in: 300, scope: 'notes:read', token_binding: 'connection' })
    t.same(claimsOf(issued.access_token).cnf, confirmationOf(by, pki.alice))

    const use = (token: string, on: Line, url = api) =>
      oauth.protectedResourceRequest(token, 'GET', url, undefined, undefined, over(on))
    t.match(await (await use(issued.access_token, by)).json(), { sub: 'alice', token_binding: 'connection' })

    const other = line(pki.alice, { allowH2 })
    t.match(await failure(use(issued.access_token, other)), {
      code: oauth.WWW_AUTHENTICATE_CHALLENGE,
      status: 401,
      cause: [{ scheme: 'bearer', parameters: { error: 'invalid_token', resource_metadata: /^https:/ } }],
    })

    const refreshing = await oauth.refreshTokenGrantRequest(
      as,
      aliceClient,
      asTls,
      issued.refresh_token ?? '',
      over(other),
    )
    const refreshed = await oauth.processRefreshTokenResponse(as, aliceClient, refreshing)
    t.match(refreshed, { scope: 'notes:read', token_binding: 'connection', refresh_token: String })
    t.not(refreshed.refresh_token, issued.refresh_token)
    t.match(await (await use(refreshed.access_token, other)).json(), { client_id: 'alice' })

    const revoking = await oauth.revocationRequest(as, aliceClient, asTls, refreshed.refresh_token ?? '', over(by))
    t.equal(await oauth.processRevocationResponse(revoking), undefined)
    t.match(await failure(use(refreshed.access_token, other)), { code: oauth.WWW_AUTHENTICATE_CHALLENGE, status: 401 })
    const late = await oauth.refreshTokenGrantRequest(as, aliceClient, asTls, refreshed.refresh_token ?? '', over(by))
    t.match(await failure(oauth.processRefreshTokenResponse(as, aliceClient, late)), {
      code: oauth.RESPONSE_BODY_ERROR,
      error: 'invalid_grant',
      status: 400,
    })
  })

t.test('exchanges a token with oauth4webapi, and introspects the result with its cnf (N-26)', async t => {
  const by = line(pki.alice)
  const as = await discover(by)
  const parameters = {
    subject_token: await outside.sign(server.clock),
    subject_token_type: tokenType('access_token'),
    audience: backend,
  }
  const response = await oauth.genericTokenEndpointRequest(as, aliceClient, asTls, exchangeGrant, parameters, over(by))
  const issued = await oauth.processGenericTokenEndpointResponse(as, aliceClient, response)
  t.match(issued, { issued_token_type: tokenType('access_token'), scope: 'notes:read', refresh_token: String })

  const resource = line(pki.mallory)
  const resourceClient = { client_id: 'mallory' }
  const look = async () => {
    const asked = await oauth.introspectionRequest(as, resourceClient, asTls, issued.access_token, over(resource))
    return oauth.processIntrospectionResponse(as, resourceClient, asked)
  }
  t.match(await look(), {
    active: true,
    iss: issuer,
    aud: backend,
    sub: 'carol',
    client_id: 'alice',
    act: { sub: 'alice' },
    scope: 'notes:read',
    token_type: 'Bearer',
    cnf: confirmationOf(by, pki.alice),
  })
  const revoking = await oauth.revocationRequest(as, aliceClient, asTls, issued.access_token, over(by))
  await oauth.processRevocationResponse(revoking)
  t.same(await look(), { active: false })

  const bad = { ...parameters, subject_token: 'x' }
  const refused = await oauth.genericTokenEndpointRequest(as, aliceClient, asTls, exchangeGrant, bad, over(by))
  t.match(await failure(oauth.processGenericTokenEndpointResponse(as, aliceClient, refused)), {
    error: 'invalid_request',
  })
})

t.test(
  'serves the metadata of the protected resource to oauth4webapi, which finds it from a challenge (N-52)',
  async t => {
    const by = line(null)
    const find = async (resource: URL, address?: string) => {
      const response = await (address === undefined
        ? oauth.resourceDiscoveryRequest(resource, over(by))
        : by.fetch(address))
      return oauth.processResourceDiscoveryResponse(resource, response)
    }
    const found = await find(new URL(issuer))
    t.match(found, {
      resource: issuer,
      authorization_servers: [issuer],
      bearer_methods_supported: ['header'],
      tls_client_certificate_bound_access_tokens: true,
    })
    const refusal = await oauth
      .protectedResourceRequest('x.y.z', 'GET', api, undefined, undefined, over(by))
      .catch((error: oauth.WWWAuthenticateChallengeError) => error)
    const [challenge] = (refusal as oauth.WWWAuthenticateChallengeError).cause
    t.same(await find(new URL(issuer), challenge?.parameters.resource_metadata), found)
  },
)

t.test('issues JWTs that jose verifies, although the check of oauth4webapi supports DPoP only', async t => {
  const by = line(pki.alice)
  const as = await discover(by)
  const issue = async (token_binding: string) => {
    const response = await oauth.clientCredentialsGrantRequest(as, aliceClient, asTls, { token_binding }, over(by))
    return (await oauth.processClientCredentialsResponse(as, aliceClient, response)).access_token
  }
  const keys = createRemoteJWKSet(new URL(as.jwks_uri as string), { [joseFetch]: by.fetch })
  for (const [level, words] of [
    ['connection', 'multiple confirmation claims are not supported'],
    ['certificate', 'unsupported JWT Confirmation method'],
  ] as const) {
    const token = await issue(level)
    const expected = {
      issuer,
      audience: issuer,
      typ: 'at+jwt',
      requiredClaims: ['sub', 'client_id', 'jti', 'iat', 'exp'],
    }
    t.match((await jwtVerify(token, keys, expected)).payload, { client_id: 'alice' }, `jose, level ${level}`)
    const request = new Request(api, { headers: { authorization: `Bearer ${token}` } })
    const check = (audience: string) => oauth.validateJwtAccessToken(as, request, audience, over(by) as object)
    t.match(await failure(check('https://other.example')), { code: oauth.JWT_CLAIM_COMPARISON }, 'typ and issuer match')
    // A limit of the library (3.8): it supports only a cnf with a lone jkt, not even x5t#S256 of RFC 8705.
    t.match(
      await failure(check(issuer)),
      { code: oauth.UNSUPPORTED_OPERATION, message: words },
      `oauth4webapi, level ${level}`,
    )
  }
})

t.test(
  'completes discovery, every grant, introspection, revocation and a protected resource with openid-client',
  async t => {
    const connect = async (by: Line, id: string, authentication = openid.TlsClientAuth(), metadata = {}) =>
      openid.discovery(new URL(issuer), id, metadata, authentication, {
        algorithm: 'oauth2',
        [openid.customFetch]: by.fetch,
      })
    const by = line(pki.alice)
    const config = await connect(by, 'alice', openid.TlsClientAuth(), { use_mtls_endpoint_aliases: true })
    t.equal(config.serverMetadata().issuer, issuer, 'uses the ordinary endpoints without aliases (N-29)')

    const issued = await openid.clientCredentialsGrant(config, { scope: 'notes:read notes:write' })
    const left = issued.expiresIn() ?? 0 // by its real clock
    t.ok(left > 290 && left <= 300, `${left} s`)
    const answer = await openid.fetchProtectedResource(config, issued.access_token, api, 'GET')
    t.match(await answer.json(), { client_id: 'alice', scope: 'notes:read notes:write' })

    const refreshed = await openid.refreshTokenGrant(config, issued.refresh_token ?? '', { scope: 'notes:read' })
    t.match(refreshed, { scope: 'notes:read' })
    const exchanged = await openid.genericGrantRequest(config, exchangeGrant, {
      subject_token: await outside.sign(server.clock),
      subject_token_type: tokenType('jwt'),
      resource: backend,
    })
    t.match(exchanged, { issued_token_type: tokenType('access_token'), token_binding: 'connection' })

    const resource = await connect(line(pki.mallory), 'mallory')
    const seen = await openid.tokenIntrospection(resource, exchanged.access_token)
    t.match(seen, { active: true, sub: 'carol', cnf: confirmationOf(by, pki.alice) })
    await openid.tokenRevocation(config, exchanged.access_token)
    t.same(await openid.tokenIntrospection(resource, exchanged.access_token), { active: false })

    t.match(await failure(openid.fetchProtectedResource(config, exchanged.access_token, api, 'GET')), { status: 401 })
    t.match(await failure(openid.clientCredentialsGrant(config, { scope: 'leaks:report' })), {
      error: 'invalid_scope',
      status: 400,
    })
    t.match(await failure(openid.clientCredentialsGrant(await connect(line(pki.mallory), 'alice'))), {
      status: 401,
      cause: [{ scheme: 'bearer', parameters: { error: 'invalid_client' } }],
    })
  },
)

t.test(
  'fulfils its metadata: endpoints, authentication methods, grants, scopes, bindings (OA25, N-44, N-51)',
  async t => {
    const nobody = line(null)
    const as = await discover(nobody)
    for (const [name, address] of Object.entries(as)) {
      if (name === 'jwks_uri') t.match(await (await nobody.fetch(address as string)).json(), { keys: [{ use: 'sig' }] })
      else if (name === 'paserks_uri')
        t.match(await (await nobody.fetch(address as string)).json(), { keys: [] }, 'no key for PASETO')
      else if (name === 'authorization_endpoint') {
        // The metadata lists no grant that uses it.
        t.notOk(as.grant_types_supported?.includes('authorization_code'))
        const answer = await nobody.fetch(`${address}?response_type=${as.response_types_supported?.[0]}`)
        t.match([answer.status, await answer.json()], [400, { error: 'unauthorized_client' }], name)
      } else if (name.endsWith('_uri') || name.endsWith('_endpoint')) {
        const answer = await nobody.fetch(address as string, {
          method: 'POST',
          body: new URLSearchParams({ token: 'x' }),
        })
        t.match([answer.status, await answer.json()], [401, { reason: 'no_certificate' }], name)
      }
    }

    const basic = oauth.ClientSecretBasic(secret)
    const ways: Readonly<Record<string, [Line, string, oauth.ClientAuth]>> = {
      tls_client_auth: [line(pki.alice), 'alice', asTls],
      self_signed_tls_client_auth: [line(pki.stranger), 'stranger', asTls],
      client_secret_basic: [line(pki.bob), 'bob', basic],
    }
    const lists = ['token', 'introspection', 'revocation'].map(
      endpoint => as[`${endpoint}_endpoint_auth_methods_supported`] as string[],
    )
    for (const list of lists) t.same([...list].sort(), Object.keys(ways).sort(), 'these and no others')
    for (const [way, [by, client_id, authentication]] of Object.entries(ways)) {
      const client = { client_id }
      const response = await oauth.clientCredentialsGrantRequest(as, client, authentication, {}, over(by))
      const { access_token } = await oauth.processClientCredentialsResponse(as, client, response)
      const asked = await oauth.introspectionRequest(as, client, authentication, access_token, over(by))
      t.match(await oauth.processIntrospectionResponse(as, client, asked), { active: false }, `${way}: introspection`)
      const revoked = await oauth.revocationRequest(as, client, authentication, access_token, over(by))
      t.equal(await oauth.processRevocationResponse(revoked), undefined, `${way}: revocation`)
    }
    const unsaid = oauth.ClientSecretPost(secret)
    const response = await oauth.clientCredentialsGrantRequest(
      as,
      { client_id: 'bob' },
      unsaid,
      {},
      over(line(pki.bob)),
    )
    t.match(await failure(oauth.processClientCredentialsResponse(as, { client_id: 'bob' }, response)), {
      error: 'invalid_request',
    })

    const by = line(pki.alice)
    const ask = async (grant: string, parameters: Record<string, string>) => {
      const answered = await oauth.genericTokenEndpointRequest(as, aliceClient, asTls, grant, parameters, over(by))
      return oauth.processGenericTokenEndpointResponse(as, aliceClient, answered)
    }
    const { refresh_token = '' } = await ask('client_credentials', {})
    const needed: Readonly<Record<string, Record<string, string>>> = {
      client_credentials: {},
      refresh_token: { refresh_token },
      [exchangeGrant]: { subject_token: await outside.sign(server.clock), subject_token_type: tokenType('jwt') },
    }
    t.same([...(as.grant_types_supported ?? [])].sort(), Object.keys(needed).sort())
    for (const [grant, parameters] of Object.entries(needed))
      t.match(await ask(grant, parameters), { access_token: String }, grant)
    for (const grant of ['password', 'authorization_code', 'implicit', 'urn:ietf:params:oauth:grant-type:device_code'])
      t.match(await failure(ask(grant, { code: 'x' })), { error: 'unsupported_grant_type' }, `${grant} (ASVS 10.4.4)`)

    for (const scope of as.scopes_supported ?? []) t.match(await ask('client_credentials', { scope }), { scope })
    t.match(await failure(ask('client_credentials', { scope: 'unheard:of' })), { error: 'invalid_scope' })
    const bindings = as.token_bindings_supported as string[]
    t.ok(bindings.includes('connection') && bindings.includes('certificate'))
    for (const token_binding of ['connection', 'certificate'])
      t.match(await ask('client_credentials', { token_binding }), { token_binding })
    t.match(await failure(ask('client_credentials', { token_binding: 'none' })), { error: 'invalid_request' })
    t.equal(as.tls_client_certificate_bound_access_tokens, true)
  },
)
