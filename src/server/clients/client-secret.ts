// A secret in addition to the client certificate, for clients that use Basic authentication (RFC 6749 §2.3.1). Secrets are
// stored as scrypt hashes. Two are valid at once, so that they can be rotated. Failed attempts delay the client's next one.
import { createHmac, hash, randomBytes, scrypt, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'
import type { DetailOf } from '../../core/details.ts'
import { OAuthError } from '../../core/errors.ts'
import type { ClientSecret } from '../../store/store.ts'

const stretch = promisify(scrypt) as (secret: Buffer, salt: Buffer, length: number, options: object) => Promise<Buffer>

/** OWASP's parameters for scrypt: 32 MiB and about 80 ms per attempt. */
const cost = { N: 2 ** 15, r: 8, p: 1, maxmem: 64 * 1024 * 1024 }

/** Derives the key from a hash of the secret, because HMAC, and so scrypt, ignores NULs at the end of a secret. */
function derive(secret: string, salt: Buffer): Promise<Buffer> {
  return stretch(hash('sha256', secret, 'buffer'), salt, 32, cost)
}

/** Milliseconds that a failed attempt delays the client's next one: 1 s, then doubled each time, at most a minute. */
const delays = { first: 1000, longest: 60_000 }

/** Hashes a secret for storage: `scrypt$SALT$HASH`, base64url. */
export async function hashSecret(secret: string): Promise<string> {
  const salt = randomBytes(16)
  const derived = await derive(secret, salt)
  return `scrypt$${salt.toString('base64url')}$${derived.toString('base64url')}`
}

/**
 * Returns the id and secret of an `Authorization: Basic` header, decoded by RFC 6749 §2.3.1, or undefined if it is not
 * valid.
 */
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

/** Decodes one form value (RFC 6749 App. B). @throws URIError when it is invalid. */
function decodeForm(text: string): string {
  if (text.includes('&')) throw new URIError('more than one value')
  return decodeURIComponent(text.replaceAll('+', ' '))
}

/** Maximum characters of a secret that is tried. */
const maximumLength = 256

/** Maximum number of clients whose matching secrets are remembered. */
const maximumRemembered = 10_000

interface Failures {
  readonly count: number
  /** Milliseconds of the clock: the last failure, and the time before which no other secret is tried. */
  readonly since: number
  readonly until: number
}

/** A stored hash, with the tag of the secret that matched it. */
interface Match {
  readonly hash: string
  readonly tag: Buffer
}

/**
 * Tries a secret, and counts the failure. Resolves with the stored hash that it matches. `isSuspect`: a wrong secret was sent
 * on the same connection before. @throws OAuthError (rejects) `client_mismatch`.
 */
export type TrySecret = (
  clientId: string,
  secret: string,
  known: readonly ClientSecret[],
  isSuspect: boolean,
) => Promise<string>

export class SecretChecker {
  readonly #failures = new Map<string, Failures>()
  /** The attempt in progress of each client. The next one waits for it, so that parallel attempts guess no faster. */
  readonly #tries = new Map<string, Promise<unknown>>()
  readonly #clock: () => number
  /**
   * Secrets that matched before. Their owner is served while another party tries wrong ones. They are stored as tags only,
   * by a key that never leaves this server.
   */
  readonly #matches = new Map<string, readonly Match[]>()
  readonly #key = randomBytes(32)
  /** The connections on which a wrong secret was sent. */
  readonly #suspects = new WeakSet<object>()

  readonly #trySecret: TrySecret

  /** `clock` in milliseconds. `trySecret`: counts the failures of all workers of a server. Default: counts its own. */
  constructor(clock: () => number, trySecret?: TrySecret) {
    this.#clock = clock
    this.#trySecret = trySecret ?? ((...given) => this.#attempt(...given))
  }

  /**
   * Verifies a client's secret against the stored ones. A failure delays the client's next attempt, and delays it further
   * on the same connection, so that other connections come first. A secret that matched before is not delayed. A missing secret is
   * no guess: it is refused at once, and delays no other attempt.
   * @throws OAuthError (rejects) `client_mismatch`.
   */
  async check(clientId: string, secret: string, known: readonly ClientSecret[], connection: object): Promise<void> {
    if (secret === '') throw mismatch(known.length === 0 ? 'secret_none_stored' : 'secret_missing')
    if (this.#isRemembered(clientId, secret, known)) return
    await this.#inTurn(clientId, () => this.#try(clientId, secret, known, connection))
  }

  /** Tries a secret that a worker has received. */
  readonly trySecret: TrySecret = (clientId, secret, known, isSuspect) =>
    this.#inTurn(clientId, () => this.#attempt(clientId, secret, known, isSuspect))

  async #inTurn<T>(clientId: string, attempt: () => Promise<T>): Promise<T> {
    const before = this.#tries.get(clientId)?.catch(() => {})
    const turn = Promise.resolve(before).then(attempt)
    this.#tries.set(clientId, turn)
    try {
      return await turn
    } finally {
      if (this.#tries.get(clientId) === turn) this.#tries.delete(clientId)
    }
  }

  /** Discards the remembered secrets of a client. */
  forget(clientId: string): void {
    this.#matches.delete(clientId)
  }

  async #try(clientId: string, secret: string, known: readonly ClientSecret[], connection: object): Promise<void> {
    try {
      const hash = await this.#trySecret(clientId, secret, known, this.#suspects.has(connection))
      this.#remember(clientId, secret, hash, known)
    } catch (error) {
      if (error instanceof OAuthError && isWrong(error.detail)) this.#suspects.add(connection)
      throw error
    }
  }

  async #attempt(
    clientId: string,
    secret: string,
    known: readonly ClientSecret[],
    isSuspect: boolean,
  ): Promise<string> {
    const { count, since, until } = this.#failures.get(clientId) ?? { count: 0, since: 0, until: 0 }
    const passed = this.#clock() - since
    const wait = (until - since) * (isSuspect ? 1.5 : 1)
    const isStored = known.length > 0
    if (passed >= 0 && passed < wait) throw mismatch(isStored ? 'secret_delayed' : 'secret_none_stored') // negative: the clock was set back
    const hash = secret.length <= maximumLength ? await findMatch(secret, known) : undefined
    if (hash !== undefined) {
      this.#failures.delete(clientId)
      return hash
    }
    const now = this.#clock()
    const delay = Math.min(delays.first * 2 ** count, delays.longest)
    this.#failures.set(clientId, { count: count + 1, since: now, until: now + delay })
    throw mismatch(isStored ? 'secret' : 'secret_none_stored')
  }

  #isRemembered(clientId: string, secret: string, known: readonly ClientSecret[]): boolean {
    if (secret.length > maximumLength) return false
    const matches = (this.#matches.get(clientId) ?? []).map(
      ({ hash, tag }) => timingSafeEqual(tag, this.#tag(secret, hash)) && known.some(kept => kept.hash === hash),
    )
    return matches.includes(true)
  }

  #remember(clientId: string, secret: string, hash: string, known: readonly ClientSecret[]): void {
    const others = (this.#matches.get(clientId) ?? []).filter(
      match => match.hash !== hash && known.some(kept => kept.hash === match.hash),
    )
    this.#matches.delete(clientId)
    this.#matches.set(clientId, [...others, { hash, tag: this.#tag(secret, hash) }])
    if (this.#matches.size > maximumRemembered) this.#matches.delete(this.#matches.keys().next().value as string) // the oldest
  }

  /** Returns the tag of a secret. It includes the salted hash, so that equal secrets have different tags. */
  #tag(secret: string, hash: string): Buffer {
    return createHmac('sha256', this.#key)
      .update(JSON.stringify([hash, secret]))
      .digest()
  }
}

const isWrong = (detail: string) => detail === 'secret' || detail === 'secret_none_stored'

/**
 * Returns the stored hash that a secret matches. Compares with all of them, or with a dummy if there are none, so that the
 * time reveals nothing.
 */
async function findMatch(secret: string, known: readonly ClientSecret[]): Promise<string | undefined> {
  const hashes = known.length > 0 ? known.map(secretOf => secretOf.hash) : ['scrypt$AAAAAAAAAAAAAAAAAAAAAA$']
  const matches = await Promise.all(
    hashes.map(async kept => {
      const [, salt = '', derived = ''] = kept.split('$')
      const expected = Buffer.from(derived, 'base64url')
      const found = await derive(secret, Buffer.from(salt, 'base64url'))
      return expected.length === found.length && timingSafeEqual(expected, found)
    }),
  )
  return hashes[matches.indexOf(true)]
}

function mismatch(detail: DetailOf<'client_mismatch'> & `secret${string}`): OAuthError {
  return new OAuthError('invalid_client', 'client_mismatch', detail)
}
