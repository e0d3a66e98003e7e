// Trailers of requests: passed on where they were announced, by the rule of the fields of a header, and never as anything else.
// HT04, HT05, GW03. Needs the Debian package golang-go.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { connect as connectHttp2 } from 'node:http2'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { findFreePort } from '../../src/testing/free-port.ts'
import { run } from '../helpers/process/process.ts'
import { type GatewayServer, startGateway, startRawUpstream, startUpstream } from '../helpers/server/gateway.ts'
import { exchange } from '../helpers/server/raw-http.ts'
import { buildFrame, buildHeaderBlock, flags, frameTypes, openRawHttp2 } from '../helpers/server/raw-http2.ts'
import { until } from '../helpers/until.ts'

t.setTimeout(240_000)
const host = 'Host: localhost\r\n'
const ok = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'

/** A request in chunks with trailers. */
const post = (fields: string, trailers: string, method = 'POST') =>
  `${method} /x HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n${fields}\r\n5\r\nhello\r\n0\r\n${trailers}\r\n`
const control = `GET /control HTTP/1.1\r\n${host}Connection: close\r\n\r\n`

/** An upstream that answers when the last chunk, with its trailers, has arrived. */
const startOctets = (t: Test) =>
  startRawUpstream(t, (socket, received) => {
    const last = received.slice(Math.max(...[...received.matchAll(/[A-Z]+ \/\w+ HTTP\/1\.1\r\n/g)].map(m => m.index)))
    const isChunked = /^transfer-encoding:/im.test(last)
    if (
      isChunked
        ? /\r\n0\r\n(?:[^\r\n]+\r\n)*\r\n$/.test(last)
        : last.endsWith(/^content-length: 5/im.test(last) ? '\r\n\r\nhello' : '\r\n\r\n')
    )
      socket.write(ok)
  })

async function send(server: GatewayServer, octets: string) {
  const connection = await server.connect('alice')
  connection.socket.on('error', () => {})
  const { answers } = await exchange(connection, [octets, control], { until: 'closed' })
  connection.close()
  return answers.map(({ status }) => status)
}

/** Returns the trailers that the upstream has received, and the field that announces them. */
function split(octets: string) {
  const [, trailers] = /\r\n0\r\n((?:[^\r\n]+\r\n)*)\r\n$/.exec(octets) ?? []
  const [, announced] = /^trailer: (.*)\r$/im.exec(octets) ?? []
  return { trailers: trailers?.split('\r\n').filter(line => line !== ''), announced }
}

t.test('passes on what was announced, after the body, with any method', async t => {
  const upstream = await startOctets(t)
  const server = await startGateway(t, [{ path: '/', upstream: upstream.address, public: true }])
  for (const method of ['POST', 'PUT', 'PATCH', 'DELETE', 'GET']) {
    const before = upstream.received.length
    const octets = post('Trailer: X-Checksum, X-Other\r\n', 'x-checksum: a=1\r\nX-Other: b\r\n', method)
    t.same(await send(server, octets), [200, 200], method)
    const received = upstream.received.slice(before).find(text => text.startsWith(method) && text.includes('/x ')) ?? ''
    t.same(split(received), { trailers: ['x-checksum: a=1', 'X-Other: b'], announced: 'x-checksum, x-other' })
    t.equal(received.match(/^(?:transfer-encoding|content-length):/gim)?.length, 1, 'one framing')
    t.match(received, /\r\n\r\n5\r\nhello\r\n0\r\n/)
  }
})

t.test('passes nothing else on', async t => {
  const upstream = await startOctets(t)
  const server = await startGateway(t, [{ path: '/', upstream: upstream.address, public: true }])
  const forged = [
    ...[
      'X-Forwarded-User',
      'X_Forwarded_User',
      'Tlsbound-Assertion',
      'Client-Cert',
      'Authorization',
      'Cookie',
      'X-Real-IP',
    ],
    ...['Content-Type', 'Content-Encoding', 'Host', 'Connection', 'Trailer', 'TE', 'Set-Cookie'],
    ...['Content_Length', 'X-Hop', 'Expect', 'Upgrade', 'Proxy-Authorization', 'Session-Binding-Proof', 'Via'],
  ]
  for (const name of forged) {
    const before = upstream.received.length
    const octets = post(`Connection: X-Hop\r\nTrailer: X-Good, ${name}\r\n`, `${name}: forged\r\nX-Good: 1\r\n`)
    t.same(await send(server, octets), [200, 200], name)
    const received = upstream.received.slice(before).find(text => text.startsWith('POST')) ?? ''
    t.same(split(received), { trailers: ['X-Good: 1'], announced: 'x-good' }, name)
    t.notMatch(received, /forged/)
    const alone = upstream.received.length
    t.same(await send(server, post(`Connection: X-Hop\r\nTrailer: ${name}\r\n`, `${name}: forged\r\n`)), [200, 200])
    t.notMatch(upstream.received.slice(alone).join(''), /forged|^trailer:/im, `${name} alone`)
  }
  for (const [fields, why] of [
    ['', 'not announced'],
    ['Trailer: X-Other\r\n', 'another one announced'],
    [`Trailer: x-good,${'x'.repeat(1100)}\r\n`, 'too long'],
    ['Trailer: x good, "x-good"\r\n', 'malformed'],
  ] as const) {
    const before = upstream.received.length
    t.same(await send(server, post(fields, 'X-Good: 1\r\n')), [200, 200], why)
    t.notMatch(upstream.received.slice(before).join(''), /x-good: 1/i, why)
  }
})

