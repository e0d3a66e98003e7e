// A value that is there at once or later. Most requests need no promise, and one for each request costs throughput (measured).
// So a value that is there is used synchronously.

/**
 * Calls `use` with the value that `get` returns, or with the one that its promise resolves to. Returns a promise only in the
 * second case. What either throws, or the promise rejects with, goes to `fail`. Default: it is thrown again.
 */
export function whenReady<T, R>(
  get: () => T | Promise<T>,
  use: (value: T) => R,
  fail: (error: unknown) => R = rethrow,
): R | Promise<Awaited<R>> {
  try {
    const value = get()
    return value instanceof Promise ? (value.then(use).catch(fail) as Promise<Awaited<R>>) : use(value)
  } catch (error) {
    return fail(error)
  }
}

function rethrow(error: unknown): never {
  throw error
}
