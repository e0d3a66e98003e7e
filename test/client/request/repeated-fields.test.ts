// Repeated fields are joined where the definition of the field allows it; other repeated fields and invalid requests are
// rejected before anything is sent. RFC 9110 §5.3.

import { once } from 'node:events'
import { connect as connectHttp2, constants, createServer } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { createClient } from '../../../src/client/client.ts'
import { listCallersHeaders } from '../../../src/client/headers.ts'
import { startFakeUpstream } from '../../helpers/client/fake-upstream.ts'
import { ask, makeFolder, startTestSidecar } from '../../helpers/client/sidecar.ts'

/** Starts a sidecar in front of an upstream that reports the received fields. */
async function start(t: Test, http2: boolean) {
  const upstream = await startFakeUpstream(
    t,
    ({ rawHeaders }, response) => {
      const pairs = rawHeaders.flatMap((name, index) =>
        index % 2 === 0 ? [[name.toLowerCase(), rawHeaders[index + 1]]] : [],
      )
      response.end(JSON.stringify(pairs))
    },
    { http2 },
  )
  const client = createClient({ ...upstream.target, http2, connections: 1 })
  const { address } = await startTestSidecar(t, { client }, { listen: { path: join(makeFolder(t), 's.sock') } })
  return { upstream, client, address }
}

/** Returns the values of a field that the upstream received. */
const valuesOf = (body: string[][], name: string) => body.filter(([field]) => field === name).map(([, value]) => value)

