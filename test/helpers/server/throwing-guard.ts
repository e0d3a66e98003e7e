// Loaded first (--import): replaces src/core/guard.ts with a guard that throws at selected places, as if the guarded callback
// had. Places are the source lines at which guards are created.
import { registerHooks } from 'node:module'

export interface Guards {
  /** The places whose callback was called. */
  readonly called: Set<string>
  /** The places whose next call throws, once each. */
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

/** As in src/core/guard.ts, except for the thrown errors. It becomes source text, so it uses nothing from here. */
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
