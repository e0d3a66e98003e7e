// The headers and bodies that the sidecar forwards, removes or rejects in both directions. RFC 9110 §7.6, §11.6; GW11, GW14, HT01, HT12.
import { Agent, type IncomingMessage, type ServerResponse } from 'node:http'
import { buffer } from 'node:stream/consumers'
import t from 'tap'
import { ask, startTestSidecar, startUpstream } from '../helpers/client/sidecar.ts'

/** Echoes requests with their headers. */
const mirror = async (request: IncomingMessage, response: ServerResponse) => {
  const { method, url, rawHeaders } = request
  const body = (await buffer(request)).toString()
  response.setHeader('content-type', 'application/json')
  response.end(JSON.stringify({ method, url, headers: rawHeaders, body }))
}
/** Returns the values of a header in a list of names and values. */
const valuesOf = (headers: readonly string[], name: string) =>
  headers.filter((_value, index) => index % 2 === 1 && headers[index - 1]?.toLowerCase() === name)

t.test('forwards methods, paths, queries and bodies unchanged', async t => {
  const upstream = await startUpstream(t, mirror)
  const { address } = await startTestSidecar(t, upstream)
  for (const method of ['GET', 'DELETE', 'OPTIONS', 'POST', 'PUT', 'PATCH', 'QUERY', 'PROPFIND']) {
    const path = `/a%2Fb/../c;d=1,2/%C3%A9?x=${method}&y=//z\\`
    const body = ['GET', 'OPTIONS'].includes(method) ? '' : `body of ${method}`
    t.match(await ask(address, path, { method, ...(body && { body }) }), {
      status: 200,
      body: { method, url: path, body },
    })
  }
  const chunked = { method: 'POST', headers: { 'transfer-encoding': 'chunked' }, body: 'in chunks' }
  t.match((await ask(address, '/', chunked)).body, { body: 'in chunks' })
  const empty = await ask(address, '/', { method: 'POST', headers: { 'content-length': '0' } })
  t.match(empty.body, { body: '' })
  t.same(valuesOf(empty.body.headers, 'content-length'), ['0'])
})

t.test('the upstream gets its own host, no hop-by-hop headers and no client identity headers', async t => {
  const upstream = await startUpstream(t, mirror)
  const { address } = await startTestSidecar(t, upstream)
  const removed = {
    Authorization: 'Bearer stolen',
    'Session-Binding-Proof': 'x',
    Session_Binding_Proof: 'x',
    'Client-Cert': ':MII=:',
    'Client-Cert-Chain': ':MII=:',
    'Proxy-Authorization': 'Basic x',
    'Proxy-Connection': 'keep-alive',
    'Keep-Alive': 'timeout=1',
    TE: 'trailers',
    Trailer: 'X-Sum',
    Expect: '100-continue',
    Connection: 'keep-alive, X-Private, x-other',
    'X-Private': '1',
    'X-Other': '1',
  }
  const kept = {
    Cookie: 'a=1',
    Forwarded: 'for=1.2.3.4',
    'X-Forwarded-For': '1.2.3.4',
    'X-Twice': ['1', '2'],
    Accept: '*/*',
  }
  const { body } = await ask(address, '/', {
    method: 'POST',
    headers: { ...removed, ...kept, Via: '1.1 before', 'Transfer-Encoding': 'chunked' },
  })
  t.same(valuesOf(body.headers, 'host'), [new URL(upstream.origin).host])
  t.same(valuesOf(body.headers, 'via'), ['1.1 before, 1.1 tlsbound'], 'RFC 9110 §7.6.3')
  for (const name of Object.keys(removed).filter(name => name !== 'Connection'))
    t.same(valuesOf(body.headers, name.toLowerCase()), [], name)
  t.notMatch(String(valuesOf(body.headers, 'connection')), /private/i)
  for (const [name, value] of Object.entries(kept))
    t.same(valuesOf(body.headers, name.toLowerCase()), [value].flat(), name)
})

t.test('rejects a program’s own token when configured so (HT01)', async t => {
  const upstream = await startUpstream(t, mirror)
  const { address } = await startTestSidecar(t, upstream, { authorization: 'refuse' })
  t.match(await ask(address, '/'), { status: 200 }, 'control')
  for (const headers of [{ authorization: 'Bearer x' }, { authorization: ['Bearer x', 'Bearer y'] }])
    t.match(await ask(address, '/', { headers }), { status: 400, body: { error: 'invalid_request' } })
  t.equal(upstream.seen.length, 1)
})