for (const http2 of [true, false]) {
  const protocol = http2 ? 'HTTP/2' : 'HTTP/1.1'

  t.test(`the sidecar rejects a repeated single field, and sends nothing, over ${protocol}`, async t => {
    const { upstream, client, address } = await start(t, http2)
    t.match(await ask(address, '/'), { status: 200 }, 'control')
    const names = ['Referer', 'User-Agent', 'Content-Type', 'Date', 'From', 'If-Range', 'Range', 'DNT', 'Max-Forwards']
    for (const name of [
      ...names,
      'Upgrade-Insecure-Requests',
      'If-Modified-Since',
      'Content-Location',
      'ETag',
      'Expires',
    ]) {
      const refusal = {
        status: 400,
        body: {
          error: 'invalid_request',
          error_description: `Nothing was sent: the header ${name.toLowerCase()} may occur once in a request, but was given 2 times; send one.`,
        },
      }
      t.match(await ask(address, '/', { headers: { [name]: ['a', 'b'] } }), refusal, name)
      t.match(await ask(address, '/', { headers: { [name]: ['a', 'a'] } }), refusal, `${name}, equal values`)
      t.match(await ask(address, '/', { headers: { [name]: 'a' } }), { status: 200 }, `${name} once`)
    }
    t.equal(upstream.handshakes, 1, 'the connection stays open')
    t.equal(client.state().counts.repeated, 0)
    t.equal(upstream.seen.length, 1 + 14, 'no octet of the rejected requests was sent')
  })

  t.test(`the client sends a number as the value of a field, over ${protocol}`, async t => {
    const { client } = await start(t, http2)
    const headers = { 'x-number': 5, 'x-text': '5' }
    const { body } = await client.dispatcher.request({ path: '/', method: 'GET', headers })
    const received = (await body.json()) as string[][]
    t.same([valuesOf(received, 'x-number'), valuesOf(received, 'x-text')], [['5'], ['5']])
  })

  t.test(`the sidecar joins list fields, over ${protocol}`, async t => {
    const { address } = await start(t, http2)
    for (const name of ['if-match', 'if-none-match', 'content-encoding', 'content-language']) {
      const { body } = await ask(address, '/', { headers: { [name]: ['"a"', '"b"', '"c", "d"'] } })
      t.same(valuesOf(body, name), ['"a", "b", "c", "d"'], name)
      t.match(
        await ask(address, '/', { headers: { [name]: ['*', '"b"'] } }),
        { status: 400 },
        `${name}: * is not a list member`,
      )
      t.match(await ask(address, '/', { headers: { [name]: '*' } }), { status: 200 }, `${name}: *`)
    }
    for (const name of ['accept', 'x-anything', 'forwarded', 'cache-control', 'cookie']) {
      const { body } = await ask(address, '/', { headers: { [name]: ['a=1', 'b=2'] } })
      t.match(valuesOf(body, name).join(), /a=1.*b=2/, `${name} is passed on unchanged`)
    }
  })

  t.test(`passes fields named like object members, over ${protocol}`, async t => {
    const { address, upstream } = await start(t, http2)
    for (const name of ['constructor', '__proto__', 'tostring', 'hasownproperty', 'valueof']) {
      const headers = JSON.parse(`{"${name}":["a","b"]}`)
      const { status, body } = await ask(address, '/', { headers })
      t.equal(status, 200, name)
      t.equal(valuesOf(body, name).join(', '), 'a, b', name)
    }
    t.equal(upstream.handshakes, 1)
  })

  t.test(`removes hop-by-hop fields without failing the request, over ${protocol}`, async t => {
    const { address, client, upstream } = await start(t, http2)
    for (const headers of [
      { 'http2-settings': 'AAMAAABkAAQCAAAAAAIAAAAA' },
      { te: 'gzip' },
      { 'keep-alive': 'timeout=5' },
      { 'proxy-connection': 'keep-alive' },
    ]) {
      const [name = ''] = Object.keys(headers)
      const { status, body } = await ask(address, '/', { headers })
      t.equal(status, 200, name)
      t.same(valuesOf(body, name), [], name)
    }
    t.match([client.state().counts.repeated, upstream.handshakes], [0, 1])
  })

  t.test(`the library rejects the same before anything is sent, over ${protocol}`, async t => {
    const { client, upstream } = await start(t, http2)
    const send = (headers: [string, string][]) =>
      client.dispatcher.request({ path: '/', method: 'GET', headers: headers.flat() })
    await t.rejects(
      send([
        ['Referer', 'a'],
        ['referer', 'b'],
      ]),
      { name: 'TypeError', message: /referer may occur once/ },
    )
    await t.rejects(
      client.dispatcher.request({ path: '/', method: 'GET', headers: { 'user-agent': ['a', 'b'] } }),
      TypeError,
    )
    const { body } = await send([
      ['If-Match', '"a"'],
      ['if-match', '"b"'],
    ])
    t.same(valuesOf((await body.json()) as string[][], 'if-match'), ['"a", "b"'])
    if (http2)
      for (const [name, value] of [
        ['te', 'gzip'],
        ['http2-settings', 'x'],
        ['upgrade', 'x'],
        ['x-y', 'a\nb'],
      ] as const)
        await t.rejects(send([[name, value]]), { code: 'UND_ERR_INVALID_ARG' }, name)
    t.match([upstream.seen.length, client.state().counts.repeated, upstream.handshakes], [1, 0, 1])
  })
}

t.test('no field that Node accepts once over HTTP/2 reaches Node twice', async t => {
  const server = createServer((_request, response) => response.end())
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const session = connectHttp2(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  t.teardown(() => {
    session.destroy()
    server.close()
  })
  const names = Object.entries(constants).flatMap(([constant, name]) =>
    /^HTTP2_HEADER_/.test(constant) && typeof name === 'string' && !name.startsWith(':') ? [name] : [],
  )
  t.ok(names.length > 60, `${names.length} names`)
  const ours = ['authorization', 'host', 'proxy-authorization'] // set or removed by the client or the sidecar
  let single = 0
  for (const name of names) {
    let refused: unknown
    try {
      session
        .request({ ':path': '/', [name]: ['a', 'b'] })
        .on('error', () => {})
        .close()
    } catch (error) {
      refused = (error as { code?: unknown }).code
    }
    if (refused !== 'ERR_HTTP2_HEADER_SINGLE_VALUE' || ours.includes(name)) continue
    single += 1
    let list: unknown
    try {
      list = listCallersHeaders([name, 'a', name, 'b'], 'localhost')
    } catch (error) {
      list = error
    }
    t.ok(list instanceof TypeError || (Array.isArray(list) && list.length === 2), name)
  }
  t.ok(single > 25, `${single} fields`)
})
