// tlsbound sidecar: lets the programs of this machine use one protected server over plain HTTP, until a signal ends it.
import { createClient, readIdentityFiles } from '../client/client.ts'
import { onEndSignal } from '../process/signals.ts'
import { startSidecar } from '../sidecar/sidecar.ts'
import { type Command, UsageError } from './command.ts'
import { identityNotes, identityOptions, requireIdentity } from './identity-options.ts'
import { createOptionReader, present } from './option.ts'
import { writeMessage } from './output.ts'
import {
  authorization,
  http,
  issuer,
  listen,
  sidecarOptions,
  socketMode,
  timeout,
  upstream,
} from './sidecar-options.ts'
import { readTokenOptions, sign, tokenOptions } from './token-options.ts'

/** The maximum number of connections: over HTTP/1.1 each event stream occupies one. */
const connections = 32

/** Milliseconds from a signal to the exit, even with requests under way. */
const shutdownTimeout = 10_000

export const command: Command = {
  usage: ['--upstream URL [OPTIONS]'],
  description: [
    'Lets any local program use one protected server over plain HTTP. The sidecar loads the certificate and its key, opens the connections, requests tokens and signs proofs, and reconnects when the server restarts. GET /_status shows its state, GET /_metrics counters for Prometheus. Changes of the state are logged on stderr.',
    'Certificate, key and authorities can be renewed at any time: the sidecar reloads changed files.',
  ],
  options: [...sidecarOptions, ...tokenOptions, ...identityOptions],
  groupNotes: identityNotes,
  examples: [
    'tlsbound sidecar --upstream https://localhost:8443',
    'curl --unix-socket run/tlsbound.sock http://notes/api/notes',
  ],
  async run(values) {
    const read = createOptionReader(values, process.env)
    const origin = read(upstream)
    if (origin === undefined) throw new UsageError(`--${upstream.name} (${upstream.variable}) is missing`)
    const acquireTimeout = Math.min(30, (read(timeout) ?? 60) / 2) // shorter than that of a request, which then reports it
    const place = read(listen) ?? { path: 'run/tlsbound.sock' }
    const where = 'path' in place ? { ...place, ...present({ mode: read(socketMode) }) } : place
    const rules = present({ authorization: read(authorization), timeout: read(timeout) })
    const tokens = { ...readTokenOptions(values), ...present({ issuer: read(issuer) }) }
    const { files, clientId } = requireIdentity(values)

    const identity = readIdentityFiles(files, ({ message }) =>
      writeMessage(`The previous certificate stays in use: ${message}`),
    )
    const client = createClient({
      origin,
      identity,
      connections,
      http2: read(http) !== '1.1',
      timeout: acquireTimeout,
      signRequests: read(sign) === 'always',
      ...tokens,
      ...present({ clientId }),
    })
    const sidecar = await startSidecar({ client, listen: where, log: writeMessage, onChange: writeMessage, ...rules })
    const { address } = sidecar
    process.stdout.write(`${values.json === true ? JSON.stringify({ listen: address, upstream: origin }) : address}\n`)
    if ('port' in place) writeMessage('Every user of this machine can use this port.')
    else writeMessage(`Try curl --unix-socket ${place.path} http://any/_status`)

    onEndSignal(signal => {
      writeMessage(`${signal}: completing the requests under way, then closing.`)
      setTimeout(() => process.exit(0), shutdownTimeout).unref()
      sidecar.close().catch((error: Error) => writeMessage(error.message))
    })
  },
}
