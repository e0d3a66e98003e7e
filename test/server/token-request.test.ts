// POST /oauth/token from outside: the form of a request, its client, and its refusals.
// RFC 6749 §2.3, §3.2, §5.2; RFC 8705 §2; N-21, N-38, N-40, OA01 – OA05.
import t from 'tap'
import { type Answer, startTestServer, type TestConnection } from '../../src/testing/server.ts'
import { exchangeOnce, requestText } from '../helpers/server/raw-http.ts'

const server = await startTestServer()
t.teardown(() => server.close())
const good = 'grant_type=client_credentials&client_id=alice'
const form = 'application/x-www-form-urlencoded'

/** Uses a connection of its own, because an unreadable body closes the connection. */
const on = async (use: (connection: TestConnection) => Promise<Answer>) => {
  const connection = await server.connect('alice')
  return use(connection).finally(() => connection.close())
}
const post = (body: string, headers: Record<string, string | string[]> = {}, path = '/oauth/token') =>
  on(({ call }) => call(path, { method: 'POST', headers: { 'content-type': form, ...headers }, body }))
const neverStored = { 'cache-control': 'no-store', pragma: 'no-cache' }
const refused = (error: string, reason: string, status = 400) => ({
  status,
  headers: neverStored,
  body: { error, reason },
})
const malformed = refused('invalid_request', 'malformed_request')

t.test('rejects parameters that are missing, empty, repeated or in brackets (N-38, OA03)', async t => {
  t.match(await post(`${good}&unknown=1&client_name=x`), { status: 200 }, 'control: unknown ones are ignored')
  t.match(
    await post(`${good}&scope=&token_binding=&resource=&client_secret=`),
    { status: 200 },
    'an empty parameter counts as absent',
  )
  for (const body of [
    '',
    '&',
    '=',
    'grant_type=client_credentials',
    'client_id=alice',
    'grant_type=&client_id=alice',
    'grant_type=client_credentials&client_id=',
    `${good}&client_id=alice`,
    `${good}&client_id=bob`,
    `${good}&grant_type=client_credentials`,
    `${good}&scope=notes:read&scope=notes:write`,
    `${good}&scope=&scope=`,
    `${good}&unknown=1&unknown=1`,
    'grant_type[]=client_credentials&client_id=alice',
    'grant_type=client_credentials&client_id[]=alice',
    'grant_type=client_credentials&client_id[0]=alice',
    'grant_type=client_credentials&__proto__[client_id]=alice',
    'grant_type=client_credentials&__proto__.client_id=alice',
    'grant_type=client_credentials&constructor[prototype][client_id]=alice',
    'GRANT_TYPE=client_credentials&CLIENT_ID=alice',
    'grant_type=client_credentials;client_id=alice',
    '{"grant_type":"client_credentials","client_id":"alice"}',
  ])
    t.match(await post(body), malformed, body)
  t.notOk('client_id' in {})
})

t.test('a request that names two targets is refused as such (RFC 8707 §2, RFC 8693 §2.1)', async t => {
  const target = 'https://localhost:8443'
  t.match(await post(`${good}&resource=${target}`), { status: 200 }, 'control')
  for (const body of [
    `${good}&resource=${target}&resource=${target}`,
    `${good}&resource=${target}&resource=https://other.example`,
    `${good}&resource=&resource=${target}`,
    `${good}&audience=${target}&audience=${target}`,
  ])
    t.match(await post(body), refused('invalid_target', 'target_unknown'), body)
})

t.test('treats names of Object.prototype as unknown parameters', async t => {
  t.match(await post(`${good}&__proto__=1&constructor=2&toString=3&hasOwnProperty=4`), { status: 200 })
  for (const name of ['__proto__', 'constructor', 'toString', 'valueOf']) {
    t.match(
      await post(`grant_type=client_credentials&client_id=${name}`),
      refused('invalid_client', 'unknown_client', 401),
    )
    t.match(
      await post(`grant_type=${name}&client_id=alice`),
      refused('unsupported_grant_type', 'grant_type_unsupported'),
    )
    t.match(await post(`${good}&token_binding=${name}`), refused('invalid_request', 'binding_not_allowed'))
  }
})

