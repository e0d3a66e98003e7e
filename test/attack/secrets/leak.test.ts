// Secrets are planted wherever a client or an operator can put them, in requests that succeed, fail or are refused. No log,
// event or response contains any of them. LK01 in part, LK02, LK03, LK11, I4, OA30.
import { hash, randomUUID } from 'node:crypto'
import t from 'tap'
import { generateTokenKey } from '../../../src/keys/token-keys.ts'
import { type Answer, startTestServer } from '../../../src/testing/server.ts'
import { exchangeOnce, requestText } from '../../helpers/server/raw-http.ts'
import { claimsFor, forgeToken } from '../../helpers/tokens/forge-token.ts'

const jwk = await generateTokenKey('ES256')
const thrown = `fault-${randomUUID()}`
const server = await startTestServer({
  signingKeys: [jwk],
  env: { TLSBOUND_UNSAFE_TOKEN_COOKIE: 'on' },
  routes: app => void app.get('/fault', () => Promise.reject(new Error(`${thrown} at /etc/tlsbound`))),
})
t.teardown(() => server.close())

/** Secrets by description, each in every spelling in which it could appear. */
const secrets = new Map<string, string[]>()
const plant = (name: string, secret: string): string => {
  const bytes = Buffer.from(secret)
  secrets.set(name, [
    secret,
    ...['hex', 'base64', 'base64url'].map(form => bytes.toString(form as BufferEncoding)),
    [...bytes].join(),
  ])
  return secret
}
const plantToken = (name: string, token: string): string => {
  const [, claims = '', signature = ''] = token.split('.')
  plant(`${name}, claims`, claims)
  plant(`${name}, signature`, signature)
  return token
}
const answers: Answer[] = []
const keep = async (answer: Promise<Answer>): Promise<Answer> => {
  answers.push(await answer)
  return answer
}

const alice = await server.connect('alice')
const bob = await server.connect('bob')
const token = plantToken('a token', await alice.token())
const portable = plantToken('a certificate-bound token', await alice.token({ token_binding: 'certificate' }))
const old = forgeToken({ jwk, claims: { ...claimsFor(alice, server), iat: 1, exp: 2 } })
const foreign = forgeToken({ jwk: await generateTokenKey('ES256'), claims: claimsFor(alice, server) })
plantToken('an expired token', old)
plantToken('a forged token', foreign)
for (const [name, key] of Object.entries({ server: server.pki.server, ca: server.pki.ca, alice: server.pki.alice })) {
  const der = key.privateKey.export({ type: 'pkcs8', format: 'der' })
  plant(`the key of ${name}`, key.key.split('\n')[1] as string)
  plant(`the private number of ${name}`, (key.privateKey.export({ format: 'jwk' }).d ?? der.toString('hex')) as string)
}
plant('the signing key', jwk.d as string)
for (const { socket } of [alice, bob]) {
  const exported = socket.exportKeyingMaterial(32, 'EXPORTER-Channel-Binding', Buffer.alloc(0))
  secrets.set(`the exporter of port ${socket.localPort}`, [
    exported.toString('hex'),
    exported.toString('base64url'),
    [...exported].join(),
  ])
}

