// Sends the watchers of the live page the full state once, then the changes, at most once a second. Without watchers,
// events are only counted. A watcher that reads too slowly is disconnected; its page reconnects.
import { Readable } from 'node:stream'
import { guardedWithLog } from '../core/guard.ts'
import { describeConnections } from './live-connections.ts'
import { collectRefusals, collectThefts } from './live-refusals.ts'
import { createStatus } from './live-status.ts'
import type { OpsParts } from './parts.ts'

/** Milliseconds between two updates. */
const pause = 1000

/** Maximum number of connections shown, the newest ones. All are counted. */
const maximumShown = 60

/** Maximum characters buffered for a slow reader. */
const maximumBacklog = 4_194_304

export interface Feed {
  /** Returns a stream of JSON lines until it is destroyed. */
  watch(): Readable
  watchers(): number
  close(): void
}

interface Changes {
  /** New and changed connections, as JSON. */
  readonly changed: readonly string[]
  /** Closed connections. */
  readonly gone: readonly number[]
  /** Open connections that are no longer shown, because there are too many newer ones. */
  readonly overtaken: readonly number[]
}

export function createFeed(parts: OpsParts): Feed {
  const { tls, audit, log, now, playThefts } = parts
  const connections = parts.connections ?? describeConnections(tls?.connections ?? new Set())
  const refusals = collectRefusals(audit)
  const thefts = collectThefts(audit)
  const status = createStatus(parts)
  const watchers = new Set<Readable>()
  /** What the watchers have received: connections by number, counts and status, and the numbers of the latest events. */
  let shown = new Map<number, string>()
  let toldState = ''
  let sent = { refused: 0, suspected: 0 }
  let timer: NodeJS.Timeout | undefined

  /** Reads the connections again, and returns what has changed. */
  function look(): Changes {
    const before = shown
    shown = new Map(connections.newest(maximumShown, now()).map(({ id, text }) => [id, text]))
    const changed = [...shown].filter(([id, text]) => before.get(id) !== text).map(([, text]) => text)
    const left = [...before.keys()].filter(id => !shown.has(id))
    return {
      changed,
      gone: left.filter(id => !connections.isOpen(id)),
      overtaken: left.filter(id => connections.isOpen(id)),
    }
  }

  function readState(): object {
    const counts = { total: connections.total(), refused: refusals.count(), suspected: thefts.count() }
    return { ...counts, status: status() }
  }

  function update(): void {
    const changes = look()
    const state = readState()
    const text = JSON.stringify(state)
    if (changes.changed.length + changes.gone.length === 0 && text === toldState) return
    const line = write(changes, state, sent)
    toldState = text
    sent = { refused: refusals.count(), suspected: thefts.count() }
    for (const watcher of watchers) {
      if (watcher.readableLength > maximumBacklog) watcher.destroy()
      else watcher.push(line)
    }
  }

  function endAll(): void {
    for (const watcher of watchers) watcher.destroy()
  }

  /** Writes a line, with the refusals and thefts after the `seen` ones. */
  function write({ changed, ...left }: Changes, state: object, seen: typeof sent): string {
    const latest = { refusals: refusals.since(seen.refused), thefts: thefts.since(seen.suspected) }
    const rest = JSON.stringify({ ...state, ...left, ...latest })
    return `{"connections":[${changed.join()}],${rest.slice(1)}\n`
  }

  return {
    watchers: () => watchers.size,
    watch() {
      update() // brings the other watchers up to date, so that all continue from the same state
      const watcher = new Readable({ read() {} })
      const everything = { changed: [...shown.values()], gone: [], overtaken: [] }
      const state = { canPlay: playThefts !== undefined, ...readState() }
      watcher.push(write(everything, state, { refused: 0, suspected: 0 }))
      watchers.add(watcher)
      timer ??= setInterval(guardedWithLog(log, 'unhandled error on the live page', update, endAll), pause)
      watcher.once('close', () => {
        watchers.delete(watcher)
        if (watchers.size > 0) return
        clearInterval(timer)
        timer = undefined
        shown = new Map()
      })
      return watcher
    },
    close() {
      for (const watcher of watchers) watcher.push(null)
    },
  }
}
