// What the watchers of the page are told: everything once, then what has changed, at most once a second. Nobody watches:
// nothing is done. Somebody reads too slowly: their page ends, and begins anew.
import { Readable } from 'node:stream'
import { guardedWithLog } from '../core/guard.ts'
import type { Connection } from '../tls/connection.ts'
import { createDescriber } from './live-connections.ts'
import { keepRefusals } from './live-refusals.ts'
import type { OpsParts } from './parts.ts'

/** Milliseconds between two updates. */
const pause = 1000

/** The newest connections are shown, as many as somebody can look at, and all counted. */
const maximumShown = 60

/** Of a flood of refusals, how many go into one update. */
const maximumRefusals = 20

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

export function createFeed({ tls, audit, log, now, playThefts }: OpsParts): Feed {
  const describe = createDescriber()
  const refusals = keepRefusals(audit)
  const watchers = new Set<Readable>()
  /** What the watchers know: connections by number, as they were told. */
  let shown = new Map<number, Told>()
  let toldTotal = 0
  let toldRefusals = 0
  let timer: NodeJS.Timeout | undefined

  /** Reads the connections anew, and tells what is not as it was. */
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

  function update(): void {
    const changes = look()
    const [total, refused] = [tls?.connections.size ?? 0, refusals.count()]
    if (changes.changed.length + changes.gone.length === 0 && total === toldTotal && refused === toldRefusals) return
    const line = write(changes, refusals.since(toldRefusals, maximumRefusals))
    ;[toldTotal, toldRefusals] = [total, refused]
    for (const watcher of watchers) {
      if (watcher.readableLength > maximumBacklog) watcher.destroy()
      else watcher.push(line)
    }
  }

  function endAll(): void {
    for (const watcher of watchers) watcher.destroy()
  }

  function write({ changed, ...left }: Changes, refused: readonly object[], more = {}): string {
    const counts = { total: tls?.connections.size ?? 0, refused: refusals.count() }
    const rest = JSON.stringify({ ...more, ...counts, ...left, refusals: refused })
    return `{"connections":[${changed.join()}],${rest.slice(1)}\n`
  }

  return {
    watchers: () => watchers.size,
    watch() {
      update() // the others hear of what has changed until now, and all go on from there
      const watcher = new Readable({ read() {} })
      const everything = { changed: [...shown.values()].map(({ text }) => text), gone: [], overtaken: [] }
      watcher.push(write(everything, refusals.since(0), { canPlay: playThefts !== undefined }))
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