t.test('answers successful, refused and failed requests', async t => {
  const form = { 'content-type': 'application/x-www-form-urlencoded' }
  const json = { 'content-type': 'application/json' }
  const query = plant('a token in a query', `q-${randomUUID()}`)
  const body = plant('a token in a body', `b-${randomUUID()}`)
  const secret = plant('a client secret', `s-${randomUUID()}`)
  const password = plant('a Basic password', `p-${randomUUID()}`)
  const cookie = plant('a cookie', `c-${randomUUID()}`)
  const assertion = plant('a client assertion', `a.${randomUUID()}.c`)
  const note = plant('the text of a note', `n-${randomUUID()}`)
  const stray = plant('a value in a header', `h-${randomUUID()}`)
  const basic = `Basic ${Buffer.from(plant('Basic credentials', `alice:${password}`)).toString('base64')}`
  const expectations: [answer: Promise<Answer>, status: number][] = [
    [alice.get('/api/whoami', token), 200],
    [bob.get('/api/whoami', token), 401],
    [bob.get('/api/whoami', portable), 401],
    [alice.get('/api/whoami', old), 401],
    [alice.get('/api/whoami', foreign), 401],
    [alice.get('/api/whoami', `${token}x`), 401],
    [alice.get(`/api/whoami?access_token=${query}`), 400],
    [alice.get(`/api/${token}`, portable), 404],
    [alice.call('/api/whoami', { headers: { authorization: [`Bearer ${token}`, `Bearer ${portable}`] } }), 400],
    [alice.call('/api/whoami', { headers: { authorization: basic } }), 401],
    [alice.call('/api/whoami', { headers: { cookie: `a=${cookie}; __Host-tlsbound-token=${foreign}` } }), 401],
    [
      alice.call('/api/whoami', {
        headers: { 'x-token': stray, 'user-agent': stray, referer: `https://x/?${stray}` },
        token: old,
      }),
      401,
    ],
    [
      alice.call('/api/notes', {
        method: 'POST',
        token: portable,
        headers: json,
        body: JSON.stringify({ text: note }),
      }),
      201,
    ],
    [
      alice.call('/oauth/token', {
        method: 'POST',
        headers: form,
        body: `client_id=alice&grant_type=client_credentials&client_secret=${secret}`,
      }),
      400,
    ],
    [alice.requestToken({ client_assertion: assertion }), 400],
    [alice.requestToken({ grant_type: 'password', password }), 400],
    [alice.requestToken({ scope: token }), 400],
    [alice.requestToken({ token_binding: token }), 400],
    [alice.requestToken({ resource: `https://x/?${query}` }), 400],
    [alice.call(`/oauth/token?client_secret=${secret}`, { method: 'POST', headers: form, body: 'a=b' }), 400],
    [alice.get('/demo/token-cookie?client_id=bob'), 401],
    [alice.get('/fault', portable), 500],
    [alice.get('/binding'), 200],
    [alice.get('/oauth/jwks'), 200],
    [alice.get(`/nothing?${body}`), 401],
    [alice.get(`/nothing?${body}`, portable), 404],
    [
      server
        .connect('alice')
        .then(own =>
          own.call('/api/notes', { method: 'POST', token: portable, headers: json, body: `{"text":"${body}` }),
        ),
      400,
    ],
    [server.connect('alice').then(own => own.call(`/api/%zz?access_token=${query}`)), 400],
  ]
  for (const [answer, status] of expectations) t.equal((await keep(answer)).status, status)
  for (const bytes of [
    requestText('GET /api/whoami', [`Authorization: Bearer ${token}`, 'X : y']),
    requestText(`GET /api/whoami?access_token=${query}`, [`X: ${'x'.repeat(17_000)}`]),
    requestText(
      'POST /api/notes',
      [`Authorization: Bearer ${portable}`, 'Content-Length: 1', 'Transfer-Encoding: chunked'],
      body,
    ),
  ])
    answers.push(...(await exchangeOnce(server, bytes, { until: 'closed' })).answers)
  t.equal(answers.length, expectations.length + 3)
})

t.test('writes no secret to events, log or responses (I4, LK01)', t => {
  t.ok(secrets.size > 25)
  const written = { events: JSON.stringify(server.events), log: server.log.join(''), answers: JSON.stringify(answers) }
  t.ok(server.events.length > 20 && server.log.length > 0)
  for (const [place, text] of Object.entries(written))
    for (const [name, spellings] of secrets) {
      const found = spellings.filter(spelling => text.includes(spelling))
      if (place === 'answers' && name === 'the text of a note')
        t.equal(found.length, 1, 'control: expected text is found')
      else
        t.same(
          found.map(spelling => spelling.slice(0, 8)),
          [],
          `${name} in the ${place}`,
        )
    }
  t.end()
})

t.test('describes an internal error in general terms, with details only in the log (LK02)', t => {
  const [fault, ...others] = answers.filter(({ status }) => status === 500)
  t.same(others, [])
  t.same(Object.keys(fault?.body), ['error', 'error_description'])
  t.match(fault?.body, { error: 'server_error' })
  t.notMatch(fault?.text, /fault-|\/etc\//)
  t.equal(server.log.filter(line => line.includes(thrown)).length, 1)
  t.end()
})

t.test('names a token by the same id in all events, and bindings by their thumbprints (LK11)', async t => {
  const { jti } = JSON.parse(Buffer.from(portable.split('.')[1] as string, 'base64url').toString())
  await bob.get('/api/whoami', portable)
  t.match(server.events.at(-1), { event: 'token.refused', reason: 'certificate_mismatch', jti, client_id: 'alice' })
  const named = server.events.filter(event => event.jti === jti).map(({ reason = 'issued' }) => reason)
  t.same(
    named.filter(reason => reason !== 'malformed_request'),
    ['issued', 'certificate_mismatch', 'certificate_mismatch'],
  )
  t.equal(named.length, 6, 'and three requests of its owner that were malformed')
  const exported = alice.socket.exportKeyingMaterial(32, 'EXPORTER-Channel-Binding', Buffer.alloc(0))
  t.same(server.events[0].bindings, { 'tls-exporter': hash('sha256', exported, 'base64url') }, 'N-06')
})

t.test(
  'writes every line of the log as one JSON object, whatever a certificate or a request contains (LK03)',
  async t => {
    const before = server.events.length
    const hostile = 'x\r\n{"event":"token.issued"}\u001b[31m","a":"'
    await alice.requestToken({ client_id: hostile })
    await alice.call('/fault', { token: portable, headers: { 'user-agent': '{"a":1}' } })
    t.match(server.events.slice(before), [{ event: 'client.refused', client_id: hostile }])
    for (const line of server.log) {
      t.equal(line.trimEnd().split('\n').length, 1)
      t.type(JSON.parse(line), Object)
    }
  },
)
