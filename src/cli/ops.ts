// Talks to the ops listener of a running server. Its token goes over plain HTTP, so only to this machine.
import { readOpsToken } from '../process/files.ts'
import { type Command, UsageError, type Values } from './command.ts'

export const opsOptions = {
  ops: { type: 'string' },
  'ops-token-file': { type: 'string' },
  json: { type: 'boolean' },
} as const satisfies Command['options']

export const opsHelp = `
  --ops URL               the ops listener (TLSBOUND_OPS_URL, http://127.0.0.1:9443)
  --ops-token-file FILE   its token (TLSBOUND_OPS_TOKEN_FILE, data/ops-token)
  --json                  the answer as JSON
`

/** Sends a request and resolves with its answer, read from JSON. Rejects with what the server says against it. */
// biome-ignore lint/suspicious/noExplicitAny: each route has an answer of its own
export type CallOps = (method: string, path: string, body?: unknown) => Promise<any>

/** @throws UsageError for an address of another machine, Error when the token cannot be read. */
export function openOps(values: Values, env: NodeJS.ProcessEnv = process.env): CallOps {
  const url = String(values.ops ?? (env.TLSBOUND_OPS_URL || 'http://127.0.0.1:9443'))
  if (!/^http:\/\/(127\.0\.0\.1|localhost|\[::1\])(:\d+)?\/?$/.test(url))
    throw new UsageError('--ops must be an http address of this machine, such as http://127.0.0.1:9443')
  const token = readOpsToken(String(values['ops-token-file'] ?? (env.TLSBOUND_OPS_TOKEN_FILE || 'data/ops-token')))

  return async (method, path, body) => {
    const response = await fetch(new URL(path, url), {
      method,
      headers: {
        authorization: `Bearer ${token}`,
        ...(body !== undefined && { 'content-type': 'application/json' }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      redirect: 'error',
      signal: AbortSignal.timeout(30_000),
    }).catch((error: Error & { cause?: { code?: string } }) => {
      throw new Error(`${url} does not answer (${error.cause?.code ?? error.name}): is the server running?`)
    })
    const answer = (await response.json().catch(() => undefined)) as Record<string, unknown> | undefined
    if (!response.ok) throw new Error(describeRefusal(response.status, answer))
    return answer
  }
}

/** Writes a result: as JSON where that was asked for, else in words. What could steer a terminal stays inside. */
export function tell({ json }: Values, answer: unknown, words: string): void {
  const text = json === true ? JSON.stringify(answer) : words
  process.stdout.write(`${text.replace(controls, c => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`)}\n`)
}

const controls = /[^\n\P{Cc}]|[\u2028\u2029]/gu

function describeRefusal(status: number, answer: Record<string, unknown> = {}): string {
  const { problems, error_description: description, reason } = answer
  if (Array.isArray(problems)) return problems.join('\n  ')
  return typeof description === 'string' ? `${description} (${reason})` : `the answer is no answer of ours (${status})`
}
