// Signs notifications, so that a receiver can verify their origin and freshness: the headers of the Standard Webhooks
// specification 1.0.0.
import { createHmac } from 'node:crypto'

/** Returns the headers with one signature for each secret. `timestamp`: of this attempt, in seconds since 1970. */
export function signNotification(
  { id, body }: { readonly id: string; readonly body: string },
  timestamp: number,
  secrets: readonly Buffer[],
): Readonly<Record<`webhook-${'id' | 'timestamp' | 'signature'}`, string>> {
  const sign = (secret: Buffer) => createHmac('sha256', secret).update(`${id}.${timestamp}.${body}`).digest('base64')
  return {
    'webhook-id': id,
    'webhook-timestamp': String(timestamp),
    'webhook-signature': secrets.map(secret => `v1,${sign(secret)}`).join(' '),
  }
}
