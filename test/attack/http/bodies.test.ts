// Invalid bodies: other types, compressed, too long, not a note, or with names of prototypes. HT08, HT09, HT10; I2, I7.
import { gzipSync } from 'node:zlib'
import t from 'tap'
import { type Answer, type Call, startTestServer } from '../../../src/testing/server.ts'
import { exchangeOnce, requestText } from '../../helpers/server/raw-http.ts'

const server = await startTestServer()
t.teardown(() => server.close())
const token = await (await server.connect('alice')).token({ token_binding: 'certificate' })
const authorization = `Authorization: Bearer ${token}`
const protocols = ['http/1.1', 'h2']

/** A body that cannot be read ends its connection, so each call opens one. */
const call = async (path: string, request: Call, protocol = 'http/1.1'): Promise<Answer> => {
  const connection = await server.connect('alice', { ALPNProtocols: [protocol] })
  return connection.call(path, request).finally(() => connection.close())
}
const postNote = (body: string, headers: Call['headers'] = {}, protocol?: string) =>
  call(
    '/api/notes',
    { method: 'POST', token, headers: { 'content-type': 'application/json', ...headers }, body },
    protocol,
  )
const refused = (status: number) => ({ status, body: { error: 'invalid_request', reason: 'malformed_request' } })

t.test('reads a body only with a JSON content type (HT10)', async t => {
  for (const protocol of protocols) {
    for (const type of [
      'application/json',
      'application/json; charset=utf-8',
      'application/json;charset=UTF-8',
      'application/json; charset=utf8',
      'application/json; charset="utf-8"; x=y',
      'Application/JSON',
    ])
      t.match(await postNote('{"text":"hi"}', { 'content-type': type }, protocol), { status: 201 }, `control: ${type}`)
    for (const type of [
      'text/plain',
      'text/json',
      'application/jsonx',
      'application/json-seq',
      'application/problem+json',
      'application/x-www-form-urlencoded',
      'multipart/form-data; boundary=x',
      'application/octet-stream',
      'application/json x',
      'application/json, text/plain',
      'application\t/json',
      'application /json',
      'application',
      '*/*',
      '',
      'application/json; charset=utf-7',
      'application/json; charset=utf-16',
      'application/json; charset=utf-8; charset=utf-16',
    ])
      t.match(
        await postNote('{"text":"hi"}', { 'content-type': type }, protocol),
        refused(415),
        `${type} over ${protocol}`,
      )
    const bare = await call('/api/notes', { method: 'POST', token, body: '{"text":"hi"}' }, protocol)
    t.match(bare, refused(415), 'no content type')
  }
})

t.test('rejects a body with a content coding, decompression bombs included (HT08)', async t => {
  const bomb = gzipSync(JSON.stringify({ text: 'a'.repeat(20_000_000) })).toString('latin1')
  t.ok(bomb.length < 65_536)
  for (const coding of ['gzip', 'deflate', 'br', 'x-gzip']) {
    const headers = [authorization, 'Content-Type: application/json', `Content-Encoding: ${coding}`]
    for (const body of [bomb, '{"text":"hi"}']) {
      const bytes = requestText('POST /api/notes', [...headers, `Content-Length: ${body.length}`], body)
      const [answer] = (await exchangeOnce(server, bytes, { until: 1 })).answers
      t.match(answer, { status: body === bomb ? /400|413|415/ : 415, body: { reason: 'malformed_request' } }, coding)
    }
  }
  t.match(await postNote('{"text":"hi"}', { 'content-encoding': 'identity' }), { status: /201|415/ })
})

t.test('answers 413 to a body over the limit, with Content-Length or chunked (HT08)', async t => {
  const padded = (length: number) => `{"text":"hi"${' '.repeat(length - 13)}}`
  for (const protocol of protocols) {
    t.match(await postNote(padded(65_536), {}, protocol), { status: 201 }, 'control: the limit itself')
    t.match(await postNote(padded(65_537), {}, protocol), refused(413))
  }
  const chunked = (length: number) => `${length.toString(16)}\r\n${padded(length)}\r\n0\r\n\r\n`
  const headers = [authorization, 'Content-Type: application/json', 'Transfer-Encoding: chunked']
  for (const [length, status] of [
    [65_536, 201],
    [65_537, 413],
  ] as const) {
    const bytes = requestText('POST /api/notes', headers, chunked(length))
    t.match((await exchangeOnce(server, bytes, { until: 1 })).answers, [{ status }], `${length} in a chunk`)
  }
  const form = `grant_type=client_credentials&client_id=alice&x=${'a'.repeat(16_384)}`
  const type = { 'content-type': 'application/x-www-form-urlencoded' }
  t.match(await call('/oauth/token', { method: 'POST', headers: type, body: form }), refused(413), 'a form')
})

t.test(
  'answers 400 to JSON with names of prototypes or without a note, and pollutes no prototype (HT09, I2)',
  async t => {
    const before = server.events.length
    t.match(await postNote('{"text":"hi"}'), { status: 201, body: { text: 'hi' } }, 'control')
    for (const body of [
      '{"__proto__":{"polluted":1},"text":"x"}',
      '{"text":"x","\\u005f_proto__":{"polluted":1}}',
      '{"text":{"__proto__":{"polluted":1}}}',
      '{"constructor":{"prototype":{"polluted":1}},"text":"x"}',
      '{"text":"x","toString":"y"}',
      '{"__proto__":null}',
      '[]',
      '[{"text":"x"}]',
      'null',
      'true',
      '"text"',
      '{}',
      '{"text":""}',
      '{"text":1}',
      '{"text":null}',
      '{"text":["x"]}',
      '{"text":"x","id":1}',
      `{"text":"${'a'.repeat(2001)}"}`,
      '{"text":"\\ud800"}',
      '{',
      '',
      '{"text":"x"}{"text":"y"}',
      "{'text':'x'}",
      '{"text":NaN}',
      '['.repeat(30_000),
    ])
      for (const protocol of protocols) t.match(await postNote(body, {}, protocol), refused(400), body.slice(0, 50))
    t.equal(server.events.length - before, 50, 'one event for each (I7)')
    t.notOk('polluted' in {})
  },
)
