// nginx: the upstream of the proxies that are compared, and one of them. A process of its own, with one worker.
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { findFreePort } from '../../src/testing/free-port.ts'
import { transferSize } from '../load/client.ts'
import type { Pki } from '../pki.ts'

export interface Nginx {
  readonly port: number
  /** Its process and its worker. */
  readonly pids: readonly number[]
}

/** The response of the upstream to a GET: 1 KiB. */
const text = 'x'.repeat(1024)

/** Starts nginx with the server blocks that `build` returns for a free port and a folder. @throws if it does not listen. */
async function startNginx(build: (port: number, folder: string) => string): Promise<Nginx> {
  const folder = mkdtempSync(join(tmpdir(), 'tlsbound-bench-nginx-'))
  const port = await findFreePort()
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    name => `${name}_temp_path ${folder}/${name};`,
  )
  writeFileSync(
    join(folder, 'nginx.conf'),
    `${process.getuid?.() === 0 ? 'user root; ' : ''}daemon off; worker_processes 1; pid nginx.pid; error_log stderr error;
    events { worker_connections 8192; }
    http { access_log off; keepalive_requests 100000000; keepalive_timeout 1h; ${temporary.join(' ')}
    ${build(port, folder)} }`,
  )
  const nginx = spawn('nginx', ['-p', folder, '-c', 'nginx.conf', '-e', 'stderr'], {
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  const failed = new Promise<never>((_resolve, reject) => nginx.once('error', reject))
  process.on('exit', () => {
    for (const pid of pidsOf(nginx.pid)) process.kill(pid, 'SIGKILL')
    rmSync(folder, { recursive: true, force: true })
  })
  await Promise.race([untilListening(port), failed])
  return { port, pids: pidsOf(nginx.pid) }
}

function pidsOf(pid: number | undefined): number[] {
  if (pid === undefined) return []
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
  return [pid, ...children.split(' ').filter(Boolean).map(Number)]
}

async function untilListening(port: number): Promise<void> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const isListening = await new Promise<boolean>(resolve => {
      const socket = connect(port, '127.0.0.1', () => resolve(true)).once('error', () => resolve(false))
      socket.once('connect', () => socket.destroy())
    })
    if (isListening) return
    await pause(50)
  }
  throw new Error('nginx does not listen')
}

/** Returns the place where nginx answers with a constant token. */
const placeOfToken = (token: string) =>
  `location = /oauth/token { default_type application/json; return 200 '{"access_token":"${token}"}'; }`

/** Starts the upstream: 1 KiB at every path, a large file for downloads, a reader of uploads, and the token for proxies without one. */
export const startNginxUpstream = (token: string): Promise<Nginx> =>
  startNginx((port, folder) => {
    writeFileSync(join(folder, 'large'), '')
    truncateSync(join(folder, 'large'), transferSize)
    return `server { listen 127.0.0.1:${port}; default_type text/plain;
      location / { return 200 ${text}; }
      ${placeOfToken(token)}
      location = /up/large { alias ${folder}/large; sendfile on; }
      # Reads the whole body, then asks without it.
      location = /up/sink { client_max_body_size 0; client_body_buffer_size ${transferSize}; proxy_pass_request_body off;
        proxy_set_header Content-Length ""; proxy_pass http://127.0.0.1:${port}/read; } }`
  })

/** Starts nginx with mutual TLS in front of an upstream for requests, and one for WebSockets. Its token is constant. */
export const startNginxProxy = (
  { ca, server }: Pki,
  upstream: number,
  sockets: number,
  token: string,
): Promise<Nginx> =>
  startNginx((port, folder) => {
    for (const [name, pem] of Object.entries({
      'ca.pem': ca.certificate,
      'server.pem': server.certificate,
      'key.pem': server.key,
    }))
      writeFileSync(join(folder, name), pem, { mode: 0o600 })
    return `map $http_upgrade $connection_upgrade { default upgrade; '' ''; }
      upstream up { server 127.0.0.1:${upstream}; keepalive 256; }
      server { listen 127.0.0.1:${port} ssl; ssl_protocols TLSv1.3; ssl_session_tickets off;
        ssl_certificate server.pem; ssl_certificate_key key.pem; ssl_client_certificate ca.pem; ssl_verify_client on;
        client_max_body_size 0; proxy_request_buffering off; proxy_http_version 1.1;
        proxy_set_header Connection $connection_upgrade; proxy_set_header Upgrade $http_upgrade;
        ${placeOfToken(token)}
        location /up/ { proxy_pass http://up; }
        location /sockets/ { proxy_pass http://127.0.0.1:${sockets}; proxy_read_timeout 1h; } }`
  })
