// Where the sidecar listens, which users it admits, and how it closes. RE02; the files of unix sockets.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { umask } from 'node:process'
import t from 'tap'
import { ask, connectTo, makeFolder, open, startTestSidecar, startUpstream } from '../helpers/client/sidecar.ts'

const hello = (_request: unknown, response: ServerResponse) => void response.end('hello')
const mode = (path: string) => statSync(path).mode & 0o777

t.test('the socket and its folder are only for their owner, whatever the umask', async t => {
  for (const [mask, socketMode, folderMode] of [
    [0o000, 0o600, 0o700],
    [0o077, 0o600, 0o700],
    [0o000, 0o660, 0o750],
  ] as const) {
    const path = join(makeFolder(t), 'run', 's.sock')
    const before = umask(mask)
    const listen = { path, mode: socketMode }
    const { address, close } = await startTestSidecar(t, await startUpstream(t, hello), { listen })
    t.equal(umask(before), mask, 'the umask is restored')
    t.equal(address, `unix:${path}`)
    t.equal(mode(path), socketMode)
    t.equal(mode(join(path, '..')), folderMode)
    t.match(await ask(address, '/'), { status: 200, text: 'hello' })
    await close()
    t.notOk(existsSync(path), 'the sidecar removes the socket')
  }
})

t.test('an existing folder keeps its mode', async t => {
  const folder = join(makeFolder(t), 'run')
  mkdirSync(folder)
  chmodSync(folder, 0o755)
  await startTestSidecar(t, await startUpstream(t, hello), { listen: { path: join(folder, 's.sock') } })
  t.equal(mode(folder), 0o755)
})

t.test('replaces the stale socket of a killed process', async t => {
  const path = join(makeFolder(t), 's.sock')
  const script = `require('node:net').createServer().listen(${JSON.stringify(path)}, () => process.send('ready'))`
  const child = fork('-e', [script], { execArgv: [], stdio: 'ignore' })
  await once(child, 'message')
  child.kill('SIGKILL')
  await once(child, 'exit')
  t.ok(statSync(path).isSocket(), 'the stale socket still exists')
  const { address } = await startTestSidecar(t, await startUpstream(t, hello), { listen: { path } })
  t.match(await ask(address, '/'), { status: 200 })
})

t.test('does not replace a socket in use or another file', async t => {
  const upstream = await startUpstream(t, hello)
  const path = join(makeFolder(t), 's.sock')
  const first = await startTestSidecar(t, upstream, { listen: { path } })
  const start = (path: string) => startTestSidecar(t, upstream, { listen: { path } })
  await t.rejects(start(path), { message: /s\.sock.*already listening there/ })
  t.match(await ask(first.address, '/'), { status: 200 }, 'the first sidecar continues to serve')

  const file = join(makeFolder(t), 'file')
  writeFileSync(file, 'precious')
  await t.rejects(start(file), { message: /not a socket/ })
  t.equal(readFileSync(file, 'utf8'), 'precious')
  await t.rejects(start(join(file, 's.sock')), { message: /ENOTDIR|EEXIST/ })
  await t.rejects(start(`/${'a'.repeat(200)}`), { message: /too long/ })
})

t.test('listens on ports of 127.0.0.1 only, and reports a port in use', async t => {
  const upstream = await startUpstream(t, hello)
  const { address } = await startTestSidecar(t, upstream, { listen: { port: 0 } })
  t.match(address, /^http:\/\/127\.0\.0\.1:\d+$/)
  t.match(await ask(address, '/'), { status: 200 })
  const other = createServer().listen(0, '127.0.0.1')
  await once(other, 'listening')
  t.teardown(() => other.close())
  const { port } = other.address() as { port: number }
  await t.rejects(startTestSidecar(t, upstream, { listen: { port } }), { message: /EADDRINUSE/ })
})

t.test('closing completes responses, and closes idle and silent connections at once (RE02)', async t => {
  const answers = new Map<string | undefined, ServerResponse>()
  const upstream = await startUpstream(t, ({ url }, response) => {
    answers.set(url, response)
    if (url === '/begun') response.write('half')
  })
  const { address, close } = await startTestSidecar(t, upstream)
  const send = async (bytes: string) => {
    const socket = await connectTo(t, address)
    socket.write(bytes)
    return socket
  }
  const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`
  const [silent, partial, idle] = await Promise.all([send(''), send('GET / HT'), send(get('/_status'))])
  await once(idle, 'data')
  const begun = await send(get('/begun'))
  await once(begun, 'data')
  const arrived = once(upstream.events, 'request')
  const waiting = await send(get('/waiting'))
  await arrived

  const closed = close(60)
  await Promise.all([silent, partial, idle].map(socket => once(socket.resume(), 'close')))
  await t.rejects(ask(address, '/'), { code: /ENOENT|ECONNREFUSED/ })
  for (const [path, socket, expected] of [
    ['/begun', begun, /rest/],
    ['/waiting', waiting, /connection: close.*rest/is],
  ] as const) {
    answers.get(path)?.end('rest')
    const start = performance.now()
    const chunks = await socket.toArray()
    t.ok(performance.now() - start < 4000, 'before Node closes an idle connection')
    t.match(Buffer.concat(chunks).toString(), expected, `${path}: the connection closes after the response`)
  }
  await closed
})

t.test('closing cuts responses that do not end in time, and they do not look complete (RE02)', async t => {
  const upstream = await startUpstream(t, (_request, response) => void response.write('half'))
  const { address, close } = await startTestSidecar(t, upstream)
  const answer = await open(address, '/')
  await once(answer, 'data')
  const [error] = await Promise.all([once(answer, 'error'), close(0.1)])
  t.match(error, [{ code: 'ECONNRESET' }])
})
