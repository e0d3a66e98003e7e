// How a key of an issuer is named in what people read.

/** Describes a key without any secret member. */
export function describeKey(key: unknown): string {
  const { kid, alg, kty, crv } = (key ?? {}) as Readonly<Record<string, unknown>>
  const text = (value: unknown) => (typeof value === 'string' ? value.slice(0, 100) : undefined)
  return `${text(kid) ?? '(no kid)'} ${text(alg) ?? [text(kty), text(crv)].filter(part => part).join(' ')}`.trim()
}
