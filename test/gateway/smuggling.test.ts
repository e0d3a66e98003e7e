// Ambiguous requests, sent as octets: what the parsers of real upstreams see is compared with what the gateway has verified. Each is
// followed by a control on the same connection, so that a request that is hidden in another one would be seen. HT04, HT05, HT14, GW03.
// Needs the Debian packages python3 and golang-go.
import { type ChildProcess, spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { findFreePort } from '../../src/testing/free-port.ts'
import { run } from '../helpers/process/process.ts'
import { startGateway, startRawUpstream } from '../helpers/server/gateway.ts'
import { exchange } from '../helpers/server/raw-http.ts'
import { buildFrame, buildHeaderBlock, flags, frameTypes, openRawHttp2 } from '../helpers/server/raw-http2.ts'
import { patience } from '../helpers/until.ts'

t.setTimeout(300_000)

const folder = t.testdir()
const ports = [await findFreePort(), await findFreePort(), await findFreePort()] as const

/** Each upstream answers with what it has seen: method, target, body, and the fields that frame a message or name a client. */
const pythonSource = `
import json, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
class Echo(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *args): pass
    def read_body(self):
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            body = b""
            while True:
                size = int(self.rfile.readline().split(b";")[0], 16)
                body += self.rfile.read(size)
                self.rfile.readline()
                if size == 0: return body
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))
    def __getattr__(self, name):
        if name.startswith("do_"): return self.answer
        raise AttributeError(name)
    def answer(self):
        body = self.read_body().decode("latin1")
        seen = json.dumps({"method": self.command, "target": self.path, "body": body, "user": self.headers.get("X-Forwarded-User")}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(seen)))
        self.end_headers()
        if self.command != "HEAD": self.wfile.write(seen)
ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Echo).serve_forever()
`
const goSource = `package main

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
)

func main() {
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var user any
		if values, ok := r.Header["X-Forwarded-User"]; ok {
			user = values[0]
		}
		json.NewEncoder(w).Encode(map[string]any{"method": r.Method, "target": r.RequestURI, "body": string(body), "user": user})
	})
	http.ListenAndServe("127.0.0.1:"+os.Args[1], handler)
}
`
const nodeSource = `
import { createServer } from 'node:http'
process.on('unhandledRejection', () => {}) // a body that is broken off
createServer(async (request, response) => {
  let body = ''
  for await (const chunk of request.setEncoding('latin1')) body += chunk
  const { method, url: target, headers } = request
  response.end(JSON.stringify({ method, target, body, user: headers['x-forwarded-user'] ?? null }))
}).listen(Number(process.argv[2]), '127.0.0.1')
`
writeFileSync(join(folder, 'echo.py'), pythonSource)
writeFileSync(join(folder, 'echo.mjs'), nodeSource)
writeFileSync(join(folder, 'main.go'), goSource)

function start(command: string, ...args: readonly string[]): void {
  const child: ChildProcess = spawn(command, args, { cwd: folder, stdio: 'ignore', env: { PATH: process.env.PATH } })
  child.on('error', error => t.fail(`${command} is missing: ${error.message}`))
  t.teardown(() => child.kill('SIGKILL'))
}

async function untilListening(port: number): Promise<void> {
  const started = Date.now()
  for (;;) {
    const answers = await new Promise<boolean>(done => {
      const socket = connect(port, '127.0.0.1', () => done(true)).on('error', () => done(false))
      socket.once('connect', () => socket.destroy())
    })
    if (answers) return
    if (Date.now() - started > patience) throw new Error(`nothing listens on ${port}`)
    await new Promise(resolve => setTimeout(resolve, 50))
  }
}

const built = await run('go', ['build', '-o', 'echo', 'main.go'], folder, { HOME: process.env.HOME ?? folder })
if (built.code !== 0) throw new Error(`Go (Debian package golang-go) does not compile the upstream: ${built.stderr}`)
start('/usr/bin/python3', 'echo.py', String(ports[0]))
start(join(folder, 'echo'), String(ports[1]))
start(process.execPath, 'echo.mjs', String(ports[2]))
await Promise.all(ports.map(untilListening))
const upstreams = { python: ports[0], go: ports[1], node: ports[2] }

const host = 'Host: localhost\r\n'
const smuggled = 'GET /admin HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-User: root\r\n\r\n'
const post = (fields: string, body = '', target = '/x') => `POST ${target} HTTP/1.1\r\n${host}${fields}\r\n\r\n${body}`
const get = (fields = '', target = '/x', line = 'HTTP/1.1') =>
  `GET ${target} ${line}\r\n${host}${fields === '' ? '' : `${fields}\r\n`}\r\n`
const length = (text: string) => `Content-Length: ${text.length}`
const chunks = (text: string) => `${text.length.toString(16)}\r\n${text}\r\n0\r\n\r\n`

/** What an upstream must see of a request: the body, or a GET; undefined: nothing, since the gateway refuses it. */
type Row = readonly [
  octets: string,
  seen: { readonly method?: string; readonly target?: string; readonly body?: string } | undefined,
]

const accepted = (body: string, target = '/x') => ({ method: 'POST', target, body })
const rows: Readonly<Record<string, Row>> = {
  'control: a length': [post(length(smuggled), smuggled), accepted(smuggled)],
  'control: chunks': [post('Transfer-Encoding: chunked', chunks(smuggled)), accepted(smuggled)],
  'control: no body': [get(), { method: 'GET', target: '/x', body: '' }],
  'a length and chunks': [
    post(`Content-Length: 4\r\nTransfer-Encoding: chunked`, `5\r\nhello\r\n0\r\n\r\n${smuggled}`),
    undefined,
  ],
  'chunks and a length': [
    post(`Transfer-Encoding: chunked\r\nContent-Length: 4`, `5\r\nhello\r\n0\r\n\r\n${smuggled}`),
    undefined,
  ],
  'two lengths': [post(`Content-Length: 5\r\n${length(smuggled)}`, smuggled), undefined],
  'two equal lengths': [post('Content-Length: 5\r\nContent-Length: 5', 'hello'), undefined],
  'a list of lengths': [post('Content-Length: 5, 5', 'hello'), undefined],
  'a signed length': [post('Content-Length: +5', 'hello'), undefined],
  'a negative length': [post('Content-Length: -5', 'hello'), undefined],
  'a hexadecimal length': [post('Content-Length: 0x5', 'hello'), undefined],
  'a length with a space inside': [post('Content-Length: 5 0', 'hello'), undefined],
  'a length that overflows': [post('Content-Length: 18446744073709551621', 'hello'), undefined],
  'an empty length': [post('Content-Length: ', smuggled), undefined],
  'a length with leading zeros': [post('Content-Length: 0005', 'hello'), accepted('hello')],
  'a space before the colon of a length': [post('Content-Length : 5', 'hello'), undefined],
  'a space before the colon of a coding': [
    post(`Transfer-Encoding : chunked\r\n${length('x')}`, chunks(smuggled)),
    undefined,
  ],
  'another coding': [post('Transfer-Encoding: gzip', smuggled), undefined],
  'a coding that ends with chunked': [post('Transfer-Encoding: xchunked', chunks('hello')), undefined],
  'two codings': [post('Transfer-Encoding: gzip, chunked', chunks('hello')), undefined],
  'chunked, then identity': [post('Transfer-Encoding: chunked, identity', chunks('hello')), undefined],
  'identity, then chunked': [post('Transfer-Encoding: identity, chunked', chunks('hello')), undefined],
  'two fields of a coding': [
    post('Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked', chunks('hello')),
    undefined,
  ],
  'two fields of different codings': [
    post('Transfer-Encoding: identity\r\nTransfer-Encoding: chunked', chunks('hello')),
    undefined,
  ],
  'a coding in quotes': [post('Transfer-Encoding: "chunked"', chunks('hello')), undefined],
  'a vertical tab in a coding': [post('Transfer-Encoding: \x0bchunked', chunks('hello')), undefined],
  'a NUL in a coding': [post('Transfer-Encoding: chunked\0', chunks('hello')), undefined],
  'a tab before a coding': [post('Transfer-Encoding:\tchunked', chunks('hello')), accepted('hello')],
  'a coding in upper case': [post('Transfer-Encoding: CHUNKED', chunks('hello')), accepted('hello')],
  'a folded coding': [post('Transfer-Encoding:\r\n chunked', chunks('hello')), undefined],
  'a folded field': [get('X-A: 1\r\n X-Forwarded-User: root'), undefined],
  'an underscore in a coding': [
    post(`Transfer_Encoding: chunked\r\n${length(chunks('x'))}`, chunks('x')),
    accepted(chunks('x')),
  ],
  'an underscore in a length': [post(`Content_Length: 5\r\n${length('hello')}`, 'hello'), accepted('hello')],
  'chunks in HTTP/1.0': [`POST /x HTTP/1.0\r\n${host}Transfer-Encoding: chunked\r\n\r\n${chunks('hello')}`, undefined],
  'an extension of a chunk': [post('Transfer-Encoding: chunked', `5;a=b\r\nhello\r\n0\r\n\r\n`), accepted('hello')],
  'a line feed in an extension': [post('Transfer-Encoding: chunked', `5;a\nxx\r\nhello\r\n0\r\n\r\n`), undefined],
  'a chunk size with 0x': [post('Transfer-Encoding: chunked', `0x5\r\nhello\r\n0\r\n\r\n`), undefined],
  'a chunk size with a space': [post('Transfer-Encoding: chunked', `5 \r\nhello\r\n0\r\n\r\n`), undefined],
  'a chunk size that overflows': [
    post('Transfer-Encoding: chunked', `10000000000000005\r\nhello\r\n0\r\n\r\n`),
    undefined,
  ],
  'a negative chunk size': [post('Transfer-Encoding: chunked', `-1\r\nhello\r\n0\r\n\r\n`), undefined],
  'a chunk that ends with a line feed': [post('Transfer-Encoding: chunked', `5\nhello\n0\n\n`), undefined],
  'a chunk longer than its size': [post('Transfer-Encoding: chunked', `5\r\nhello!\r\n0\r\n\r\n`), undefined],
  trailers: [
    post('Transfer-Encoding: chunked', '5\r\nhello\r\n0\r\nX-Forwarded-User: root\r\n\r\n'),
    accepted('hello'),
  ],
  'a length in trailers': [
    post('Transfer-Encoding: chunked', '5\r\nhello\r\n0\r\nContent-Length: 9\r\n\r\n'),
    undefined,
  ],
  'a body of a GET': [
    `GET /x HTTP/1.1\r\n${host}${length(smuggled)}\r\n\r\n${smuggled}`,
    { method: 'GET', target: '/x', body: smuggled },
  ],
  'chunks of a GET': [
    `GET /x HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\n${chunks(smuggled)}`,
    { method: 'GET', target: '/x', body: smuggled },
  ],
  'chunks of a DELETE': [
    `DELETE /x HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\n${chunks(smuggled)}`,
    { method: 'DELETE', body: smuggled },
  ],
  'Connection names the length': [
    post(`Connection: Content-Length\r\n${length(smuggled)}`, smuggled),
    accepted(smuggled),
  ],
  'Connection names the coding and the host': [
    post('Connection: transfer-encoding, host, x-forwarded-for, via', `${chunks(smuggled)}`),
    undefined,
  ],
  'a line feed as the end of a line': [`GET /x HTTP/1.1\n${host}\r\n`, undefined],
  'a carriage return in a field': [get('X-A: a\rX-Forwarded-User: root'), undefined],
  'a line feed in a field': [get('X-A: a\nX-Forwarded-User: root'), undefined],
  'a NUL in a field': [get('X-A: a\0b'), undefined],
  'a field without a name': [get(': a'), undefined],
  'a field without a colon': [get('X-A'), undefined],
  'a space in the name of a field': [get('X A: a'), undefined],
  'no host': ['GET /x HTTP/1.1\r\n\r\n', undefined],
  'two hosts': [get('Host: evil'), undefined],
  'another host': ['GET /x HTTP/1.1\r\nHost: evil\r\n\r\n', undefined],
  'an address as target': [get('', 'http://localhost/x'), { method: 'GET', target: '/x', body: '' }],
  'an address of another host as target': [get('', 'http://evil/x'), undefined],
  'a target with a user': [get('', 'http://localhost@evil/x'), undefined],
  'a target without a slash': [get('', 'x'), undefined],
  'a target that looks like a host': [get('', '//evil/x'), undefined],
  'a backslash in the target': [get('', '/\\evil'), undefined],
  'a tab in the target': [get('', '/x\tHTTP/1.1'), undefined],
  'an encoded line end in the target': [get('', '/x%0d%0aX-Forwarded-User:%20root'), undefined],
  'an encoded line end in the query': [
    get('', '/x?a=%0d%0aX:root'),
    { method: 'GET', target: '/x?a=%0d%0aX:root', body: '' },
  ],
  'a fragment': [get('', '/x#y'), undefined],
  'HTTP/0.9': ['GET /x\r\n\r\n', undefined],
  'HTTP/2.0 in text': [get('', '/x', 'HTTP/2.0'), undefined],
  'HTTP/1.2': [get('', '/x', 'HTTP/1.2'), undefined],
  'a method in lower case': [`get /x HTTP/1.1\r\n${host}\r\n`, undefined],
  'an unknown method': [`SMUGGLE /x HTTP/1.1\r\n${host}\r\n`, undefined],
  'an upgrade with a body': [
    `GET /x HTTP/1.1\r\n${host}Connection: upgrade\r\nUpgrade: websocket\r\n${length(smuggled)}\r\n\r\n${smuggled}`,
    { method: 'GET', target: '/x', body: smuggled },
  ],
  'an offer of HTTP/2': [
    `GET /x HTTP/1.1\r\n${host}Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n`,
    { method: 'GET', target: '/x', body: '' },
  ],
  'an expectation': [post(`Expect: 100-continue\r\n${length(smuggled)}`, smuggled), accepted(smuggled)],
  'another expectation': [post(`Expect: 200-maybe\r\n${length(smuggled)}`, smuggled), undefined],
}

/** The only form in which the gateway writes a request: every parser reads it in the same way. */
function readCanonical(octets: string): { target: string; body: string; rest: string } | undefined {
  const [head = ''] = octets.split('\r\n\r\n', 1)
  const [line = '', ...lines] = head.split('\r\n')
  const target = /^[A-Z]+ (\/[!-~]*) HTTP\/1\.1$/.exec(line)?.[1]
  if (target === undefined || !lines.every(text => /^[!#$%&'*+.^_`|~0-9A-Za-z-]+: [\t\x20-\x7e\x80-\xff]*$/.test(text)))
    return undefined
  const names = lines.map(text => text.split(':')[0]?.toLowerCase())
  const framing = lines.filter(text => /^(content-length|transfer-encoding):/i.test(text))
  if (framing.length > 1 || names.filter(name => name === 'host').length !== 1) return undefined
  let rest = octets.slice(head.length + 4)
  const [, count] = /^content-length: (\d+)$/i.exec(framing[0] ?? '') ?? []
  if (count !== undefined)
    return rest.length < Number(count)
      ? undefined
      : { target, body: rest.slice(0, Number(count)), rest: rest.slice(Number(count)) }
  if (framing.length === 0) return { target, body: '', rest }
  if (!/^transfer-encoding: chunked$/i.test(framing[0] as string)) return undefined
  let body = ''
  for (;;) {
    const [whole, size = ''] = /^([0-9a-f]+)\r\n/.exec(rest) ?? []
    if (whole === undefined) return undefined
    const end = whole.length + Number.parseInt(size, 16)
    body += rest.slice(whole.length, end)
    if (rest.slice(end, end + 2) !== '\r\n') return undefined
    rest = rest.slice(end + 2)
    if (size === '0') return { target, body, rest }
  }
}

for (const [name, port] of Object.entries(upstreams))
  t.test(`${name} sees what the gateway has verified, and nothing else`, async t => {
    const server = await startGateway(t, [{ path: '/', upstream: `http://127.0.0.1:${port}`, public: true }])
    for (const [row, [octets, seen]] of Object.entries(rows)) {
      const connection = await server.connect('alice')
      connection.socket.on('error', () => {})
      const { answers } = await exchange(connection, [octets, get('Connection: close', '/control')], {
        until: 'closed',
      })
      connection.close()
      const [first, second, ...others] = answers
      if (seen === undefined) {
        t.ok(first === undefined || first.status >= 400, `${row}: refused, not ${first?.status} ${first?.text}`)
        const forwarded = answers.filter(({ status }) => status === 200).map(({ body }) => body.target)
        t.ok(
          forwarded.every(target => target === '/control'),
          `${row}: the upstream has seen ${forwarded}`,
        )
      } else {
        t.match(first, { status: 200, body: { user: null, ...seen } }, row)
        if (!octets.includes('Connection: close'))
          t.match(second, { status: 200, body: { target: '/control' } }, `${row}: control`)
        t.same(others, [], row)
      }
    }
  })

t.test('writes every accepted request in one form', async t => {
  const upstream = await startRawUpstream(t, (socket, received) => {
    if (readCanonical(received) !== undefined) socket.end('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
  })
  const server = await startGateway(t, [{ path: '/', upstream: upstream.address, public: true, timeout: 5 }])
  for (const [row, [octets, seen]] of Object.entries(rows)) {
    if (seen === undefined) continue
    const before = upstream.received.length
    const connection = await server.connect('alice')
    t.match(await exchange(connection, octets, { until: 1 }), { answers: [{ status: 200 }] }, row)
    connection.close()
    t.equal(upstream.received.length, before + 1, row)
    const written = readCanonical(upstream.received[before] as string)
    t.match(written, { target: seen.target ?? '/x', body: seen.body ?? '', rest: '' }, row)
  }
})

t.test('over HTTP/2, nothing that would be a line or a length in HTTP/1.1 reaches the upstream', async t => {
  const upstream = await startRawUpstream(t, (socket, received) => {
    if (readCanonical(received) !== undefined) socket.end('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
  })
  const server = await startGateway(t, [{ path: '/', upstream: upstream.address, public: true, timeout: 5 }])
  const { alice, ca } = server.pki
  const identity = { port: server.port, ca: ca.certificate, cert: alice.certificate, key: alice.key }
  const base = { ':method': 'GET', ':scheme': 'https', ':authority': 'localhost', ':path': '/x' }
  type Field = readonly [string, string]
  const send = async (pseudo: Partial<typeof base>, more: readonly Field[] = [], body?: string) => {
    const before = upstream.received.length
    const peer = await openRawHttp2(identity)
    const block = buildHeaderBlock([...(Object.entries({ ...base, ...pseudo }) as Field[]), ...more])
    const end = flags.endHeaders | (body === undefined ? flags.endStream : 0)
    peer.send(buildFrame(frameTypes.headers, end, 1, block))
    if (body !== undefined) peer.send(buildFrame(frameTypes.data, flags.endStream, 1, Buffer.from(body)))
    await peer.next(
      ({ type, stream }) =>
        (stream === 1 && [frameTypes.headers, frameTypes.reset].includes(type as 1)) || type === frameTypes.goaway,
    )
    peer.socket.destroy()
    return upstream.received.slice(before)
  }
  const text = { ':method': 'POST' }
  /** `nothing`: the stream is reset. `without it`: Node drops the field. `no end`: the upstream sees no complete request. */
  const wrong: readonly (readonly [
    'nothing' | 'without it' | 'no end',
    Partial<typeof base>,
    (readonly Field[])?,
    string?,
  ])[] = [
    ['nothing', text, [['transfer-encoding', 'chunked']], chunks(smuggled)],
    ['nothing', {}, [['connection', 'x-forwarded-for']]],
    ['without it', {}, [['x-a', 'a\r\nX-Forwarded-User: root']]],
    ['without it', {}, [['x-a\r\nx-forwarded-user', 'root']]],
    ['without it', {}, [['x-a: b', 'root']]],
    ['without it', {}, [['x a', 'root']]],
    ['nothing', {}, [['X-A', 'root']]],
    ['without it', {}, [['x-a', 'root\0b']]],
    ['nothing', { ':path': '/x HTTP/1.1\r\nX-Forwarded-User: root\r\n' }],
    ['nothing', { ':path': '/x y' }],
    ['nothing', { ':path': 'http://evil/x' }],
    ['nothing', { ':path': '//evil' }],
    ['nothing', { ':path': '*' }],
    ['nothing', { ':method': 'GET /admin HTTP/1.1\r\nX: y' }],
    ['nothing', { ':method': 'SMUGGLE' }],
    ['nothing', { ':authority': 'evil' }],
    ['nothing', { ':authority': 'localhost\r\nX: y' }],
    ['nothing', text, [['content-length', '4']], 'hello'],
    ['no end', text, [['content-length', '6']], 'hello'],
    [
      'no end',
      text,
      [
        ['content-length', '5'],
        ['content-length', '5'],
      ],
      'hello',
    ],
    ['nothing', {}, [['host', 'evil']]],
    ['nothing', {}, [[':path', '/admin']]],
  ]
  for (const [seen, pseudo, more, body = ''] of wrong) {
    const row = JSON.stringify([pseudo, more])
    const received = await send(pseudo, more, body === '' ? undefined : body)
    t.notMatch(received.join(), /root|evil|admin/, row)
    if (seen === 'nothing') t.equal(received.join(''), '', row)
    else if (seen === 'no end') t.equal(readCanonical(received.join('')), undefined, row)
    else t.match(readCanonical(received[0] ?? ''), { target: '/x', body, rest: '' }, row)
  }
  const [plain] = await send({ ':path': '/x' }, [
    ['te', 'trailers'],
    ['x-a', 'b'],
  ])
  t.match(readCanonical(plain ?? ''), { target: '/x', body: '', rest: '' }, 'control')
  for (const fields of [[], [['content-length', String(smuggled.length)]]] as const) {
    const [posted] = await send({ ':method': 'POST' }, fields as readonly Field[], smuggled)
    t.match(readCanonical(posted ?? ''), { body: smuggled, rest: '' }, 'control with a body')
  }
})
