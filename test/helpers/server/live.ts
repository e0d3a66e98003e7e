// Parses the lines of the live page's streams, without a browser.
import type { TestServer } from '../../../src/testing/server.ts'

/** An update of `GET /live`, or a play of `POST /live/thefts`. */
// biome-ignore lint/suspicious/noExplicitAny: whoever asks knows what it should be, and finds out
export type Line = any

export interface Stream {
  readonly status: number
  readonly headers: Headers
  /** Everything received so far, unchanged. */
  readonly text: () => string
  /** Returns the first matching line, including earlier ones. Rejects if the stream ends first. */
  next(wanted?: (line: Line) => boolean): Promise<Line>
  /** Resolves with all lines when the stream has ended. */
  rest(): Promise<readonly Line[]>
  close(): void
}

/** Opens a stream with the ops token, unless `headers` override it. */
export async function openStream(
  { ops }: Pick<TestServer, 'ops'>,
  path = '/live',
  { method = 'GET', headers = {} }: { readonly method?: string; readonly headers?: Record<string, string> } = {},
): Promise<Stream> {
  const { url, token } = ops as { url: string; token: string }
  const end = new AbortController()
  const authorization = `Bearer ${token}`
  const answer = await fetch(url + path, { method, headers: { authorization, ...headers }, signal: end.signal })
  const reader = (answer.body as ReadableStream<Uint8Array>).pipeThrough(new TextDecoderStream()).getReader()
  const lines: Line[] = []
  let text = ''
  let read = 0

  /** Reads more. False: the stream has ended. */
  async function more(): Promise<boolean> {
    const { done, value = '' } = await reader.read()
    text += value
    const all = text.split('\n')
    all.pop()
    lines.push(...all.slice(lines.length).map(line => JSON.parse(line)))
    return !done
  }
  return {
    status: answer.status,
    headers: answer.headers,
    text: () => text,
    async next(wanted = () => true) {
      for (;;) {
        while (read < lines.length) {
          const line = lines[read++]
          if (wanted(line)) return line
        }
        if (!(await more())) throw new Error(`the stream ended: ${text.slice(-500)}`)
      }
    },
    async rest() {
      while (await more());
      return lines
    },
    close: () => end.abort(),
  }
}
