// A client of the ops listener of a running server. The token is sent over plain HTTP, so only to this machine.
import { readOpsToken } from '../process/files.ts'
import { type Form, path, portOrOff } from '../settings/forms.ts'
import { isServiceLink } from '../settings/service-links.ts'
import { dataDirOf, dataFile } from '../settings/settings.ts'
import { UsageError, type Values } from './command.ts'
import { createOptionReader, jsonOption, type Option, type ValueOption } from './option.ts'

const group = 'Ops listener'
const opsForm: Form<string> = {
  words: 'an http address of this machine, such as http://127.0.0.1:9443',
  parse: text => (/^http:\/\/(127\.0\.0\.1|localhost|\[::1\])(:\d+)?\/?$/.test(text) ? text : undefined),
}
const opsUrl: ValueOption<string> = {
  name: 'ops',
  value: 'URL',
  variable: 'TLSBOUND_OPS_URL',
  fallback: 'http://127.0.0.1:9443, with the port of TLSBOUND_OPS_PORT if that is set',
  help: 'The address of the ops listener',
  form: opsForm,
  group,
}
const opsTokenFile: ValueOption<string> = {
  name: 'ops-token-file',
  value: 'FILE',
  variable: 'TLSBOUND_OPS_TOKEN_FILE',
  fallback: 'ops-token in TLSBOUND_DATA_DIR',
  help: 'The file with the ops token',
  form: path,
  group,
}

export const opsOptions: readonly Option[] = [opsUrl, opsTokenFile, jsonOption]

/** Sends a request and resolves with its JSON response. Rejects with the reason of an error response. */
// biome-ignore lint/suspicious/noExplicitAny: each route has its own response type
export type CallOps = (method: string, path: string, body?: unknown) => Promise<any>

/** @throws UsageError for an address of another machine, Error when the token cannot be read. */
export function openOps(values: Values, env: NodeJS.ProcessEnv = process.env): CallOps {
  const send = openSender(values, env)
  return async (method, path, body) => (await send(method, path, { body, timeout: 30_000 })).json()
}

/** Sends a request, and resolves with the body of its response. Rejects like CallOps. */
export async function downloadFromOps(
  values: Values,
  path: string,
  timeout: number,
): Promise<ReadableStream<Uint8Array>> {
  const { body } = await openSender(values, process.env)('POST', path, { timeout })
  if (body === null) throw new Error('the ops listener responded without content')
  return body
}

type Send = (
  method: string,
  path: string,
  options: { readonly body?: unknown; readonly timeout: number },
) => Promise<Response>

function openSender(values: Values, env: NodeJS.ProcessEnv): Send {
  const read = createOptionReader(values, env)
  const url = read(opsUrl) ?? findOps(env)
  const token = readOpsToken(read(opsTokenFile) ?? dataFile('ops-token', dataDirOf(env)))

  return async (method, path, { body, timeout }) => {
    const response = await fetch(new URL(path, url), {
      method,
      headers: {
        authorization: `Bearer ${token}`,
        ...(body !== undefined && { 'content-type': 'application/json' }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      redirect: 'error',
      signal: AbortSignal.timeout(timeout),
    }).catch((error: Error & { cause?: { code?: string } }) => {
      throw new Error(`${url} does not respond (${error.cause?.code ?? error.name}); check that the server is running`)
    })
    if (response.ok) return response
    const answer = (await response.json().catch(() => undefined)) as Record<string, unknown> | undefined
    throw new Error(describeRefusal(response.status, answer))
  }
}

/** Returns the address by the settings of the server, which a command in its container or with its settings file has too. */
function findOps({ TLSBOUND_OPS_PORT: text }: NodeJS.ProcessEnv): string {
  const isGiven = text !== undefined && text !== '' && !isServiceLink('TLSBOUND_OPS_PORT', text)
  const port = isGiven ? portOrOff.parse(text) : 9443
  if (port === undefined) throw new UsageError(`TLSBOUND_OPS_PORT must be ${portOrOff.words}`)
  if (port === 0) throw new UsageError('TLSBOUND_OPS_PORT is 0, so that the server has no ops listener')
  return `http://127.0.0.1:${port}`
}

function describeRefusal(status: number, answer: Record<string, unknown> = {}): string {
  const { problems, error_description: description, reason } = answer
  if (Array.isArray(problems)) return problems.join('\n  ')
  return typeof description === 'string'
    ? `${description} (${reason})`
    : `the ops listener responded with ${status} without a reason`
}
