// Every access token is bound to the certificate that it was requested with, for every request, grant and format. N-43; RFC
// 8705 §3, CL01, I1.
import t from 'tap'
import { tokenBindings } from '../../../src/core/confirmation.ts'
import { issueCertificate, startTestServer } from '../../../src/testing/server.ts'
import { refusal } from '../../helpers/server/refusals.ts'
import { confirmationOf } from '../../helpers/tokens/forge-token.ts'
import { introspect, post, refresh, register } from '../../helpers/tokens/grants.ts'
import {
  exchange,
  exchangeGrant,
  idp,
  makeIssuer,
  outsideAudience,
  trust,
} from '../../helpers/tokens/outside-issuer.ts'

const issuer = await makeIssuer()
const entry = { issuer: idp, audience: outsideAudience, jwks_file: 'keys.json' }
const env = trust(t.testdir(), [entry], { 'keys.json': { keys: [issuer.publicJwk] } })
const every = {
  token_bindings: tokenBindings,
  grant_types: ['client_credentials', 'refresh_token', exchangeGrant],
}
const clients = [
  register('alice', every),
  register('bob', { ...every, access_token_format: 'opaque' }),
  register('api', { resource: outsideAudience }),
]
const server = await startTestServer({ env, clients })
t.teardown(() => server.close())
const apis = issueCertificate({ subject: [['CN', 'api']], issuer: server.pki.ca, extendedKeyUsage: ['clientAuth'] })
const api = await server.connect(apis, { clientId: 'api' })

type Wish = Record<string, string>
/** An empty value counts as absent, and an unknown parameter is ignored. */
const good: Wish[] = [
  {},
  ...['', ...tokenBindings].map(token_binding => ({ token_binding })),
  { cnf: '{}', token_type: 'N_A' },
]
const notAllowed = { status: 400, body: { error: 'invalid_request', reason: 'binding_not_allowed' } }

for (const name of ['alice', 'bob'] as const)
  t.test(`binds the tokens of every grant: ${name} (N-43, ASVS 10.4.14)`, async t => {
    const connection = await server.connect(name)
    const thief = await server.connect('mallory')
    const { 'x5t#S256': x5t } = confirmationOf(connection)
    let next: string = (await connection.requestToken()).body.refresh_token
    const grants = {
      client_credentials: (wish: Wish) => connection.requestToken(wish),
      refresh_token: async (wish: Wish) => {
        const answer = await refresh(connection, next, wish)
        next = answer.body.refresh_token ?? next
        return answer
      },
      'token-exchange': async (wish: Wish) => exchange(connection, await issuer.sign(server.clock), wish),
    }
    for (const [grant, ask] of Object.entries(grants)) {
      for (const wish of good) {
        const label = `${grant}, ${JSON.stringify(wish)}`
        const { status, body } = await ask(wish)
        t.equal(status, 200, label)
        const { active, cnf } = (await introspect(api, body.access_token)).body
        t.match({ active, cnf }, { active: true, cnf: { 'x5t#S256': x5t } }, label)
        t.match(await thief.get('/api/whoami', body.access_token), refusal('certificate_mismatch'), label)
      }
      for (const token_binding of ['none', 'bearer', 'null', 'certificate ', 'dpop'])
        t.match(await ask({ token_binding }), notAllowed, `${grant}, ${token_binding}`)
    }
  })

t.test('refuses every grant without a certificate (N-43, ASVS 10.4.16)', async t => {
  const nobody = await server.connect(null)
  for (const grant_type of every.grant_types)
    t.match(
      await post(nobody, '/oauth/token', { grant_type, client_id: 'alice', refresh_token: 'x', subject_token: 'x' }),
      refusal('no_certificate', 'invalid_client'),
      grant_type,
    )
})
