// SIGUSR1 makes Node open a debugger that can read every key: never in a server or a sidecar, however it was started.
import { type ChildProcess, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import t from 'tap'
import { startTlsbound } from '../../helpers/process/process.ts'

t.setTimeout(120_000)
const cli = resolve('src/cli/cli.ts')

/** Starts a program that writes the expected text, and sends it the signal; returns its output after that. */
async function signal(t: { teardown(end: () => unknown): void }, child: ChildProcess, ready: RegExp) {
  let text = ''
  t.teardown(() => child.kill('SIGKILL'))
  await new Promise<void>((resolve, reject) => {
    for (const stream of [child.stdout, child.stderr])
      stream?.on('data', chunk => {
        text += chunk
        if (ready.test(text)) resolve()
      })
    child.once('close', () => reject(new Error(`it ended: ${text}`)))
  })
  child.kill('SIGUSR1')
  return { written: () => text }
}

t.test('opens a debugger in a program without the signal listener (control)', async t => {
  const code = "console.log('ready'); setInterval(() => {}, 1000)"
  const child = spawn('env', ['-u', 'NODE_OPTIONS', process.execPath, '-e', code])
  const { written } = await signal(t, child, /ready/)
  while (!/Debugger listening|address already in use/.test(written())) await new Promise(setImmediate)
  t.pass('control')
})

for (const [name, command, env] of [
  ['by node', [process.execPath, cli, 'serve'], {}],
  ['by its command', [resolve('node_modules/.bin/tlsbound'), 'serve'], {}],
  ['by the unit', ['/usr/bin/env', 'tlsbound', 'serve'], { NODE_OPTIONS: '--disable-sigusr1' }],
  ['with the option of npm start', [process.execPath, '--disable-sigusr1', cli, 'serve'], {}],
] as [string, string[], Record<string, string>][])
  t.test(`opens no debugger in a server that was started ${name}, and keeps running`, async t => {
    const server = await startTlsbound(t, t.testdir(), env, 3, command)
    const alice = await server.connect('alice')
    server.child.kill('SIGUSR1')
    for (let time = 0; time < 20; time++) t.match(await alice.get('/binding'), { status: 200 })
    const { code, stderr } = await server.end('SIGTERM')
    t.equal(code, 0)
    t.notMatch(stderr, /Debugger/)
  })

t.test('passes the option in the unit and in npm start', async t => {
  const { scripts } = JSON.parse(readFileSync('package.json', 'utf8'))
  t.match(scripts.start, /^node --disable-sigusr1 /)
  t.match(readFileSync('deploy/tlsbound.service', 'utf8'), /^Environment=NODE_OPTIONS=--disable-sigusr1$/m)
})
