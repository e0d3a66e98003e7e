// One attempt to deliver a notification: a POST on a TLS connection of its own, whose certificate is always verified. No
// redirect is followed, no proxy is used, and of the answer nothing counts but its status and Retry-After.
import { lookup as dnsLookup } from 'node:dns'
import { readRetryAfter } from '../client/backoff.ts'
import type { OutgoingError } from '../outgoing/failure.ts'
import { requestOnce } from '../outgoing/request.ts'
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

/** Octets of an answer's body that are read, for the sake of the receiver; they are ignored. */
const largestAnswer = 16_384

export interface Attempt {
  /** Seconds since 1970. */
  readonly timestamp: number
  /** Milliseconds from the look-up of the name to the end of the answer. */
  readonly timeout: number
  /** Ends it. */
  readonly signal: AbortSignal
}

/** Never rejects. */
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
      delivery = judge(answer.status, answer.headers)
      let left = largestAnswer
      for await (const chunk of answer.body) {
        left -= chunk.length
        if (left < 0) break
      }
    })
  } catch (error) {
    delivery ??= explain(error as OutgoingError) // a status that was seen counts, however its answer ends
  }
  return delivery as Delivery
}

/** `problem` is the code of the operating system or of TLS, where there is one. */
function explain({ code, cause }: OutgoingError): Delivery {
  if (cause instanceof InternalAddress) return { outcome: 'internal', problem: cause.name }
  return { outcome: 'failed', problem: (cause as NodeJS.ErrnoException | undefined)?.code ?? code }
}

function judge(
  status: number,
  headers: { readonly 'retry-after'?: string | undefined; readonly date?: string | undefined },
): Delivery {
  if (status >= 200 && status < 300) return { outcome: 'done' }
  const retryAfter = readRetryAfter(headers['retry-after'], headers.date)
  return { outcome: status === 410 ? 'gone' : 'failed', problem: String(status), retryAfter }
}
