// One request whose answer is a small JSON object: of a token endpoint, of an issuer's metadata.
import type { Dispatcher } from 'undici'
import { parseObject } from '../core/compact-jws.ts'

export interface JsonAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, unknown>>
  /** Undefined when it is no JSON object, or a longer one than we read. */
  readonly body: Readonly<Record<string, unknown>> | undefined
}

/** Characters. */
const longest = 65_536

/** Sends a request over a channel and reads its answer. Redirects are not followed. @throws Error (rejects) of undici. */
export async function readJson(dispatcher: Dispatcher, options: Dispatcher.RequestOptions): Promise<JsonAnswer> {
  const { statusCode: status, headers, body } = await dispatcher.request(options)
  body.setEncoding('utf8')
  let text = ''
  for await (const chunk of body) {
    text += chunk
    if (text.length > longest) break // which ends the request
  }
  return { status, headers, body: text.length > longest ? undefined : parseObject(text) }
}
