// Channels to other origins than the client's own: to an issuer that has its own address. One for each, opened anew when
// it has ended.
import type { BoundChannel } from '../connection/channel.ts'
import type { Credentials } from '../identity.ts'

export interface Links {
  /** @throws ClientError (rejects) when it cannot be opened. */
  to(origin: string, credentials: Credentials): Promise<BoundChannel>
  close(): Promise<void>
}

export function createLinks(open: (origin: string, credentials: Credentials) => Promise<BoundChannel>): Links {
  /** One after the other for each origin, so that nobody opens what another one is opening. */
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
