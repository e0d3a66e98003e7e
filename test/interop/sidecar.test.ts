// Other programs in plain HTTP through `tlsbound sidecar`: curl and Python, with a `tlsbound serve` that restarts, and with
// routes that stream.
import type { FastifyInstance, FastifyReply } from 'fastify'
import t, { type Test } from 'tap'
import { makeDemoFolder } from '../helpers/client/client-command.ts'
import { run, start } from '../helpers/client/peers.ts'
import { startServerBehindRelay } from '../helpers/client/relay.ts'
import { makeFolder } from '../helpers/client/sidecar.ts'
import { startSidecarCommand } from '../helpers/client/sidecar-command.ts'
import { startTlsbound } from '../helpers/process/process.ts'

t.setTimeout(90_000) // many processes, each slow to start on a busy machine

const local = ['--disable', '--silent', '--show-error', '--noproxy', '*', '--unix-socket', 'run/tlsbound.sock']

/** Runs curl through the socket; returns the status and the body of its response. */
async function curl(t: Test, cwd: string, ...args: readonly string[]) {
  const { status, stdout, all } = await run(t, 'curl', [...local, '--write-out', '\n%{http_code}', ...args], { cwd })
  if (status !== 0) throw new Error(`curl failed: ${all}`)
  const [, body = '', code] = /^(.*)\n(\d+)$/s.exec(stdout) ?? []
  return { status: Number(code), body }
}

t.test('serves curl repeatedly, through restarts of the server', async t => {
  const folder = makeFolder(t)
  let server = await startTlsbound(t, folder)
  const { port } = server
  const upstream = `https://localhost:${port}`
  const sidecar = await startSidecarCommand(t, folder, ['--upstream', upstream])
  const notes = 'http://notes/api/notes'
  const note = ['--header', 'content-type: application/json', '--data', '{"text":"kept"}']
  t.match(await curl(t, folder, ...note, notes), { status: 201 })
  for (let count = 0; count < 3; count++) t.match(await curl(t, folder, notes), { status: 200, body: /"kept"/ })

  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    await server.end(signal)
    const waiting = curl(t, folder, notes)
    server = await startTlsbound(t, folder, { TLSBOUND_PORT: String(port) })
    t.match(await waiting, { status: 200, body: /"kept"/ }, `requested while the server was stopped after ${signal}`)
    t.match(await curl(t, folder, ...note, notes), { status: 201 })
  }
  const { client } = JSON.parse((await curl(t, folder, 'http://any/_status')).body)
  t.match(client, { origin: upstream, binding: 'connection', counts: { requests: 8 } })
  t.notMatch(sidecar.stderr(), /eyJ|Warning/)
})

/** Answers with an event stream from the promise, or echoes the request's body. */
let onStream: (events: FastifyReply['raw']) => void
const stream = new Promise<FastifyReply['raw']>(resolve => (onStream = resolve))
const routes = (app: FastifyInstance) => {
  app.addContentTypeParser('application/octet-stream', (_request, payload, done) => done(null, payload))
  app.put('/echo', (request, reply) => reply.send(request.body))
  app.get('/events', (_request, reply) => {
    const { raw } = reply.hijack()
    raw.writeHead(200, { 'content-type': 'text/event-stream' })
    onStream(raw)
  })
}
const { server, origin } = await startServerBehindRelay(t, { routes })
const folder = makeDemoFolder(t, server.pki)
const sidecar = await startSidecarCommand(t, folder, ['--upstream', origin])
t.equal(sidecar.address, 'unix:run/tlsbound.sock')

t.test('shows curl each event when it arrives, and echoes its body while it still sends', async t => {
  const listener = start(t, 'curl', [...local, '--no-buffer', 'http://notes/events'], folder)
  const events = await stream
  for (const event of ['data: 1\n\n', 'data: 2\n\n']) {
    events.write(event)
    await listener.until(new RegExp(event))
  }
  events.end()
  t.match(await listener.ended, { status: 0 })

  const type = ['--header', 'content-type: application/octet-stream']
  const talker = start(t, 'curl', [...local, ...type, '--no-buffer', '--upload-file', '.', 'http://notes/echo'], folder)
  for (const line of ['first\n', 'second\n']) {
    talker.write(line)
    await talker.until(new RegExp(line))
  }
  talker.end()
  t.match(await talker.ended, { status: 0, stdout: 'first\nsecond\n' })
})

t.test('shows curl what the sidecar refuses, and forwards no token of curl', async t => {
  t.match(await curl(t, folder, '--path-as-is', 'http://notes//evil.example/'), { status: 400, body: /one slash/ })
  t.match(await curl(t, folder, '--http1.0', 'http://notes/'), { status: 505, body: /HTTP\/1\.1/ })
  t.match(await curl(t, folder, '--http2', 'http://notes/api/whoami'), { status: 200, body: /alice/ })
  const before = server.events.length
  const stolen = ['--header', 'Authorization: Bearer stolen', 'http://notes/api/whoami']
  t.match(await curl(t, folder, ...stolen), { status: 200, body: /alice/ })
  t.equal(server.events.length, before, 'the server refused nothing')
})

const python = `
import http.client, socket

class Local(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect('run/tlsbound.sock')

program = Local('notes')

def ask(method, path, **more):
    program.request(method, path, **more)
    answer = program.getresponse()
    return answer.status, answer.read().decode()

json = {'Content-Type': 'application/json'}
print(ask('POST', '/api/notes', body='{"text":"one"}', headers=json))
first = program.sock
print(ask('POST', '/api/notes', body=iter([b'{"text":', b'"two"}']), headers=json, encode_chunked=True))
print(ask('HEAD', '/api/whoami'))
for count in range(10):
    status, body = ask('GET', '/api/notes')
    assert status == 200 and '"one"' in body and '"two"' in body, (status, body)
print('one connection' if program.sock is first else 'several connections')
`

t.test('serves Python through the socket, with Content-Length and chunked, over one connection', async t => {
  const { status, stdout, all } = await run(t, 'python3', ['-c', python], { cwd: folder })
  t.equal(status, 0, all)
  t.match(stdout, /^\(201, .*one.*\n\(201, .*two.*\n\(200, ''\)\none connection\n$/)
})
