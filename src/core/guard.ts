// An uncaught exception in a timer, a listener or an unawaited promise ends the program. Every such callback that a peer can
// trigger is guarded: an exception ends only the request or connection that the callback belongs to.

/** Wraps a callback so that exceptions and rejections are passed to `fail`. `fail` must not throw. */
export function guarded<Arguments extends readonly unknown[]>(
  callback: (...given: Arguments) => unknown,
  fail: (error: Error) => void,
): (...given: Arguments) => void {
  const failed = (error: unknown) =>
    fail(error instanceof Error ? error : new Error('a value that is not an Error was thrown', { cause: error }))
  return (...given) => {
    try {
      const result = callback(...given)
      if (result instanceof Promise) result.catch(failed)
    } catch (error) {
      failed(error)
    }
  }
}

/** A logger, such as that of pino or Fastify. */
export interface ErrorLog {
  error(facts: object, message: string): void
}

/** Logs an unexpected exception. Never throws, so that a failing log does not cause a second exception. */
export function logError(log: ErrorLog, error: unknown, message: string, facts: object = {}): void {
  try {
    log.error({ err: error, ...facts }, message)
  } catch {}
}

/**
 * Wraps a callback so that exceptions and rejections are logged with this message. Then `end` is called with the arguments of the
 * callback, to close the request or connection. `end` must not throw.
 */
export function guardedWithLog<Arguments extends readonly unknown[]>(
  log: ErrorLog,
  message: string,
  callback: (...given: Arguments) => unknown,
  end: (...given: Arguments) => void = () => {},
): (...given: Arguments) => void {
  return (...given) =>
    guarded(callback, error => {
      logError(log, error, message)
      end(...given)
    })(...given)
}
