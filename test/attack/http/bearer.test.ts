// Where and how a token is accepted in a request: once, in the Authorization header, as `Bearer TOKEN`. RFC 6750 §2, RFC 9110
// §11.6.2; HT01, HT02, HT03, OA32, N-45.
import t from 'tap'
import { startTestServer } from '../../../src/testing/server.ts'
import { requestHttp2 } from '../../helpers/server/raw-http.ts'

const server = await startTestServer()
t.teardown(() => server.close())
const alice = await server.connect('alice')
const token = await alice.token({ token_binding: 'certificate' })
const http2 = await server.connect('alice', { ALPNProtocols: ['h2'] })
const protocols = [alice, http2]

const accepted = { status: 200, body: { client_id: 'alice' } }
const malformed = { status: 400, body: { error: 'invalid_request', reason: 'malformed_request' } }
const noToken = {
  status: 401,
  headers: { 'www-authenticate': /^Bearer resource_metadata="[^"]+"$/ },
  body: { error: undefined, reason: 'no_token' },
}
const present = (connection: typeof alice, authorization: string) =>
  connection.call('/api/whoami', { headers: { authorization } })

t.test('rejects two Authorization headers, whatever they contain, over HTTP/1.1 and HTTP/2 (HT01, N-45)', async t => {
  t.match(await alice.call('/api/whoami', { headers: { authorization: [`Bearer ${token}`] } }), accepted)
  for (const [first, second] of [
    [`Bearer ${token}`, `Bearer ${token}`],
    [`Bearer ${token}`, 'Bearer x'],
    ['Bearer x', `Bearer ${token}`],
    ['Basic YTpi', `Bearer ${token}`],
    [`Bearer ${token}`, ''],
  ] as const) {
    const name = `${first.slice(0, 8)} and ${second.slice(0, 8)}`
    const answer = await alice.call('/api/whoami', { headers: { authorization: [first, second] } })
    t.match(answer, malformed, `${name} over HTTP/1.1`)
    t.match(
      await requestHttp2(server, [
        [':method', 'GET'],
        [':path', '/api/whoami'],
        ['authorization', first],
        ['authorization', second],
      ]),
      malformed,
      `${name} over HTTP/2`,
    )
  }
  const once = [
    [':method', 'GET'],
    [':path', '/api/whoami'],
    ['authorization', `Bearer ${token}`],
  ] as const
  t.match(await requestHttp2(server, once), accepted, 'control: one header over HTTP/2')
})

t.test('compares the scheme case-insensitively, and everything else strictly (HT02)', async t => {
  for (const connection of protocols) {
    for (const scheme of ['Bearer', 'bearer', 'BEARER', 'bEaReR'])
      t.match(await present(connection, `${scheme} ${token}`), accepted, scheme)
    for (const [name, value] of [
      ['a tabulator', `Bearer\t${token}`],
      ['two spaces', `Bearer  ${token}`],
      ['a list', `Bearer ${token}, Bearer ${token}`],
      ['a list without space', `Bearer ${token},Bearer ${token}`],
      ['a second word', `Bearer ${token} x`],
      ['no token', 'Bearer'],
      ['quotes', `Bearer "${token}"`],
      ['a parameter', `Bearer token=${token}`],
      ['a letter beyond ASCII', `Bearer ${token}é`],
      ['padding in front', `Bearer =${token}`],
      ['a colon', `Bearer alice:${token}`],
      ['a percent sign', `Bearer ${token}%20`],
    ] as const)
      t.match(await present(connection, value), malformed, `${name}, ${connection.socket.alpnProtocol}`)
  }
})

t.test('finds no token under another scheme, even if it is valid (OA32)', async t => {
  for (const connection of protocols)
    for (const value of [
      `Basic ${Buffer.from('alice:secret').toString('base64')}`,
      `Basic ${token}`,
      `DPoP ${token}`,
      `Hawk id="alice", mac="${token}"`,
      `Bearerx ${token}`,
      `Bearer-${token}`,
      `Token ${token}`,
      token,
      'Negotiate',
    ])
      t.match(await present(connection, value), noToken, value.slice(0, 12))
})

t.test('rejects tokens that this server did not issue (OA32)', async t => {
  for (const other of [
    'opaque',
    'v2.public.eyJzdWIiOiJhbGljZSJ9',
    'v4.local.AAAA',
    'a.b',
    '....',
    '='.padStart(64, 'A'),
  ])
    t.match(await present(alice, `Bearer ${other}`), {
      status: 401,
      body: { error: 'invalid_token', reason: 'bad_signature' },
    })
})

t.test('rejects a token in the query, even with a valid one in the header (HT03, N-45)', async t => {
  for (const connection of protocols)
    for (const query of [
      `access_token=${token}`,
      `a=b&access_token=${token}`,
      `acc%65ss_token=${token}`,
      'access_token=',
      'access_token',
      `access_token=x&access_token=${token}`,
    ]) {
      t.match(await connection.get(`/api/whoami?${query}`), malformed, query.slice(0, 20))
      t.match(await connection.get(`/api/whoami?${query}`, token), malformed, `${query.slice(0, 20)} and header`)
    }
  t.match(await alice.get('/api/whoami?token=x&Access_Token=y&a=access_token', token), accepted, 'control: other names')
})

t.test('ignores tokens in cookies and bodies (HT03, N-45)', async t => {
  const cookie = `access_token=${token}; __Host-tlsbound-token=${token}; token=${token}`
  t.match(await alice.call('/api/whoami', { headers: { cookie } }), noToken, 'cookie')
  const form = { 'content-type': 'application/x-www-form-urlencoded' }
  const body = `access_token=${token}`
  t.match(await alice.call('/api/notes', { method: 'POST', headers: form, body }), noToken, 'form')
  const json = { 'content-type': 'application/json' }
  const object = JSON.stringify({ access_token: token })
  t.match(await alice.call('/api/notes', { method: 'POST', headers: json, body: object }), noToken, 'JSON')
  t.match(
    await alice.call('/api/whoami', { headers: { 'x-access-token': token, 'proxy-authorization': `Bearer ${token}` } }),
    noToken,
    'other headers',
  )
  t.match(await alice.call('/api/whoami', { headers: { cookie }, token }), accepted, 'control: the header counts')
})

t.test('writes no refused token to any output (I4, HT03)', t => {
  t.ok(server.events.length > 70)
  const written = JSON.stringify(server.events) + server.log.join('')
  const [header, claims, signature] = token.split('.') as [string, string, string]
  for (const part of [token, claims, signature, 'access_token', header.slice(0, 24)])
    t.notOk(written.includes(part), part)
  t.end()
})
