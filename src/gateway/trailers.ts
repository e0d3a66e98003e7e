// Requests with trailers (RFC 9110 §6.5), which undici cannot send: each is sent by Node on a connection of its own. A trailer follows
// the same rule as a field of the header, since an upstream may merge them.
import { type ClientRequest, type IncomingMessage, request as sendRequest } from 'node:http'
import type { Socket } from 'node:net'
import type { Readable } from 'node:stream'
import type { Dispatcher } from 'undici'
import { guarded } from '../core/guard.ts'
import { readNominated } from '../relay/connection-fields.ts'
import { notInTrailers } from '../relay/relay.ts'
import { isPassed } from './fields.ts'

/** The characters of a `Trailer` field that is read. */
const longestAnnouncement = 1024

/** Returns the names that a request announces and that may be passed on, in lower case; none if it has no trailers. */
export function readAnnounced({ headers, httpVersionMajor }: IncomingMessage): string[] {
  const { trailer, 'transfer-encoding': coding } = headers
  // Over HTTP/1.1, only a body in chunks has trailers.
  if (trailer === undefined || (httpVersionMajor === 1 && coding === undefined)) return []
  if (trailer.length > longestAnnouncement) return []
  const nominated = readNominated(headers.connection)
  const names = trailer
    .toLowerCase()
    .split(',')
    .map(name => name.trim())
  return [...new Set(names)].filter(
    name => /^[a-z0-9!#$%&'*+.^_`|~-]+$/.test(name) && !nominated.has(name) && isAllowed(name),
  )
}

/** Whether a trailer may be passed on. */
function isAllowed(name: string): boolean {
  return isPassed(name) && !notInTrailers.has(name.toLowerCase())
}

export interface WithTrailers {
  /** Opens a connection to the upstream. */
  readonly connect: () => Promise<Socket>
  /** The Host of the request. */
  readonly host: string
  /** The request of the client. Its trailers have arrived when its body has ended. */
  readonly request: IncomingMessage
  /** As of `readAnnounced`. */
  readonly announced: readonly string[]
}

/** Creates the dispatcher for one request: trailers that were announced follow its body. */
export function createTrailerDispatcher(options: WithTrailers): Pick<Dispatcher, 'dispatch'> {
  const { connect, host, request, announced } = options
  return {
    dispatch({ path, method, headers, body }, handler) {
      let socket: Socket | undefined
      let isOver = false
      const fail = (error: Error) => {
        socket?.destroy()
        if (isOver) return
        isOver = true
        handler.onResponseError?.(controller, error)
      }
      let answer: IncomingMessage | undefined
      const controller = {
        aborted: false,
        paused: false,
        reason: null,
        pause: () => void answer?.pause(),
        resume: () => void answer?.resume(),
        abort: (reason: Error) => fail(reason),
      } as Dispatcher.DispatchController

      const send = (opened: Socket) => {
        socket = opened
        if (isOver) return void opened.destroy()
        const asked = sendRequest({
          ...{ createConnection: () => opened, method, path, setHost: false },
          headers: [...framed(headers as string[]), 'host', host, 'trailer', announced.join(', ')],
        })
        asked.on('error', fail)
        // No request here asks for another protocol. Without a listener, Node ends the connection, and the request has no end.
        asked.on('upgrade', () =>
          fail(Object.assign(new Error('an unexpected upgrade'), { code: 'HPE_INVALID_STATUS' })),
        )
        asked.on(
          'information',
          guarded(({ statusCode, headers: answered }) => {
            handler.onResponseStart?.(controller, statusCode, answered)
          }, fail),
        )
        asked.on(
          'response',
          guarded((found: IncomingMessage) => {
            answer = found
            receive(found)
          }, fail),
        )
        sendBody(asked, body as Readable)
      }

      const receive = (found: IncomingMessage) => {
        found.on('error', fail)
        handler.onResponseStart?.(controller, found.statusCode ?? 0, found.headers)
        found.on(
          'data',
          guarded((chunk: Buffer) => void handler.onResponseData?.(controller, chunk), fail),
        )
        found.on('end', () => {
          if (isOver) return
          isOver = true
          socket?.destroy()
          handler.onResponseEnd?.(controller, found.trailers)
        })
      }

      const sendBody = (asked: ClientRequest, from: Readable) => {
        from.on(
          'data',
          guarded((chunk: Buffer) => {
            if (asked.write(chunk)) return
            from.pause()
            asked.once('drain', () => from.resume())
          }, fail),
        )
        from.on(
          'end',
          guarded(() => {
            asked.addTrailers(trailersOf(request.rawTrailers, announced))
            asked.end()
          }, fail),
        )
      }

      handler.onRequestStart?.(controller, undefined)
      // From the beginning: the body can fail before there is a connection.
      ;(body as Readable).on('error', fail)
      connect().then(guarded(send, fail), fail)
      return true
    },
  }
}

/** Names and values for a body in chunks: the client may have sent its length over HTTP/2. */
function framed(headers: readonly string[]): string[] {
  const passed: string[] = []
  for (let at = 0; at < headers.length; at += 2)
    if ((headers[at] as string).toLowerCase() !== 'content-length')
      passed.push(headers[at] as string, headers[at + 1] as string)
  return [...passed, 'transfer-encoding', 'chunked']
}

/** Returns the trailers that were announced. Others are dropped: an upstream would not expect them. */
function trailersOf(raw: readonly string[], announced: readonly string[]): [string, string][] {
  const trailers: [string, string][] = []
  for (let at = 0; at < raw.length; at += 2)
    if (announced.includes((raw[at] as string).toLowerCase())) trailers.push([raw[at] as string, raw[at + 1] as string])
  return trailers
}
