// tlsbound sidecar: one server for the programs of this machine, in plain HTTP, until a signal ends it.
import { createClient, readIdentityFiles } from '../client/client.ts'
import { type Form, httpsUrl, oneOf, seconds } from '../settings/forms.ts'
import { type Listen, startSidecar } from '../sidecar/sidecar.ts'
import { type Command, UsageError } from './command.ts'
import { identityHelp, identityOptions, requireIdentity } from './identity-options.ts'
import { createOptionReader, declareOptions, type Option, present } from './option.ts'
import { say } from './say.ts'
import { readTokenOptions, tokenHelp, tokenOptions } from './token-options.ts'

const originForm: Form<string> = {
  words: 'an https address without a path',
  read: text => (httpsUrl.read(text) !== undefined && new URL(text).pathname === '/' ? text : undefined),
}
const placeForm: Form<Listen> = {
  words: 'unix:PATH or a port number',
  read(text) {
    const [, path, port = ''] = /^(?:unix:(.+)|(\d{1,5}))$/s.exec(text) ?? []
    if (path !== undefined) return { path }
    return port !== '' && Number(port) <= 65_535 ? { port: Number(port) } : undefined
  },
}
const modeForm: Form<0o600 | 0o660> = {
  words: '0600 or 0660',
  read: text => (text === '0600' ? 0o600 : text === '0660' ? 0o660 : undefined),
}

const upstream: Option<string> = { name: 'upstream', variable: 'TLSBOUND_UPSTREAM', form: originForm }
const listen: Option<Listen> = { name: 'listen', variable: 'TLSBOUND_LISTEN', form: placeForm }
const socketMode: Option<0o600 | 0o660> = { name: 'socket-mode', variable: 'TLSBOUND_SOCKET_MODE', form: modeForm }
const issuer: Option<string> = { name: 'issuer', variable: 'TLSBOUND_ISSUER', form: httpsUrl }
const authorization: Option<'remove' | 'refuse'> = {
  name: 'authorization',
  variable: 'TLSBOUND_AUTHORIZATION',
  form: oneOf('remove', 'refuse'),
}
const timeout: Option<number> = { name: 'timeout', variable: 'TLSBOUND_TIMEOUT', form: seconds(1, 86_400) }

/** How many there are at most: over HTTP/1.1 each event stream keeps one to itself, over HTTP/2 they share one. */
const connections = 32

/** Milliseconds from a signal to the end, whatever is still under way. */
const longestGoodbye = 10_000

export const command: Command = {
  help: `Usage: tlsbound sidecar --upstream URL [OPTIONS]

Lets any program use one server in plain HTTP. The sidecar has the certificate and its key, keeps the connections, gets
the tokens and signs the proofs, through restarts of the server too. GET /_status says how it is.

  curl --unix-socket run/tlsbound.sock http://notes/api/notes

  --upstream URL          where all requests go, as https://localhost:8443 (TLSBOUND_UPSTREAM)
  --listen unix:PATH      a socket for programs of this user (TLSBOUND_LISTEN, unix:run/tlsbound.sock)
  --listen PORT           a port of 127.0.0.1 instead, which every user of this machine can use
  --socket-mode MODE      0600, or 0660 for programs of this group as well (TLSBOUND_SOCKET_MODE, 0600)
  --authorization WHAT    remove or refuse what a program sends as Authorization (TLSBOUND_AUTHORIZATION, remove)
  --timeout SECONDS       how long nothing may move before an answer begins (TLSBOUND_TIMEOUT, 60)
  --issuer URL            who gives the tokens (TLSBOUND_ISSUER, the upstream)${tokenHelp}
  --json                  say as JSON where it listens
${identityHelp}
Certificate, key and authorities may be renewed at any time; the sidecar takes new files into use by itself.
`,
  options: {
    ...declareOptions([upstream, listen, socketMode, authorization, timeout, issuer]),
    ...tokenOptions,
    ...identityOptions,
    json: { type: 'boolean' },
  },
  async run(values) {
    const read = createOptionReader(values, process.env)
    const origin = read(upstream)
    if (origin === undefined) throw new UsageError(`--${upstream.name} (${upstream.variable}) is missing`)
    const patience = Math.min(30, (read(timeout) ?? 60) / 2) // so that a request without a connection learns that
    const place = read(listen) ?? { path: 'run/tlsbound.sock' }
    const where = 'path' in place ? { ...place, ...present({ mode: read(socketMode) }) } : place
    const rules = present({ authorization: read(authorization), timeout: read(timeout) })
    const tokens = { ...readTokenOptions(values), ...present({ issuer: read(issuer) }) }
    const { files, clientId } = requireIdentity(values)

    const identity = readIdentityFiles(files, ({ message }) => say(`The certificate in use stays: ${message}`))
    const client = createClient({ origin, identity, connections, patience, ...tokens, ...present({ clientId }) })
    const sidecar = await startSidecar({ client, listen: where, log: say, ...rules })
    const { address } = sidecar
    process.stdout.write(`${values.json === true ? JSON.stringify({ listen: address, upstream: origin }) : address}\n`)
    if ('port' in place) say('Every user of this machine can use it.')
    else say(`Try curl --unix-socket ${place.path} http://any/_status`)

    for (const signal of ['SIGTERM', 'SIGINT'] as const)
      process.once(signal, () => {
        say(`${signal}: answering what is under way, then closing.`)
        setTimeout(() => process.exit(0), longestGoodbye).unref()
        sidecar.close().catch((error: Error) => say(error.message))
      })
  },
}