t.test('refuses what two parsers could read in different ways', async t => {
  const upstream = await startOctets(t)
  const server = await startGateway(t, [{ path: '/', upstream: upstream.address, public: true }])
  const smuggled = 'GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n'
  const rows = {
    'a length': post('Trailer: Content-Length\r\n', `Content-Length: ${smuggled.length}\r\n`),
    'a coding': post('Trailer: Transfer-Encoding\r\n', 'Transfer-Encoding: chunked\r\n'),
    'a bare line feed': post('Trailer: X-A\r\n', 'X-A: a\nX-Forwarded-User: forged\r\n'),
    'a bare carriage return': post('Trailer: X-A\r\n', 'X-A: a\rX-Forwarded-User: forged\r\n'),
    'a folded line': post('Trailer: X-A\r\n', 'X-A: a\r\n X-Forwarded-User: forged\r\n'),
    'a NUL': post('Trailer: X-A\r\n', 'X-A: a\0b\r\n'),
    'no colon': post('Trailer: X-A\r\n', 'X-A\r\n'),
    'a space before the colon': post('Trailer: X-A\r\n', 'X-A : a\r\n'),
    'more than a header may have': post('Trailer: X-A\r\n', `X-A: ${'a'.repeat(100_000)}\r\n`),
  }
  for (const [row, octets] of Object.entries(rows)) {
    const before = upstream.received.length
    const statuses = await send(server, octets)
    const received = upstream.received.slice(before)
    t.notOk(statuses.slice(0, 1).includes(200) && received.some(text => split(text).trailers?.length), row)
    t.notMatch(received.join('\n'), /^x-forwarded-user: root|^GET \/smuggled/im, row)
    t.notOk(
      received.some(text => text.startsWith('POST') && split(text).trailers?.some(line => !/^X-A: a+$/.test(line))),
      row,
    )
  }
  const length = post('Trailer: X-A\r\nContent-Length: 5\r\n', 'X-A: a\r\n')
  t.not((await send(server, length))[0], 200, 'a length and chunks')
  t.same(await send(server, post('Trailer: X-A\r\n', 'X-A: a\r\n')), [200, 200], 'control')
})

t.test('over HTTP/2 too, also with a length, and to an upstream in Go', async t => {
  const [folder, port] = [t.testdir(), await findFreePort()]
  writeFileSync(join(folder, 'main.go'), goSource)
  const built = await run('go', ['build', '-o', 'upstream', 'main.go'], folder, {
    ...{ GOCACHE: process.env.GOCACHE ?? '/tmp/go-cache', GO111MODULE: 'off', HOME: folder },
  })
  t.equal(built.code, 0, built.stderr)
  const child = spawn(join(folder, 'upstream'), [String(port)], { stdio: ['ignore', 'ignore', 'pipe'] })
  t.teardown(() => child.kill('SIGKILL'))
  await once(child.stderr, 'data')
  const server = await startGateway(t, [
    { path: '/', upstream: `http://127.0.0.1:${port}`, scope: 'notes:read', binding: 'certificate' },
  ])
  const token = await (await server.connect('alice')).token({ token_binding: 'certificate' })
  const { ca, alice } = server.pki
  const session = connectHttp2(server.origin, { ca: ca.certificate, cert: alice.certificate, key: alice.key })
  t.teardown(() => session.destroy())
  for (const length of [undefined, '5']) {
    const stream = session.request(
      {
        ...{ ':method': 'POST', ':path': '/a', authorization: `Bearer ${token}` },
        trailer: 'x-checksum, x-forwarded-user, tlsbound-assertion',
        ...(length !== undefined && { 'content-length': length }),
      },
      { waitForTrailers: true } as never,
    )
    stream.on('wantTrailers', () =>
      stream.sendTrailers({ 'x-checksum': '1', 'x-forwarded-user': 'root', 'tlsbound-assertion': 'x' }),
    )
    stream.end('hello')
    let text = ''
    for await (const chunk of stream) text += chunk
    t.same(JSON.parse(text), { body: 'hello', trailers: { 'X-Checksum': ['1'] }, user: '', assertions: 1 })
  }
})

