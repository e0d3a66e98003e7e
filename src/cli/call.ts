// tlsbound call: sends one request with a bound token, with the options of curl. Unlike curl, it requests the token on
// the connection that it uses the token on.
import type { Dispatcher } from 'undici'
import { type Client, createClient, readIdentityFiles } from '../client/client.ts'
import { guarded } from '../core/guard.ts'
import { parseHttpsUrl } from '../core/https-url.ts'
import { describeStatus, describeTransport, writeAnswer } from './call-answer.ts'
import { readCallRequest, requestOptions } from './call-request.ts'
import { type Command, UsageError } from './command.ts'
import { identityNotes, identityOptions, requireIdentity } from './identity-options.ts'
import { createOptionReader, present } from './option.ts'
import { writeMessage } from './output.ts'
import { issuer, readTokenOptions, sign, tokenOptions } from './token-options.ts'

export const command: Command = {
  usage: ['URL [OPTIONS]'],
  description: [
    'Sends one request with a token that is requested on the same connection, with the options of curl. The response is written to stdout as it arrives. Redirects are not followed.',
  ],
  positionals: { value: 'URL' },
  options: [
    ...requestOptions,
    { name: 'include', short: 'i', help: 'Writes the status line and the headers before the body' },
    { name: 'output', short: 'o', value: 'FILE', fallback: 'stdout', help: 'The file for the response' },
    {
      name: 'verbose',
      short: 'v',
      help: 'Writes to stderr: TLS version, thumbprints of certificate and bindings, level and expiry of the token',
    },
    sign,
    { ...issuer, fallback: 'the server itself' },
    ...tokenOptions,
    ...identityOptions,
  ],
  groupNotes: identityNotes,
  failure: 'the status is 400 or higher, or the request failed',
  examples: [
    'tlsbound call https://localhost:8443/api/notes',
    `tlsbound call https://localhost:8443/api/notes --json '{"text":"hello"}'`,
  ],
  async run(values, [word, ...others]) {
    const url = others.length > 0 ? undefined : parseHttpsUrl(word)
    if (url === undefined) throw new UsageError('expected one https URL, such as https://localhost:8443/api/notes')
    const request = await readCallRequest(values)
    const read = createOptionReader(values, process.env)
    const given = { issuer: read(issuer), ...readTokenOptions(values) }
    const { files, clientId } = requireIdentity(values)
    const client = createClient({
      origin: url.origin,
      identity: readIdentityFiles(files)(),
      connections: 1,
      signRequests: read(sign) === 'always',
      ...present({ ...given, clientId }),
    })
    try {
      const { body = null, ...rest } = request
      const path = url.pathname + url.search
      // No limit between two parts of a body: an event stream may be silent for long.
      const answer = await send(client, { ...rest, path, body, bodyTimeout: 0 })
      const state = client.state()
      const now = Math.floor(Date.now() / 1000)
      if (values.verbose === true) for (const line of describeTransport(state, now)) writeMessage(`* ${line}`)
      const protocol = state.connections.at(-1)?.protocol ?? 'http/1.1'
      const file = values.output === undefined ? undefined : String(values.output)
      await writeAnswer(answer, protocol, { head: values.include === true, file })
      if (answer.statusCode >= 400) throw new Error(`the server responded with ${describeStatus(answer.statusCode)}`)
    } finally {
      await client.close()
    }
  },
}

const pollInterval = 50

/** Sends a request. Fails at once when the server is unreachable: unlike a program, a person does not wait for it. */
async function send(client: Client, options: Dispatcher.RequestOptions): Promise<Dispatcher.ResponseData> {
  const absence = new AbortController()
  const poll = () => {
    const { lastProblem } = client.state()
    if (lastProblem?.code === 'cannot_connect') absence.abort(new Error(lastProblem.message))
  }
  const timer = setInterval(
    guarded(poll, error => absence.abort(error)),
    pollInterval,
  )
  try {
    return await client.dispatcher.request({ ...options, signal: absence.signal })
  } finally {
    clearInterval(timer)
  }
}
