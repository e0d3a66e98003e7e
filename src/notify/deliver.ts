// One attempt to deliver a notification: a POST on a TLS connection of its own, whose certificate is always verified. No
// redirect is followed, no proxy is used, and of the answer nothing counts but its status and Retry-After.
import { lookup } from 'node:dns'
import { type RequestOptions, request } from 'node:https'
import { readRetryAfter } from '../client/backoff.ts'
import { InternalAddress, isInternalHost, refuseInternal } from './internal-address.ts'
import type { Receiver } from './receiver.ts'
import { signNotification } from './signature.ts'

/** A receiver with the authorities for its certificate, PEM; undefined: Node's own. */
export interface Address extends Pick<Receiver, 'url' | 'secrets' | 'allowInternal'> {
  readonly ca: string | undefined
}

/** `problem`: the status, or the code of what went wrong. `retryAfter` in milliseconds. */
export type Delivery =
  | { readonly outcome: 'done' }
  | {
      readonly outcome: 'gone' | 'internal' | 'failed'
      readonly problem: string
      readonly retryAfter?: number | undefined
    }

const unanswered: Delivery = { outcome: 'failed', problem: 'closed' }

/** Octets of an answer's body that are read, for the sake of the receiver; nobody looks at them. */
const largestAnswer = 16_384

/** Interim answers (RFC 9110 §15.2) before the one that counts. */
const mostInterim = 10

export interface Attempt {
  /** Seconds since 1970. */
  readonly timestamp: number
  /** Milliseconds from the look-up of the name to the end of the answer. */
  readonly timeout: number
  /** Ends it. */
  readonly signal: AbortSignal
}

/** Never rejects. */
export function deliver(
  { url, secrets, ca, allowInternal }: Address,
  notification: { readonly id: string; readonly body: string },
  { timestamp, timeout, signal }: Attempt,
): Promise<Delivery> {
  if (!allowInternal && isInternalHost(url)) return Promise.resolve({ outcome: 'internal', problem: 'InternalAddress' })
  const body = Buffer.from(notification.body)
  const options: RequestOptions = {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      'content-length': body.length,
      'user-agent': 'tlsbound',
      ...signNotification(notification, timestamp, secrets),
    },
    agent: false, // the global one may use a proxy of the environment
    rejectUnauthorized: true, // whatever NODE_TLS_REJECT_UNAUTHORIZED says
    signal,
    ...(ca !== undefined && { ca }),
    ...(!allowInternal && { lookup: refuseInternal(lookup) }),
  }
  return new Promise(resolve => {
    let delivery = unanswered
    const outgoing = request(url, options, response => {
      delivery = judge(response.statusCode ?? 0, response.headers)
      let size = 0
      response.on('error', () => {}) // its status was seen, and that is all there is to it
      response.on('data', (chunk: Buffer) => {
        size += chunk.length
        if (size > largestAnswer) outgoing.destroy()
      })
    })
    let interim = 0
    outgoing.on('information', () => {
      if (++interim > mostInterim) outgoing.destroy()
    })
    const timer = setTimeout(() => {
      if (delivery === unanswered) delivery = { outcome: 'failed', problem: 'timeout' }
      outgoing.destroy()
    }, timeout)
    outgoing.on('error', error => {
      if (delivery !== unanswered) return
      if (error instanceof InternalAddress) delivery = { outcome: 'internal', problem: error.name }
      else delivery = { outcome: 'failed', problem: (error as NodeJS.ErrnoException).code ?? error.name }
    })
    outgoing.on('close', () => {
      clearTimeout(timer)
      resolve(delivery)
    })
    outgoing.end(body)
  })
}

function judge(
  status: number,
  headers: { readonly 'retry-after'?: string | undefined; readonly date?: string | undefined },
): Delivery {
  if (status >= 200 && status < 300) return { outcome: 'done' }
  const retryAfter = readRetryAfter(headers['retry-after'], headers.date)
  return { outcome: status === 410 ? 'gone' : 'failed', problem: String(status), retryAfter }
}
