// An exception that nothing catches, in a timer or a listener, ends the whole program. Each such callback that a peer can
// set off is guarded: what it throws ends the one request or connection that it belongs to.

/** Wraps a callback: what it throws goes to `fail`, which must not throw. */
export function guarded<Arguments extends readonly unknown[]>(
  callback: (...given: Arguments) => unknown,
  fail: (error: Error) => void,
): (...given: Arguments) => void {
  return (...given) => {
    try {
      callback(...given)
    } catch (error) {
      fail(error instanceof Error ? error : new Error('not an error was thrown', { cause: error }))
    }
  }
}