t.test('forwards status, cookie lists and octets of responses, without hop-by-hop headers', async t => {
  const octets = Buffer.from([...Array(256).keys()])
  const upstream = await startUpstream(t, (_request, response) => {
    response.writeHead(418, 'I am a teapot', [
      ...[
        'Set-Cookie',
        'a=1; Path=/',
        'Set-Cookie',
        'b=2',
        'Set-Cookie',
        'c=3, d',
        'ETag',
        '"\xe9"',
        'X-Twice',
        '1',
        'X-Twice',
        '2',
      ],
      ...[
        'Connection',
        'X-Private',
        'X-Private',
        '1',
        'Proxy-Authenticate',
        'Basic',
        'Trailer',
        'X-Sum',
        'WWW-Authenticate',
        'Bearer',
      ],
    ])
    response.write(octets)
    response.addTrailers({ 'X-Sum': '1' })
    response.end(octets)
  })
  const { address } = await startTestSidecar(t, upstream)
  const { status, headers, text } = await ask(address, '/')
  t.equal(status, 418)
  t.match(headers, {
    'set-cookie': ['a=1; Path=/', 'b=2', 'c=3, d'],
    etag: '"\xe9"',
    'x-twice': '1, 2',
    'www-authenticate': 'Bearer',
  })
  for (const name of ['x-private', 'proxy-authenticate', 'trailer']) t.notOk(name in headers, name)
  t.equal(text, Buffer.concat([octets, octets]).toString())
})

t.test('forwards responses without a body, and keeps the connection after each', async t => {
  const upstream = await startUpstream(t, (request, response) => {
    const status = Number(/\d+/.exec(request.url ?? '')?.[0])
    response.writeHead(status, { etag: '"1"', 'content-length': 5 })
    response.end(request.method === 'HEAD' || status !== 200 ? '' : 'hello')
  })
  const { address } = await startTestSidecar(t, upstream)
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  t.teardown(() => agent.destroy())
  const sockets = new Set<object>()
  agent.on('free', socket => sockets.add(socket))
  const get = (path: string, method = 'GET') => ask(address, path, { method, agent })

  t.match(await get('/200'), { status: 200, text: 'hello', headers: { 'content-length': '5' } }, 'control')
  t.match(await get('/200', 'HEAD'), { status: 200, text: '', headers: { 'content-length': '5' } })
  t.match(await get('/304'), { status: 304, text: '', headers: { etag: '"1"' } })
  const empty = await get('/204')
  t.match(empty, { status: 204, text: '' })
  t.notOk('content-length' in empty.headers || 'transfer-encoding' in empty.headers, 'RFC 9110 §8.6')
  t.match(await get('/200'), { status: 200, text: 'hello' })
  t.equal(sockets.size, 1, 'the program used one connection')
})

t.test('passes redirects to the program and does not follow them (GW11)', async t => {
  const location = 'https://evil.example/steal'
  const upstream = await startUpstream(t, (_request, response) => response.writeHead(307, { location }).end())
  const { address } = await startTestSidecar(t, upstream)
  t.match(await ask(address, '/'), { status: 307, headers: { location } })
  t.equal(upstream.seen.length, 1)
})

t.test('does not take interim responses for the final one, however many there are (GW04)', async t => {
  const upstream = await startUpstream(t, (request, response) => {
    request.socket.cork()
    for (let count = 0; count < 500; count++) response.writeProcessing()
    response.writeEarlyHints({ link: '</a>; rel=preload' })
    request.socket.uncork()
    response.end('final')
  })
  const { address } = await startTestSidecar(t, upstream)
  t.match(await ask(address, '/'), { status: 200, text: 'final' })
})

t.test('returns its state under one path, without a request to the upstream', async t => {
  const upstream = await startUpstream(t, mirror)
  const { address } = await startTestSidecar(t, upstream)
  const { status, headers, body } = await ask(address, '/_status')
  t.equal(status, 200)
  t.match(headers, { 'content-type': 'application/json', 'cache-control': 'no-store' })
  t.same({ ...body, uptime: 0 }, { uptime: 0, requests_under_way: 0, client: { origin: upstream.origin } })
  t.match(await ask(address, '/_status', { method: 'HEAD' }), { status: 200, text: '' })
  t.match(await ask(address, 'http://any/_status'), { status: 200, body: { uptime: Number } })
  t.match(await ask(address, '/_status', { method: 'POST', body: 'x' }), {
    status: 405,
    headers: { allow: 'GET, HEAD' },
  })
  t.same(upstream.seen, [])
  await ask(address, '/_status/')
  t.same(upstream.seen, ['GET /_status/'], 'control: any other path is forwarded')
})
