// The signals of a program that runs until a signal ends it. They are caught from its first tick on: before, SIGHUP would end it, and
// the system ignores SIGTERM for the first process of a container.
export type EndSignal = 'SIGTERM' | 'SIGINT'

/** Milliseconds that a start under way has to complete after a signal. */
const startTimeout = 8000

/**
 * Milliseconds in which a signal counts once: npm passes on what a terminal has sent to the program too. Later, the same signal ends the
 * program at once.
 */
const repeats = 1000

interface Caught {
  ended: EndSignal | undefined
  isReloadDue: boolean
  end: (signal: EndSignal) => void
  reload: () => void
}

let caught: Caught | undefined

/** Catches the signals. What they ask for is done when the start is complete. Called again, it does nothing. `reloads`: SIGHUP too. */
export function catchSignals(reloads = true): void {
  if (caught !== undefined) return
  const state: Caught = {
    ended: undefined,
    isReloadDue: false,
    end: () => void setTimeout(() => process.exit(), startTimeout).unref(), // with the code of a start that has failed
    reload() {
      state.isReloadDue = true
    },
  }
  caught = state
  if (reloads) process.on('SIGHUP', () => state.reload())
  for (const signal of ['SIGTERM', 'SIGINT'] as const)
    process.once(signal, () => {
      const ignore = () => {}
      process.on(signal, ignore)
      setTimeout(() => process.off(signal, ignore), repeats).unref()
      state.ended ??= signal
      state.end(signal)
    })
}

/** Sets what SIGTERM and SIGINT do from now on. It is called at once for a signal that came before. It must not throw. */
export function onEndSignal(end: (signal: EndSignal) => void): void {
  catchSignals(false)
  const { ended } = caught as Caught
  ;(caught as Caught).end = end
  if (ended !== undefined) end(ended)
}

/** Sets what SIGHUP does from now on. It is called at once if one came before. It must not throw. */
export function onReloadSignal(reload: () => void): void {
  const { isReloadDue } = caught as Caught
  ;(caught as Caught).reload = reload
  if (isReloadDue) reload()
}
