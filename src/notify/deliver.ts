// One attempt to deliver a notification: a POST on its own TLS connection, whose certificate is always verified. No redirect
// is followed and no proxy is used. Only the status and Retry-After of the response count.
import { lookup as dnsLookup } from 'node:dns'
import { readRetryAfter } from '../client/backoff.ts'
import type { OutgoingError } from '../outgoing/failure.ts'
import { requestOnce } from '../outgoing/request.ts'
import { InternalAddress, isInternalHost, refuseInternal } from './internal-address.ts'
import type { Receiver } from './receiver.ts'
import { signNotification } from './signature.ts'

/** A receiver with the PEM authorities for its certificate; undefined: the defaults of Node. */
export interface Address extends Pick<Receiver, 'url' | 'secrets' | 'allowInternal'> {
  readonly ca: string | undefined
}

/** `problem`: the status, or an error code. `retryAfter`: milliseconds. */
export type Delivery =
  | { readonly outcome: 'done' }
  | {
      readonly outcome: 'gone' | 'internal' | 'failed'
      readonly problem: string
      readonly retryAfter?: number | undefined
    }

/** Octets of a response body that are read and ignored. */
const largestAnswer = 16_384

export interface Attempt {
  /** Seconds since 1970. */
  readonly timestamp: number
  /** Milliseconds from the DNS lookup to the end of the response. */
  readonly timeout: number
  /** Aborts the attempt. */
  readonly signal: AbortSignal
}

/** Delivers a notification. Never rejects. */
export async function deliver(
  { url, secrets, ca, allowInternal }: Address,
  notification: { readonly id: string; readonly body: string },
  { timestamp, timeout, signal }: Attempt,
): Promise<Delivery> {
  if (!allowInternal && isInternalHost(url)) return { outcome: 'internal', problem: 'InternalAddress' }
  const body = Buffer.from(notification.body)
  const headers = {
    'content-type': 'application/json',
    'content-length': String(body.length),
    ...signNotification(notification, timestamp, secrets),
  }
  const deadlines = { connect: timeout, handshake: timeout, head: timeout, whole: timeout }
  const lookup = allowInternal ? undefined : refuseInternal(dnsLookup)
  let delivery: Delivery | undefined
  try {
    await requestOnce(url, { method: 'POST', headers, body, ca, lookup, deadlines, signal }, async answer => {
      delivery = evaluate(answer.status, answer.headers)
      let left = largestAnswer
      for await (const chunk of answer.body) {
        left -= chunk.length
        if (left < 0) break
      }
    })
  } catch (error) {
    delivery ??= explain(error as OutgoingError) // a received status counts even if the body fails
  }
  return delivery as Delivery
}

/** `problem` is the code of the operating system or of TLS, if there is one. */
function explain({ code, cause }: OutgoingError): Delivery {
  if (cause instanceof InternalAddress) return { outcome: 'internal', problem: cause.name }
  return { outcome: 'failed', problem: (cause as NodeJS.ErrnoException | undefined)?.code ?? code }
}

function evaluate(
  status: number,
  headers: { readonly 'retry-after'?: string | undefined; readonly date?: string | undefined },
): Delivery {
  if (status >= 200 && status < 300) return { outcome: 'done' }
  const retryAfter = readRetryAfter(headers['retry-after'], headers.date)
  return { outcome: status === 410 ? 'gone' : 'failed', problem: String(status), retryAfter }
}
