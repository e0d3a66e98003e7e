// A port for a server that must know its port before it listens, such as one whose issuer names it.
import { once } from 'node:events'
import { createServer } from 'node:net'

/** Below the ports that operating systems give to outgoing connections and to servers that listen on port 0. */
const range = { first: 12_000, count: 20_000 }

/** Returns an unused port of 127.0.0.1. No other process gets it by chance, unless it calls this function too. */
export async function findFreePort(): Promise<number> {
  for (let attempt = 1; ; attempt++) {
    const port = range.first + Math.floor(Math.random() * range.count)
    const probe = createServer()
    try {
      await once(probe.listen(port, '127.0.0.1'), 'listening')
    } catch (error) {
      if (attempt === 100) throw error
      continue
    }
    await once(probe.close(), 'close')
    return port
  }
}
