// Sends the watchers of the live page everything once, then what has changed, at most once a second. While nobody watches,
// events are counted and nothing else is done. A watcher that reads too slowly is disconnected, and its page connects again.
import { Readable } from 'node:stream'
import { guardedWithLog } from '../core/guard.ts'
import type { Connection } from '../tls/connection.ts'
import { createDescriber } from './live-connections.ts'
import { collectRefusals, collectThefts } from './live-refusals.ts'
import { createStatus } from './live-status.ts'
import type { OpsParts } from './parts.ts'

/** Milliseconds between two updates. */
const pause = 1000

/** The newest connections are shown, as many as somebody can look at, and all counted. */
const maximumShown = 60

/** Characters that wait for a slow reader. */
const maximumBacklog = 4_194_304

export interface Feed {
  /** Lines of JSON, from now on until the stream is destroyed. */
  watch(): Readable
  watchers(): number
  close(): void
}

/** A connection as it was told last. */
interface Told {
  readonly connection: Connection
  readonly text: string
}

interface Changes {
  /** Descriptions of connections that are new or not as they were, as JSON. */
  readonly changed: readonly string[]
  /** Those that have ended. */
  readonly gone: readonly number[]
  /** Those that live on, and are shown no longer because there are so many newer ones. */
  readonly overtaken: readonly number[]
}

export function createFeed(parts: OpsParts): Feed {
  const { tls, audit, log, now, playThefts } = parts
  const describe = createDescriber()
  const refusals = collectRefusals(audit)
  const thefts = collectThefts(audit)
  const status = createStatus(parts)
  const watchers = new Set<Readable>()
  /** What the watchers know: connections by number, as they were told; counts and status; numbers of the latest events. */
  let shown = new Map<number, Told>()
  let toldState = ''
  let told = { refused: 0, suspected: 0 }
  let timer: NodeJS.Timeout | undefined

  /** Reads the connections anew, and returns what is not as it was. */
  function look(): Changes {
    const time = now()
    const before = shown
    const newest = [...(tls?.connections ?? [])].slice(-maximumShown)
    shown = new Map(
      newest.map(connection => {
        const description = describe(connection, time)
        return [description.id, { connection, text: JSON.stringify(description) }]
      }),
    )
    const changed = [...shown].filter(([id, { text }]) => before.get(id)?.text !== text).map(([, { text }]) => text)
    const left = [...before].filter(([id]) => !shown.has(id))
    const find = (isLive: boolean) =>
      left.filter(([, { connection }]) => tls?.connections.has(connection) === isLive).map(([id]) => id)
    return { changed, gone: find(false), overtaken: find(true) }
  }

  function readState(): object {
    const counts = { total: tls?.connections.size ?? 0, refused: refusals.count(), suspected: thefts.count() }
    return { ...counts, status: status() }
  }

  function update(): void {
    const changes = look()
    const state = readState()
    const text = JSON.stringify(state)
    if (changes.changed.length + changes.gone.length === 0 && text === toldState) return
    const line = write(changes, state, told)
    toldState = text
    told = { refused: refusals.count(), suspected: thefts.count() }
    for (const watcher of watchers) {
      if (watcher.readableLength > maximumBacklog) watcher.destroy()
      else watcher.push(line)
    }
  }

  function endAll(): void {
    for (const watcher of watchers) watcher.destroy()
  }

  /** Writes a line, with the refusals and thefts after those that were `seen`. */
  function write({ changed, ...left }: Changes, state: object, seen: typeof told): string {
    const latest = { refusals: refusals.since(seen.refused), thefts: thefts.since(seen.suspected) }
    const rest = JSON.stringify({ ...state, ...left, ...latest })
    return `{"connections":[${changed.join()}],${rest.slice(1)}\n`
  }

  return {
    watchers: () => watchers.size,
    watch() {
      update() // the others hear of what has changed until now, and all go on from there
      const watcher = new Readable({ read() {} })
      const everything = { changed: [...shown.values()].map(({ text }) => text), gone: [], overtaken: [] }
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
