// tlsbound ready: whether the server of this machine is ready, as an exit code. Loads little, because a probe runs it every few
// seconds.
import { connect } from 'node:net'
import { address, portOrOff } from '../settings/forms.ts'
import { isServiceLink } from '../settings/service-links.ts'
import { type Command, showArgument, UsageError } from './command.ts'

/** Milliseconds for the answer. */
const timeout = 5000

/** Characters of an answer. */
const longestAnswer = 8192

export const command: Command = {
  usage: [''],
  description: [
    'Asks the server on this machine whether it can decide requests, for probes that run a command. It asks the probe listener (TLSBOUND_PROBE_PORT) if there is one, otherwise the ops listener (TLSBOUND_OPS_PORT). It needs no token.',
    'The exit code is 0 if the server is ready, and 1 if it is not; stderr then says why.',
  ],
  options: [],
  environment: [
    { name: 'TLSBOUND_PROBE_HOST', fallback: '127.0.0.1', help: 'Address of the probe listener' },
    { name: 'TLSBOUND_PROBE_PORT', fallback: '0', help: 'Port of the probe listener; 0: ask the ops listener' },
    { name: 'TLSBOUND_OPS_PORT', fallback: '9443', help: 'Port of the ops listener' },
  ],
  failure: 'the server is not ready, or does not respond within five seconds',
  examples: ['tlsbound ready && echo ready'],
  async run(_values, [unexpected]) {
    if (unexpected !== undefined) throw new UsageError(`unexpected argument ${showArgument(unexpected)}`)
    const { host, port } = findListener(process.env)
    const { status, body } = await ask(host, port)
    if (status !== 200) throw new Error(`the server is not ready: ${explain(body)}`)
  },
}

function findListener(env: NodeJS.ProcessEnv): { readonly host: string; readonly port: number } {
  const probePort = read(env, 'TLSBOUND_PROBE_PORT', portOrOff) ?? 0
  if (probePort !== 0) return { host: toLocal(read(env, 'TLSBOUND_PROBE_HOST', address)), port: probePort }
  const opsPort = read(env, 'TLSBOUND_OPS_PORT', portOrOff) ?? 9443
  if (opsPort !== 0) return { host: '127.0.0.1', port: opsPort }
  throw new UsageError('TLSBOUND_OPS_PORT is 0, and TLSBOUND_PROBE_PORT is not set: the server has no listener to ask')
}

function read<T>(env: NodeJS.ProcessEnv, name: string, form: { words: string; parse(text: string): T | undefined }) {
  const text = env[name]
  if (text === undefined || text === '' || isServiceLink(name, text)) return undefined
  const value = form.parse(text)
  if (value === undefined) throw new UsageError(`${name} must be ${form.words}`)
  return value
}

/** Returns the address to reach a listener that binds to any address. */
function toLocal(host = '127.0.0.1'): string {
  return host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host
}

/** Sends the request over a plain socket: loading `node:http` would cost 40 ms, half of the whole command. */
function ask(host: string, port: number): Promise<{ readonly status: number; readonly body: string }> {
  const where = `${host.includes(':') ? `[${host}]` : host}:${port}`
  return new Promise((resolve, reject) => {
    const fail = (why: string) =>
      reject(new Error(`${where} does not respond (${why}); check that the server is running`))
    const socket = connect({ host, port })
    const timer = setTimeout(() => socket.destroy(new Error('timed out')), timeout)
    let text = ''
    socket
      .setEncoding('latin1')
      .on('data', part => (text = (text + part).slice(0, longestAnswer)))
      .on('error', ({ code, message }: NodeJS.ErrnoException) => fail(code ?? message))
      .on('close', () => {
        clearTimeout(timer)
        const [, status, body] = /^HTTP\/1\.1 (\d{3})[\s\S]*?\r\n\r\n([\s\S]*)$/.exec(text) ?? []
        if (status === undefined) return fail('no HTTP response')
        resolve({ status: Number(status), body: body ?? '' })
      })
    socket.end(`GET /ready HTTP/1.1\r\nHost: localhost:${port}\r\nConnection: close\r\n\r\n`)
  })
}

/** Returns the cause in a response of the probe listener or of the ops listener. */
function explain(body: string): string {
  try {
    const { detail, problems } = JSON.parse(body)
    if (Array.isArray(problems) && problems.length > 0) return String(problems[0])
    if (typeof detail === 'string') return detail
  } catch {} // another server
  return 'the response does not say why; check that the port is that of the server'
}
