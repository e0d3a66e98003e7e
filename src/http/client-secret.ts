// A secret on top of the client certificate, for those who come from Basic authentication (RFC 6749 §2.3.1).
// Kept as scrypt hashes; two are good at once, so that one can follow the other; guessing is slowed down for each client.
import { hash, randomBytes, scrypt, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'
import { OAuthError } from '../core/errors.ts'
import type { ClientSecret } from '../store/store.ts'

const stretch = promisify(scrypt) as (secret: Buffer, salt: Buffer, length: number, options: object) => Promise<Buffer>

/** OWASP's figures for scrypt: 32 MiB and about 80 ms for each try. */
const cost = { N: 2 ** 15, r: 8, p: 1, maxmem: 64 * 1024 * 1024 }

/** Not of the secret itself: to HMAC, and so to scrypt, one with NULs at its end is the same. */
function derive(secret: string, salt: Buffer): Promise<Buffer> {
  return stretch(hash('sha256', secret, 'buffer'), salt, 32, cost)
}

/** A failed try delays the next one for this client: 1 s, then twice as long each time, at most a minute. */
const delays = { first: 1000, longest: 60_000 }

/** Hashes a secret as it is kept: `scrypt$SALT$HASH`, base64url. */
export async function hashSecret(secret: string): Promise<string> {
  const salt = randomBytes(16)
  const derived = await derive(secret, salt)
  return `scrypt$${salt.toString('base64url')}$${derived.toString('base64url')}`
}

/** The id and secret of an `Authorization: Basic` header, decoded as RFC 6749 §2.3.1 says; undefined when it is not one. */
export function readBasic(authorization: string | undefined): { id: string; secret: string } | undefined {
  const encoded = /^basic ([A-Za-z0-9+/]+=*)$/i.exec(authorization ?? '')?.[1]
  const [, id, secret] = /^([^:]*):(.*)$/s.exec(Buffer.from(encoded ?? '', 'base64').toString()) ?? []
  if (id === undefined || secret === undefined) return undefined
  try {
    return { id: decodeForm(id), secret: decodeForm(secret) }
  } catch {
    return undefined
  }
}

/** One value of a form (RFC 6749 App. B). @throws URIError when it is not one. */
function decodeForm(text: string): string {
  if (text.includes('&')) throw new URIError('more than one value')
  return decodeURIComponent(text.replaceAll('+', ' '))
}

export class SecretChecker {
  readonly #failures = new Map<string, { count: number; until: number }>()
  /** The last try of each client that is under way, behind which the next one waits: many at once guess no faster. */
  readonly #tries = new Map<string, Promise<void>>()
  readonly #clock: () => number

  /** `clock` in milliseconds. */
  constructor(clock: () => number) {
    this.#clock = clock
  }

  /** Checks a client's secret against those it has. @throws OAuthError (rejects) `client_mismatch`. */
  async check(clientId: string, secret: string, known: readonly ClientSecret[]): Promise<void> {
    const before = this.#tries.get(clientId)?.catch(() => {})
    const turn = Promise.resolve(before).then(() => this.#try(clientId, secret, known))
    this.#tries.set(clientId, turn)
    try {
      await turn
    } finally {
      if (this.#tries.get(clientId) === turn) this.#tries.delete(clientId)
    }
  }

  async #try(clientId: string, secret: string, known: readonly ClientSecret[]): Promise<void> {
    const { count, until } = this.#failures.get(clientId) ?? { count: 0, until: 0 }
    const left = until - this.#clock()
    if (left > 0 && left <= delays.longest) throw mismatch('secret_delayed') // more is left only when the clock was put back
    if (secret.length <= 256 && (await matchesAny(secret, known))) return void this.#failures.delete(clientId)
    const wait = Math.min(delays.first * 2 ** count, delays.longest)
    this.#failures.set(clientId, { count: count + 1, until: this.#clock() + wait })
    throw mismatch('secret')
  }
}

/** Tries all, whatever the first gave, and one that is not there where there are none. */
async function matchesAny(secret: string, known: readonly ClientSecret[]): Promise<boolean> {
  const hashes = known.length > 0 ? known.map(secretOf => secretOf.hash) : ['scrypt$AAAAAAAAAAAAAAAAAAAAAA$']
  const matches = await Promise.all(
    hashes.map(async kept => {
      const [, salt = '', derived = ''] = kept.split('$')
      const expected = Buffer.from(derived, 'base64url')
      const found = await derive(secret, Buffer.from(salt, 'base64url'))
      return expected.length === found.length && timingSafeEqual(expected, found)
    }),
  )
  return matches.includes(true)
}

function mismatch(detail: 'secret' | 'secret_delayed'): OAuthError {
  return new OAuthError('invalid_client', 'client_mismatch', detail)
}
