// Channels to origins other than the client's own, for an issuer with its own address. One per origin, reopened after
// it has ended.
import type { BoundChannel } from '../connection/channel.ts'
import type { Credentials } from '../identity.ts'

export interface Links {
  /** Returns a channel to an origin. @throws ClientError (rejects) when it cannot be opened. */
  to(origin: string, credentials: Credentials): Promise<BoundChannel>
  close(): Promise<void>
}

export function createLinks(open: (origin: string, credentials: Credentials) => Promise<BoundChannel>): Links {
  /** Chained per origin, so that no channel is opened twice. */
  const channels = new Map<string, Promise<BoundChannel | undefined>>()
  return {
    to(origin, credentials) {
      const before = channels.get(origin) ?? Promise.resolve(undefined)
      const channel = before.then(found => {
        if (found?.open === true && found.credentials === credentials) return found
        void found?.close()
        return open(origin, credentials)
      })
      channels.set(
        origin,
        channel.catch(() => undefined),
      )
      return channel
    },
    async close() {
      for (const channel of channels.values()) await (await channel)?.close()
    },
  }
}
