// Signals while a program starts: it completes the start, and then does what they ask for. RE02.
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import t from 'tap'
import { findFreePort } from '../../src/testing/free-port.ts'
import { startTlsbound } from '../helpers/process/process.ts'
import { exchange, requestText } from '../helpers/server/raw-http.ts'

t.setTimeout(240_000)
const cli = resolve('src/cli/cli.ts')
const folder = t.testdir()
const issuer = await startTlsbound(t, folder)
const origin = `https://localhost:${issuer.port}`

/** Writes a word when the signals have their listeners: until then the process has done nothing else. */
const hook = `data:text/javascript,process.on('newListener',name=>name==='SIGTERM'&&process.nextTick(()=>process.stderr.write('caught,')))`

/** Starts a command without waiting for anything. */
async function begin(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  before: readonly string[] = [],
) {
  const { PATH = '' } = process.env
  const options = {
    cwd: folder,
    env: {
      PATH,
      TLSBOUND_OPS_PORT: '0',
      TLSBOUND_PORT: String(await findFreePort()),
      TLSBOUND_DATA_DIR: args[0] as string,
      ...env,
    },
  }
  const [program = '', ...others] = [...before, process.execPath, '--import', hook, cli, ...args]
  const child = spawn(program, others, options)
  let stderr = ''
  child.stderr.on('data', part => {
    stderr += part
  })
  const ended = once(child, 'close')
  const caught = async () => {
    while (!stderr.includes('caught') && child.exitCode === null) await pause(1)
  }
  return { child, stderr: () => stderr, ended, caught }
}

const commands = {
  serve: ['serve'],
  'serve with workers': ['serve'],
  gateway: ['gateway', '--upstream', 'http://127.0.0.1:9', '--issuer', origin, '--port'],
  sidecar: [
    'sidecar',
    '--upstream',
    origin,
    '--ca',
    'certs/ca.crt',
    '--cert',
    'certs/alice.crt',
    '--key',
    'certs/alice.key',
  ],
} as const

t.test('ends orderly with a signal at any time of its start (RE02)', async t => {
  for (const [name, signal, delay] of [
    ['serve', 'SIGTERM', 0],
    ['serve', 'SIGTERM', 300],
    ['serve', 'SIGINT', 0],
    ['serve with workers', 'SIGTERM', 0],
    ['gateway', 'SIGTERM', 0],
    ['sidecar', 'SIGTERM', 0],
  ] as const) {
    const args = [...commands[name], ...(name === 'gateway' ? [String(await findFreePort())] : [])]
    const workers = name === 'serve with workers' ? { TLSBOUND_WORKERS: '2' } : {}
    const { child, stderr, ended, caught } = await begin(args, workers)
    await caught()
    t.match(stderr(), /^caught,/, `${name}: before it has done anything`)
    await pause(delay)
    child.kill(signal)
    t.same(await ended, [0, null], `${name}: ${signal} after ${delay} ms`)
    if (workers.TLSBOUND_WORKERS === undefined) t.match(stderr(), signal) // with workers, a start may take too long here
  }
  const again = await startTlsbound(t, folder, { TLSBOUND_DATA_DIR: 'serve' })
  t.match(await (await again.connect('alice')).requestToken(), { status: 200 }, 'nothing was left half-written')
})

t.test('loads the files again for SIGHUP during the start', async t => {
  for (const command of [commands.serve, [...commands.gateway, String(await findFreePort())]]) {
    const { child, stderr, ended, caught } = await begin(command)
    await caught()
    t.match(stderr(), /^caught,/)
    child.kill('SIGHUP')
    while (!stderr().includes('were loaded again')) {
      if (child.exitCode !== null || child.signalCode !== null) break
      await pause(10)
    }
    child.kill('SIGTERM')
    t.same(await ended, [0, null])
    t.match(stderr(), /certificates, authorities and revocation lists were loaded again/)
  }
})

const childrenOf = (pid = 0) => {
  const children = `/proc/${pid}/task/${pid}/children`
  return existsSync(children) ? readFileSync(children, 'utf8').trim() : ''
}

const notLinux = process.platform !== 'linux' && 'needs /proc'
t.test('ends orderly when workers that start get the signal too (RE02)', { skip: notLinux }, async t => {
  for (const [signal, delay] of [
    ['SIGTERM', 50],
    ['SIGINT', 700],
    ['SIGTERM', 1500],
  ] as const) {
    const { child, stderr, ended } = await begin(commands.serve, { TLSBOUND_WORKERS: '2' }, ['setsid'])
    while (childrenOf(child.pid) === '' && child.exitCode === null) await pause(10)
    await pause(delay)
    process.kill(-(child.pid as number), signal) // as a service manager does, and Ctrl-C in a terminal
    t.same(await ended, [0, null], `${signal} after ${delay} ms`)
    t.notMatch(stderr(), /tlsbound:|has ended/)
  }
})

t.test('a signal that is repeated within a second counts once; later it ends the program at once', async t => {
  for (const [delay, code] of [
    [0, 0],
    [1300, 'SIGINT'],
  ] as const) {
    const server = await startTlsbound(t, folder, { TLSBOUND_DATA_DIR: `repeated-${delay}` })
    const { socket } = await server.connect('alice')
    const body = 'grant_type=client_credentials&client_id=alice'
    const type = 'Content-Type: application/x-www-form-urlencoded'
    socket.write(requestText('POST /oauth/token', ['Expect: 100-continue', type, `Content-Length: ${body.length}`]))
    await once(socket, 'data') // 100 Continue: the request is under way
    server.child.kill('SIGINT')
    await server.seen(/SIGINT: answering/)
    await pause(delay)
    server.child.kill('SIGINT') // as npm does, which a terminal signals too
    if (delay === 0) {
      const { answers } = await exchange({ socket }, body, { until: 1 })
      t.match(answers, [{ status: 200 }])
    }
    t.match(await server.ended(), { code })
  }
})

const canUnshare = spawnSync('unshare', ['--pid', '--fork', 'true']).status === 0
t.test('the first process of a container ends too', { skip: !canUnshare && 'unshare is not permitted' }, async t => {
  const { child, ended, caught } = await begin(commands.serve, {}, ['unshare', '--pid', '--fork'])
  const first = () => Number(childrenOf(child.pid))
  while (!first()) await pause(1)
  const pid = first()
  await caught()
  t.match(readFileSync(`/proc/${pid}/status`, 'utf8'), /^NSpid:\s+\d+\s+1$/m)
  process.kill(pid, 'SIGTERM')
  t.same(await ended, [0, null])
  t.notOk(existsSync(join('/proc', String(pid))))
})