t.test('trailers that arrive together with the head of their request are passed on', async t => {
  const upstream = await startUpstream(t, (request, response) => {
    request.resume().on('end', () => response.end(JSON.stringify(request.trailers)))
  })
  const server = await startGateway(t, [{ path: '/', upstream: upstream.address, public: true }])
  const { ca, alice } = server.pki
  const fields = [
    [':method', 'POST'],
    [':scheme', 'https'],
    [':authority', 'localhost'],
    [':path', '/x'],
    ['trailer', 'x-a'],
  ] as const
  for (const [name, identity] of [
    ['control: with a certificate', { cert: alice.certificate, key: alice.key }],
    ['without a certificate', {}],
  ] as const) {
    const peer = await openRawHttp2({ port: server.port, ca: ca.certificate, ...identity })
    peer.send(
      buildFrame(frameTypes.headers, flags.endHeaders, 1, buildHeaderBlock(fields)),
      buildFrame(frameTypes.data, 0, 1, Buffer.from('hello')),
      buildFrame(frameTypes.headers, flags.endHeaders | flags.endStream, 1, buildHeaderBlock([['x-a', 'a']])),
    )
    const answer = await peer.next(({ type, payload }) => type === frameTypes.data && payload.length > 0)
    t.equal(String(answer?.payload), '{"x-a":"a"}', name)
    peer.socket.destroy()
  }
})

t.test('a request with trailers fails, streams and ends as others do', async t => {
  let isPaused = false
  const upstream = await startUpstream(t, (request, response) => {
    if (request.url === '/early') return void response.writeHead(413).end('too much')
    if (request.url === '/cut') return void request.socket.destroy()
    request.resume()
    isPaused = true
    request.on('end', () => {
      if (request.url === '/large') return void response.end(Buffer.alloc(20_000_000, 'x'))
      response.end(JSON.stringify(request.trailers))
    })
  })
  const server = await startGateway(t, [
    { path: '/', upstream: upstream.address, public: true },
    { path: '/absent', upstream: 'http://127.0.0.1:9', public: true },
  ])
  const octets = (path: string) => post('Trailer: X-A\r\n', 'X-A: a\r\n').replace('/x ', `${path} `)
  const statusOf = async (path: string) => (await send(server, octets(path)))[0]
  t.equal(await statusOf('/a'), 200)
  t.ok(isPaused)
  t.equal(await statusOf('/absent'), 503)
  t.equal(await statusOf('/cut'), 502)
  t.equal(await statusOf('/early'), 413)
  const large = await server.connect('alice')
  const { answers } = await exchange(large, [octets('/large'), control], { until: 'closed' })
  t.equal(answers[0]?.text.length, 20_000_000)

  const gone = await server.connect('alice')
  gone.socket.on('error', () => {})
  const before = upstream.seen.length
  gone.socket.write(octets('/b').replace(/0\r\nX-A[\s\S]*$/, ''))
  await until(() => upstream.seen.length > before)
  const [request] = [upstream.seen.length]
  gone.close()
  await new Promise(resolve => setTimeout(resolve, 300))
  t.equal(upstream.seen.length, request, 'sent once')
  t.equal(await statusOf('/a'), 200, 'control')
})

t.test('an upstream that changes the protocol is named at once', async t => {
  const upstream = await startRawUpstream(t, (socket, received) => {
    if (/\r\n0\r\n/.test(received))
      socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n')
  })
  const server = await startGateway(t, [{ path: '/', upstream: upstream.address, public: true, timeout: 20 }])
  const connection = await server.connect('alice')
  const octets = post('Trailer: X-A\r\nConnection: close\r\n', 'X-A: a\r\n')
  const { answers } = await exchange(connection, [octets], { until: 'closed' })
  t.match(answers, [{ status: 502, text: /upstream_failed/ }])
})

const goSource = `package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
)

func main() {
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		seen := map[string]any{"body": string(body), "trailers": r.Trailer, "user": r.Header.Get("X-Forwarded-User"),
			"assertions": len(r.Header.Values("Tlsbound-Assertion"))}
		json.NewEncoder(w).Encode(seen)
	})
	fmt.Fprintln(os.Stderr, "listening")
	http.ListenAndServe("127.0.0.1:"+os.Args[1], nil)
}
`
