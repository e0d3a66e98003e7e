// An exception that nothing catches, in a timer, a listener or an unawaited promise, ends the whole program. Each
// such callback that a peer can set off is guarded: what it throws ends the one request or connection that it belongs to.

/** Wraps a callback: what it throws, or rejects with, goes to `fail`, which must not throw. */
export function guarded<Arguments extends readonly unknown[]>(
  callback: (...given: Arguments) => unknown,
  fail: (error: Error) => void,
): (...given: Arguments) => void {
  const failed = (error: unknown) =>
    fail(error instanceof Error ? error : new Error('not an error was thrown', { cause: error }))
  return (...given) => {
    try {
      const result = callback(...given)
      if (result instanceof Promise) result.catch(failed)
    } catch (error) {
      failed(error)
    }
  }
}

/** What writes errors down, such as a logger of pino or Fastify. */
export interface ErrorLog {
  error(facts: object, message: string): void
}

/** Logs an unexpected exception. Never throws: a log that fails makes no second exception of the first. */
export function logError(log: ErrorLog, error: unknown, message: string, facts: object = {}): void {
  try {
    log.error({ err: error, ...facts }, message)
  } catch {}
}

/**
 * Wraps a callback: what it throws, or rejects with, is logged with this message, and `end` ends what it belongs to, by what the
 * callback was given. `end` must not throw.
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
