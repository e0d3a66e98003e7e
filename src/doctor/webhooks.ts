// Webhooks: whether each address resolves, is allowed, and has a trusted certificate. Sends no notification.
import { lookup } from 'node:dns'
import { InternalAddress, refuseInternal } from '../notify/internal-address.ts'
import type { KnownReceiver } from '../notify/line.ts'
import { connectTls } from '../outgoing/connect.ts'
import { OutgoingError } from '../outgoing/failure.ts'
import { readWebhooksFile } from '../process/files.ts'
import type { Settings } from '../settings/settings.ts'
import { type Finding, failure, failuresOf, good } from './finding.ts'

/** Checks the receivers. Rejects with every problem of the list. */
export async function checkWebhooks({ webhooksFile: file }: Settings, isOnline: boolean): Promise<Finding[]> {
  if (file === undefined) return [good('not configured: no receiver is notified')]
  const receivers = readWebhooksFile(file)
  if (receivers.length === 0) return [good(`${file}: the list is empty, so no receiver is notified`)]
  return Promise.all(receivers.map(receiver => (isOnline ? checkReceiver(receiver) : describe(receiver))))
}

function describe({ url, events }: KnownReceiver): Finding {
  return good(`${url.host}: is notified of ${[...events].join(', ')}`)
}

async function checkReceiver(receiver: KnownReceiver): Promise<Finding> {
  const { url, ca, allowInternal } = receiver
  try {
    const socket = await connectTls({
      host: url.hostname.replace(/^\[|\]$/g, ''),
      port: Number(url.port || 443),
      address: url.host,
      ...(ca !== undefined && { ca }),
      ...(!allowInternal && { lookup: refuseInternal(lookup) }),
    })
    socket.destroy()
    return good(`${describe(receiver).found}; it is reachable`)
  } catch (error) {
    if (error instanceof OutgoingError && error.cause instanceof InternalAddress) {
      const found = `${url.host}: has an internal address, to which no notifications are sent`
      return failure(found, 'set allow_internal: true if this is intended')
    }
    return failuresOf(error)[0] as Finding
  }
}
