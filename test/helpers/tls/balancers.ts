// Real load balancers that pass TCP on with a PROXY protocol header, each in a folder and on ports of its own. Need the Debian
// packages haproxy, nginx-light and libnginx-mod-stream.
import { spawn } from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'

interface Test {
  testdir(): string
  teardown(end: () => unknown): void
}

/** Starts HAProxy: each port of `listeners` is passed on to the server with these options, such as `send-proxy`. */
export function startHaproxy(t: Test, folder: string, server: number, listeners: Readonly<Record<number, string>>) {
  const blocks = Object.entries(listeners).map(
    ([port, options]) => `listen l${port}\n  bind 127.0.0.1:${port}\n  server s 127.0.0.1:${server} ${options}\n`,
  )
  const text = `defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 1h\n  timeout server 1h\n${blocks.join('')}`
  return startProgram(t, '/usr/sbin/haproxy', 'haproxy', ['-db', '-f', write(folder, 'haproxy.cfg', text)], listeners)
}

/** Starts nginx: passes TCP of `port` on to the server with a header of version 1. */
export function startNginx(t: Test, folder: string, server: number, port: number) {
  const module = '/usr/lib/nginx/modules/ngx_stream_module.so'
  if (!existsSync(module)) throw new Error(`${module} is missing: install the Debian package libnginx-mod-stream`)
  const block = `server { listen 127.0.0.1:${port}; proxy_pass 127.0.0.1:${server}; proxy_protocol on; }`
  const head = `load_module ${module};\ndaemon off;\nmaster_process off;\nerror_log stderr;\npid ${folder}/nginx.pid;\n`
  const file = write(folder, 'nginx.conf', `${head}events {}\nstream { ${block} }\n`)
  return startProgram(t, '/usr/sbin/nginx', 'nginx-light', ['-p', folder, '-c', file], { [port]: '' })
}

function write(folder: string, name: string, text: string): string {
  writeFileSync(join(folder, name), text)
  return join(folder, name)
}

async function startProgram(
  t: Test,
  program: string,
  debian: string,
  args: readonly string[],
  ports: object,
): Promise<void> {
  if (!existsSync(program)) throw new Error(`${program} is missing: install the Debian package ${debian}`)
  const child = spawn(program, [...args], { stdio: ['ignore', 'ignore', 'pipe'] })
  let log = ''
  child.stderr.on('data', chunk => (log += chunk))
  const ended = new Promise(resolve => child.once('exit', resolve))
  t.teardown(() => {
    child.kill('SIGKILL')
    return ended
  })
  for (const port of Object.keys(ports))
    while (!(await isOpen(Number(port)))) {
      if (child.exitCode !== null) throw new Error(`${program} has not started: ${log}`)
      await pause(20)
    }
}

/** Opens and closes a connection, as a health check does. */
function isOpen(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect(port, '127.0.0.1', () => resolve(true) ?? socket.destroy())
    socket.on('error', () => resolve(false))
  })
}
