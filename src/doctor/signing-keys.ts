// The signing keys: which one signs JWTs and which one PASETO now, which one is next, and until when the others verify.
import { findCurrent, findPublished } from '../core/key-schedule.ts'
import { createKeyRing } from '../keys/key-ring.ts'
import { isPasetoKey } from '../keys/token-keys.ts'
import { importKeysFile } from '../process/signing-keys.ts'
import { findMissingKeys } from '../server/clients/token-format.ts'
import type { Settings } from '../settings/settings.ts'
import { checkCreatable, exists } from './creatable.ts'
import { type Finding, failure, good, splitRemedy, warning } from './finding.ts'

/** Checks the keys, also for these registrations. `now` in seconds since 1970. Rejects for an invalid file. */
export async function checkSigningKeys(
  file: string,
  settings: Settings,
  now: number,
  registrations: readonly object[] = [],
): Promise<Finding[]> {
  const isOwn = settings.signingKeysFile === undefined
  const findMissing = (ring: Parameters<typeof findMissingKeys>[1]) =>
    findMissingKeys(registrations, ring, now).map(problem => failure(...splitRemedy(problem)))
  if (isOwn && !exists(file))
    return [
      checkCreatable(file, 'the signing keys'),
      ...findMissing({ hasPaseto: () => false, nextPaseto: () => undefined }),
    ]
  const keys = await importKeysFile(file)
  const kids = keys.map(({ kid }) => kid)
  const twice = kids.find((kid, index) => kids.indexOf(kid) !== index)
  if (twice !== undefined) return [failure(`${file}: two keys have the kid ${twice}`, 'remove one of them')]
  const published = findPublished(keys, now)
  const begun = published.filter(({ nbf = 0 }) => nbf <= now)
  const [forJwt, forPaseto] = [false, true].map(isFor =>
    findCurrent(
      keys.filter(({ publicJwk }) => isPasetoKey(publicJwk) === isFor),
      now,
    ),
  )
  if (keys.every(({ publicJwk }) => isPasetoKey(publicJwk)))
    return [failure(`${file}: no signing key is for JWTs`, 'add one: tlsbound keys rotate')]
  if (forJwt === undefined)
    return [failure(`${file}: no key may sign at this time`, 'check the clock, or add a key: tlsbound keys rotate')]
  const ring = createKeyRing(keys, now) // throws if a key is for JWTs and for PASETO
  const findings = keys.map(key => {
    const name = `${file}: key ${key.kid} (${key.algorithm})`
    if (key === forJwt || key === forPaseto) return good(`${name} signs`)
    if (!published.includes(key)) return warning(`${name} has expired and verifies no tokens`, 'remove it')
    if (!begun.includes(key)) return good(`${name} signs from ${dateOf(key.nbf as number)} on`)
    return good(`${name} verifies${key.exp === undefined ? ' and does not expire' : ` until ${dateOf(key.exp)}`}`)
  })
  return [...findings, ...findMissing(ring)]
}

function dateOf(seconds: number): string {
  return new Date(seconds * 1000).toISOString()
}
