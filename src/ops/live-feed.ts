// What the watchers of the page are told: everything once, then what has changed, at most once a second. Nobody watches:
// nothing is done. Somebody reads too slowly: their page ends, and begins anew.
import { Readable } from 'node:stream'
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

export function createFeed({ tls, audit, now, playThefts }: OpsParts): Feed {
  const describe = createDescriber()
  const refusals = keepRefusals(audit)
  const watchers = new Set<Readable>()
  /** What the watchers know: connections by number, as they were told. */
  let shown = new Map<number, string>()
  let toldTotal = 0
  let toldRefusals = 0
  let timer: NodeJS.Timeout | undefined

  /** Reads the connections anew; tells which have changed and which are gone. */
  function look(): { changed: string[]; gone: number[] } {
    const time = now()
    const before = shown
    shown = new Map()
    for (const connection of [...(tls?.connections ?? [])].slice(-maximumShown)) {
      const description = describe(connection, time)
      shown.set(description.id, JSON.stringify(description))
    }
    return {
      changed: [...shown].filter(([id, text]) => before.get(id) !== text).map(([, text]) => text),
      gone: [...before.keys()].filter(id => !shown.has(id)),
    }
  }

  function update(): void {
    const { changed, gone } = look()
    const [total, refused] = [tls?.connections.size ?? 0, refusals.count()]
    if (changed.length + gone.length === 0 && total === toldTotal && refused === toldRefusals) return
    const line = write(changed, gone, refusals.since(toldRefusals, maximumRefusals))
    ;[toldTotal, toldRefusals] = [total, refused]
    for (const watcher of watchers) {
      if (watcher.readableLength > maximumBacklog) watcher.destroy()
      else watcher.push(line)
    }
  }

  function write(changed: readonly string[], gone: readonly number[], refused: readonly object[], more = {}): string {
    const counts = { total: tls?.connections.size ?? 0, refused: refusals.count() }
    const rest = JSON.stringify({ ...more, ...counts, gone, refusals: refused })
    return `{"connections":[${changed.join()}],${rest.slice(1)}\n`
  }

  return {
    watchers: () => watchers.size,
    watch() {
      update() // the others hear of what has changed until now, and all go on from there
      const watcher = new Readable({ read() {} })
      watcher.push(write([...shown.values()], [], refusals.since(0), { canPlay: playThefts !== undefined }))
      watchers.add(watcher)
      timer ??= setInterval(update, pause)
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
