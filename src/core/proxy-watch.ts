// Recognizes a proxy that ends TLS where none is expected. Each client then seems to present its token from one other certificate, that
// of the proxy, or from none. That is one fault of the deployment, not the theft of each token, so that it is reported once.

/** The certificate that presents tokens of others; without one, the address. */
export interface Presented {
  readonly certificate: string | undefined
  readonly peer: string | undefined
}

/** What is known of a suspected proxy. */
export interface SuspectedProxy {
  /** Whether to report it now. */
  readonly isDue: boolean
  /** The number of clients whose tokens it presented, up to `longest.clients`. */
  readonly clients: number
  /** The number of signals since the last report. */
  readonly count: number
}

/** Seconds, and the number of clients within the first of them from which on a proxy is suspected. */
export const proxyLimits = { clients: 5, within: 60, quiet: 600, again: 3600 }

/** Bounds of the memory. Only valid tokens of this server get into it. */
const longest = { sources: 1000, clients: 1000 }

interface Source {
  readonly since: number
  readonly clients: Set<string>
  last: number
  count: number
  /** When it was reported; undefined: it is not suspected. */
  reported: number | undefined
}

/** Counts the clients of each source. One instance per server. */
export class ProxyWatch {
  readonly #sources = new Map<string, Source>()

  /**
   * Notes that a source presented a valid token of a client, at `now` in seconds since 1970. Returns undefined while it may be a thief:
   * then each token is a signal of its own.
   */
  note({ certificate, peer }: Presented, client: string, now: number): SuspectedProxy | undefined {
    const key = certificate ?? (peer && `address ${peer}`)
    if (key === undefined) return undefined
    const source = this.#find(key, now)
    source.last = now
    source.count++
    if (source.clients.size < longest.clients) source.clients.add(client)
    if (source.clients.size < proxyLimits.clients) return undefined
    const isDue = source.reported === undefined || now - source.reported >= proxyLimits.again
    const { count } = source
    if (isDue) [source.reported, source.count] = [now, 0]
    return { isDue, clients: source.clients.size, count }
  }

  #find(key: string, now: number): Source {
    const known = this.#sources.get(key)
    if (known !== undefined && now >= known.last) {
      const isCurrent =
        known.reported === undefined ? now - known.since < proxyLimits.within : now - known.last < proxyLimits.quiet
      if (isCurrent) return known
    }
    this.#sources.delete(key)
    if (this.#sources.size >= longest.sources) this.#sources.delete(this.#sources.keys().next().value as string) // the oldest
    const fresh: Source = { since: now, clients: new Set(), last: now, count: 0, reported: undefined }
    this.#sources.set(key, fresh)
    return fresh
  }
}
