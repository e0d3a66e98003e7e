// The assertions of the store contract, on those of Node, so that the contract needs no test runner.
import assert from 'node:assert/strict'

export interface Assertions<Context> {
  /** What the test runner gave. */
  readonly context: Context
  equal(found: unknown, wanted: unknown, message?: string): void
  /** Compares values with all that they contain. */
  same(found: unknown, wanted: unknown, message?: string): void
  /** Compares the members that `wanted` has. A regular expression matches a text, `Number` any number. */
  match(found: unknown, wanted: unknown, message?: string): void
  ok(found: unknown, message?: string): void
  rejects(promise: Promise<unknown>, wanted: object, message?: string): Promise<void>
  resolves(promise: Promise<unknown>, message?: string): Promise<void>
}

export const assertions: Omit<Assertions<never>, 'context'> = {
  equal: (found, wanted, message) => assert.equal(found, wanted, message),
  same: (found, wanted, message) => assert.deepEqual(normalize(found), normalize(wanted), message),
  match: (found, wanted, message) => {
    if (!matches(found, wanted))
      assert.fail(
        new assert.AssertionError({
          message: message ?? 'does not match',
          actual: found,
          expected: wanted,
          operator: 'match',
        }),
      )
  },
  ok: (found, message) => assert.ok(found, message),
  async rejects(promise, wanted, message) {
    const error = await promise.then(
      () => assert.fail(`${message ?? 'it'} resolves, and must reject`),
      error => error as unknown,
    )
    const isWanted = typeof wanted === 'function' ? error instanceof wanted : matches(error, wanted)
    if (!isWanted)
      throw new assert.AssertionError({
        message: message ?? 'another rejection',
        actual: error,
        expected: wanted,
        operator: 'rejects',
      })
  },
  async resolves(promise, message) {
    await promise.catch(error => assert.fail(`${message ?? 'it'} rejects, and must resolve: ${error}`))
  },
}

/** Without prototypes and absent members, which a store may lose. */
function normalize(value: unknown): unknown {
  return value === undefined ? undefined : JSON.parse(JSON.stringify(value))
}

function matches(found: unknown, wanted: unknown): boolean {
  if (wanted instanceof RegExp) return wanted.test(String(found))
  if (wanted === Number) return typeof found === 'number'
  if (Array.isArray(wanted))
    return (
      Array.isArray(found) && found.length === wanted.length && wanted.every((each, at) => matches(found[at], each))
    )
  if (typeof wanted === 'object' && wanted !== null)
    return (
      typeof found === 'object' &&
      found !== null &&
      Object.entries(wanted).every(([name, each]) => matches((found as Record<string, unknown>)[name], each))
    )
  return Object.is(found, wanted)
}