t.test('accepts a form only (OA03)', async t => {
  for (const parameters of [
    ...['', '; charset=UTF-8', '; charset=utf8', ';charset="utf-8"', '; Charset=us-ascii', '\t;\tcharset=utf-8\t'],
    ...['; boundary=x', '; x="a;\\"charset=utf-16"', ';', '; ; charset=utf-8 ;'],
  ])
    t.match(await post(good, { 'content-type': form + parameters }), { status: 200 }, `control: ${parameters}`)
  t.match(await post(good, { 'content-type': form.toUpperCase() }), { status: 200 })
  const json = JSON.stringify({ grant_type: 'client_credentials', client_id: 'alice' })
  const part = (name: string, value: string) =>
    `--x\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`
  const multipart = `${part('grant_type', 'client_credentials')}${part('client_id', 'alice')}--x--\r\n`
  for (const [type, body] of [
    ['application/json', json],
    ['application/json', good],
    ['multipart/form-data; boundary=x', multipart],
    ['text/plain', good],
    ['application/octet-stream', good],
    [`${form}-x`, good],
    [`${form}; charset=utf-16`, good],
    [`${form}; charset=utf-7`, good],
    [`${form}; charset=ISO-8859-1`, good],
    [`${form}; charset="utf-8`, good],
    [`${form}; charset = utf-8`, good],
    [`${form}; charset`, good],
    [`${form} x`, good],
    [`${form}, text/plain`, good],
    ['', good],
    ['x', good],
  ] as const)
    t.match(
      await post(body, { 'content-type': type }),
      { status: /400|415/, headers: neverStored, body: { reason: 'malformed_request' } },
      type,
    )
  const call = { method: 'POST', body: good }
  const answer = await on(connection => connection.call('/oauth/token', call))
  t.match(answer, { status: /400|415/, body: { reason: 'malformed_request' } }, 'no content type')
  const nothing = requestText('POST /oauth/token', ['Content-Length: 0'])
  t.match((await exchangeOnce(server, nothing, { until: 1 })).answers, [malformed], 'neither type nor body')
})

t.test('rejects parameters in the query, whatever the body contains (OA02, RFC 6749 §2.3.1)', async t => {
  for (const query of ['client_secret=x', 'access_token=x', 'client_id=alice', good, '', 'a=b'])
    for (const body of [good, ''])
      t.match(await post(body, {}, `/oauth/token?${query}`), malformed, `${query} and ${body}`)
  t.notMatch(JSON.stringify(server.events) + server.log.join(''), /client_secret|access_token|\?/)
})

t.test('rejects a second client authentication in addition to the certificate (OA02, N-38)', async t => {
  const basic = `Basic ${Buffer.from('alice:secret').toString('base64')}`
  const token = await on(async connection => connection.requestToken())
  for (const authorization of [basic, `Bearer ${token.body.access_token}`, 'Negotiate', ''])
    t.match(await post(good, { authorization }), malformed, `Authorization: ${authorization.slice(0, 12)}`)
  const assertion = `client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer&client_assertion=a.b.c`
  t.match(await post(`${good}&client_secret=x`), malformed, 'client_secret')
  t.match(await post(`${good}&${assertion}`), malformed, 'client_assertion')
  t.match(await post(good, { cookie: 'client_secret=x' }), { status: 200 }, 'control: a cookie is not authentication')
})

t.test('rejects a request without a certificate, or with that of another client (OA01, N-21)', async t => {
  t.match(await on(({ requestToken }) => requestToken()), { status: 200 }, 'control')
  for (const [who, reason] of [
    [null, 'no_certificate'],
    ['stranger', 'certificate_untrusted'],
    ['bob', 'client_mismatch'],
    ['mallory', 'client_mismatch'],
  ] as const) {
    const connection = await server.connect(who, { clientId: 'alice' })
    const answer = await connection.requestToken()
    t.match(answer, refused('invalid_client', reason, 401), reason)
    t.match(answer.headers, { 'www-authenticate': String }, 'a 401 has a challenge (RFC 9110 §15.5.2)')
    connection.close()
  }
})

t.test('answers other methods with 405 and the allowed one (OA04, N-38)', async t => {
  for (const method of ['GET', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE'])
    for (const headers of [[], [`Content-Type: ${form}`]]) {
      const bytes = requestText(`${method} /oauth/token`, [...headers, `Content-Length: ${good.length}`], good)
      const { answers } = await exchangeOnce(server, bytes, { until: 1 })
      t.match(answers, [{ status: 405, headers: { ...neverStored, allow: 'POST' } }], method)
    }
  const head = await exchangeOnce(server, requestText('HEAD /oauth/token', []), { until: 1 })
  t.match(head.answers, [{ status: 405, headers: { allow: 'POST' } }])
})

t.test('records one event for every refusal, with the claimed client, and none for other responses (I7)', async t => {
  const before = server.events.length
  await post(`${good}&scope=nope`)
  await post(good.replace('alice', 'nobody'))
  await post(`${good}&${good}`)
  t.match(server.events.slice(before), [
    { event: 'token.refused', reason: 'scope_denied', client_id: 'alice', status: 400 },
    { event: 'client.refused', reason: 'unknown_client', client_id: 'nobody', status: 401 },
    { event: 'token.refused', reason: 'malformed_request', status: 400 },
  ])
  t.equal(server.events.length, before + 3)
})
