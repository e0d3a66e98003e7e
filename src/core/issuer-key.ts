// Finds keys of an external issuer that cannot verify its tokens, by use, operations, algorithm and curve (RFC 7517 §4,
// RFC 7518 §3.1).

/** Explains why a key cannot verify tokens that are signed with these algorithms; undefined if it can. */
function findKeyProblem(key: unknown, algorithms: readonly string[]): string | undefined {
  const { alg, kty, crv, use, key_ops: operations } = (key ?? {}) as Readonly<Record<string, unknown>>
  if (use !== undefined && use !== 'sig') return 'its use is not sig'
  if (operations !== undefined && !(Array.isArray(operations) && operations.includes('verify')))
    return 'its key_ops do not contain verify'
  const fitting = kty === 'RSA' ? rsaAlgorithms : [curves.get(crv) ?? '']
  if (!fitting.some(name => algorithms.includes(name))) return 'its kind is for none of the allowed algorithms'
  if (alg === undefined) return undefined
  if (typeof alg !== 'string' || !algorithms.includes(alg)) return 'its alg is not one of the allowed algorithms'
  return fitting.includes(alg) ? undefined : 'its alg does not fit its kind'
}

/** Explains why none of these keys can verify a token; undefined if at least one can. */
export function findKeySetProblem(
  keys: readonly unknown[],
  algorithms: readonly string[],
): { readonly found: string; readonly remedy: string } | undefined {
  const problems = keys.map(key => findKeyProblem(key, algorithms))
  if (problems.includes(undefined)) return undefined
  const each = keys.map((key, index) => `${describeKey(key)}: ${problems[index]}`)
  return {
    found: `no key verifies a token: ${each.join('; ') || 'there is none'}`,
    remedy: `give algorithms that its keys are for; allowed are ${algorithms.join(', ')}`,
  }
}

/** Describes a key without any secret member. */
export function describeKey(key: unknown): string {
  const { kid, alg, kty, crv } = (key ?? {}) as Readonly<Record<string, unknown>>
  const text = (value: unknown) => (typeof value === 'string' ? value.slice(0, 100) : undefined)
  return `${text(kid) ?? '(no kid)'} ${text(alg) ?? [text(kty), text(crv)].filter(part => part).join(' ')}`.trim()
}

const rsaAlgorithms: readonly string[] = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512']

/** The one algorithm of a curve (RFC 7518 §3.4, RFC 8037 §3.1). */
const curves: ReadonlyMap<unknown, string> = new Map([
  ['P-256', 'ES256'],
  ['P-384', 'ES384'],
  ['P-521', 'ES512'],
  ['Ed25519', 'EdDSA'],
])
