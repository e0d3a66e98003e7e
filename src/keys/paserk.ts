// Keys of PASETO as text (PASERK): the public key, and the id that a footer names it by. The id is a hash with BLAKE2b, which neither
// OpenSSL nor Node computes at this length, so it is loaded only where a key of this kind is.

/** Serializes a public key of 32 octets as `k4.public.…`. `x`: the key in base64url, as in a JWK (RFC 8037 §2). */
export function paserkOf(x: string): string {
  return `k4.public.${x}`
}

/** Computes the id `k4.pid.…` of a public key (PASERK: ID). `x`: the key in base64url. */
export async function paserkIdOf(x: string): Promise<string> {
  const { blake2b } = await import('@noble/hashes/blake2.js')
  const type = 'k4.pid.'
  const hash = blake2b(Buffer.from(`${type}${paserkOf(x)}`), { dkLen: 33 })
  return `${type}${Buffer.from(hash).toString('base64url')}`
}
