// The options of tlsbound sidecar, separate from the command because the server knows their variables too.
import { type Form, httpsUrl, seconds } from '../settings/forms.ts'
import type { Listen } from '../sidecar/sidecar.ts'
import { choiceOption, type Option, type ValueOption } from './option.ts'
import { sign, issuer as tokenIssuer } from './token-options.ts'

const originForm: Form<string> = {
  words: 'an https address without a path',
  parse: text => (httpsUrl.parse(text) !== undefined && new URL(text).pathname === '/' ? text : undefined),
}
const placeForm: Form<Listen> = {
  words: 'unix:PATH or a port number',
  parse(text) {
    const [, path, port = ''] = /^(?:unix:(.+)|(\d{1,5}))$/s.exec(text) ?? []
    if (path !== undefined) return { path }
    return port !== '' && Number(port) <= 65_535 ? { port: Number(port) } : undefined
  },
}
const modeForm: Form<0o600 | 0o660> = {
  words: '0600 or 0660',
  parse: text => (text === '0600' ? 0o600 : text === '0660' ? 0o660 : undefined),
}

export const upstream: ValueOption<string> = {
  name: 'upstream',
  value: 'URL',
  variable: 'TLSBOUND_UPSTREAM',
  help: 'The server that all requests are sent to, such as https://localhost:8443',
  form: originForm,
}
export const listen: ValueOption<Listen> = {
  name: 'listen',
  value: 'ADDRESS',
  variable: 'TLSBOUND_LISTEN',
  fallback: 'unix:run/tlsbound.sock',
  help: 'unix:PATH for a socket that programs of this user can use, or a port of 127.0.0.1 that every user of this machine can use',
  form: placeForm,
}
export const socketMode: ValueOption<0o600 | 0o660> = {
  name: 'socket-mode',
  value: 'MODE',
  variable: 'TLSBOUND_SOCKET_MODE',
  fallback: '0600',
  help: 'The mode of the socket: 0600, or 0660 for programs of the same group too',
  choices: ['0600', '0660'],
  form: modeForm,
}
export const authorization: ValueOption<'remove' | 'refuse'> = choiceOption(
  {
    name: 'authorization',
    value: 'ACTION',
    variable: 'TLSBOUND_AUTHORIZATION',
    fallback: 'remove',
    help: 'What to do with an Authorization header of a program: remove the header, or refuse the request',
  },
  'remove',
  'refuse',
)
export const timeout: ValueOption<number> = {
  name: 'timeout',
  value: 'SECONDS',
  variable: 'TLSBOUND_TIMEOUT',
  fallback: '60',
  help: 'The time without progress before the response, after which a request fails',
  form: seconds(1, 86_400),
}
export const http: ValueOption<'2' | '1.1'> = choiceOption(
  {
    name: 'http',
    value: 'VERSION',
    variable: 'TLSBOUND_UPSTREAM_HTTP',
    fallback: '2',
    help: 'The newest version of HTTP to use with the upstream: 2, or 1.1, which takes less CPU time, but needs a connection for each request under way, at most 32',
  },
  '2',
  '1.1',
)
export const issuer: ValueOption<string> = { ...tokenIssuer, fallback: 'the upstream' }

export const sidecarOptions: readonly Option[] = [
  ...[upstream, listen, socketMode, authorization, timeout, http, sign],
  { name: 'json', help: 'Writes the listen address as JSON' },
  issuer,
]
