// tlsbound call: one request with a bound token, in the manners of curl. The client does what curl cannot: it gets the token
// on the connection that it is used on.
import type { Dispatcher } from 'undici'
import { type Client, createClient, readIdentityFiles } from '../client/client.ts'
import { guarded } from '../core/guard.ts'
import { describeStatus, describeTransport, writeAnswer } from './call-answer.ts'
import { readCallRequest, requestOptions } from './call-request.ts'
import { type Command, UsageError } from './command.ts'
import { identityHelp, identityOptions, requireIdentity } from './identity-options.ts'
import { createOptionReader, declareOptions, present } from './option.ts'
import { say } from './say.ts'
import { issuer, readTokenOptions, tokenHelp, tokenOptions } from './token-options.ts'

export const command: Command = {
  help: `Usage: tlsbound call URL [OPTIONS]

Sends one request in the manners of curl, with a token that it gets on the same connection. The answer goes to stdout as
it comes. Exit 0 below status 400, 1 from there on. Redirects are not followed.

  tlsbound call https://localhost:8443/api/notes
  tlsbound call https://localhost:8443/api/notes --json '{"text":"hello"}'

  -X, --request METHOD    default GET, with a body POST
  -H, --header "NAME: V"  may be repeated; NAME: leaves one out. Not Authorization, which is what this command is for
  -d, --data DATA         a form; @FILE is a file without its line ends, - or @- stdin; several are joined by &
  --data-binary DATA      the same, but files are sent as they are
  --json DATA             the same as application/json, which is asked for too; as with curl, and unlike other commands
  -i, --include           status line and headers before the body
  -o, --output FILE       where to write instead of stdout
  -v, --verbose           on stderr: TLS, thumbprints of certificate and bindings, level and end of the token

  --issuer URL            who gives the token (TLSBOUND_ISSUER, the server itself)${tokenHelp}
${identityHelp}`,
  options: {
    ...requestOptions,
    include: { type: 'boolean', short: 'i' },
    output: { type: 'string', short: 'o' },
    verbose: { type: 'boolean', short: 'v' },
    ...declareOptions([issuer]),
    ...tokenOptions,
    ...identityOptions,
  },
  takesWords: true,
  async run(values, [word, ...others]) {
    const url = word === undefined || others.length > 0 ? undefined : readUrl(word)
    if (url === undefined) throw new UsageError('call takes one address, such as https://localhost:8443/api/notes')
    const request = await readCallRequest(values)
    const given = { issuer: createOptionReader(values, process.env)(issuer), ...readTokenOptions(values) }
    const { files, clientId } = requireIdentity(values)
    const client = createClient({
      origin: url.origin,
      identity: readIdentityFiles(files)(),
      connections: 1,
      ...present({ ...given, clientId }),
    })
    try {
      const { body = null, ...rest } = request
      const path = url.pathname + url.search
      // No limit between two parts of a body: an event stream is silent as long as nothing happens.
      const answer = await send(client, { ...rest, path, body, bodyTimeout: 0 })
      const state = client.state()
      const now = Math.floor(Date.now() / 1000)
      if (values.verbose === true) for (const line of describeTransport(state, now)) say(`* ${line}`)
      const protocol = state.connections.at(-1)?.protocol ?? 'http/1.1'
      const file = values.output === undefined ? undefined : String(values.output)
      await writeAnswer(answer, protocol, { head: values.include === true, file })
      if (answer.statusCode >= 400) throw new Error(`the server answered ${describeStatus(answer.statusCode)}`)
    } finally {
      await client.close()
    }
  },
}

function readUrl(text: string): URL | undefined {
  const url = URL.canParse(text) ? new URL(text) : undefined
  return url?.protocol === 'https:' && url.username === '' && url.password === '' ? url : undefined
}

/** Milliseconds. */
const lookInterval = 50

/** Sends a request. A program waits until a server is back; a person wants to know at once that it is not there. */
async function send(client: Client, options: Dispatcher.RequestOptions): Promise<Dispatcher.ResponseData> {
  const absence = new AbortController()
  const look = () => {
    const { lastProblem } = client.state()
    if (lastProblem?.code === 'cannot_connect') absence.abort(new Error(lastProblem.message))
  }
  const timer = setInterval(
    guarded(look, error => absence.abort(error)),
    lookInterval,
  )
  try {
    return await client.dispatcher.request({ ...options, signal: absence.signal })
  } finally {
    clearInterval(timer)
  }
}
