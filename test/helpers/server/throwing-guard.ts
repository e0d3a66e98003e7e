// Loaded before anything else (--import): puts a guard into the place of src/core/guard.ts that throws where a test wants,
// as if the guarded callback had. Places are known by the lines of the source that they are made on.
import { registerHooks } from 'node:module'

export interface Guards {
  /** The places whose callback has been called. */
  readonly called: Set<string>
  /** Where the next call throws; each does so once. */
  readonly armed: Set<string>
}

const guards: Guards = { called: new Set(), armed: new Set() }
Object.assign(globalThis, { guards })

registerHooks({
  load: (url, context, next) =>
    url.endsWith('/src/core/guard.ts')
      ? { format: 'module', shortCircuit: true, source: `export ${guarded.toString()}` }
      : next(url, context),
})

/** As src/core/guard.ts has it, but for what it throws by itself. Becomes source text, so it uses nothing from here. */
function guarded(callback: (...given: unknown[]) => unknown, fail: (error: Error) => void) {
  const { guards } = globalThis as unknown as { guards: Guards }
  const lines = new Error().stack?.split('\n').slice(2, 4) ?? []
  const place = lines.map(line => /src\/(\S+?):(\d+):\d+\)?$/.exec(line)?.slice(1, 3).join(':') ?? '').join(' ')
  return (...given: unknown[]) => {
    guards.called.add(place)
    try {
      if (guards.armed.delete(place)) throw new Error('thrown by the test')
      callback(...given)
    } catch (error) {
      fail(error as Error)
    }
  }
}
