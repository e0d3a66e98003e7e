// The signing keys: which one signs now, which one is next, and until when the others verify.
import { findPublished, findSigning } from '../core/key-schedule.ts'
import { importKeysFile } from '../process/signing-keys.ts'
import type { Settings } from '../settings/settings.ts'
import { checkCreatable, exists } from './creatable.ts'
import { type Finding, failure, good, warning } from './finding.ts'

/** Checks the keys. `now` in seconds since 1970. Rejects for an invalid file. */
export async function checkSigningKeys(file: string, settings: Settings, now: number): Promise<Finding[]> {
  const isOwn = settings.signingKeysFile === undefined
  if (isOwn && !exists(file)) return [checkCreatable(file, 'the signing keys')]
  const keys = await importKeysFile(file)
  const kids = keys.map(({ kid }) => kid)
  const twice = kids.find((kid, index) => kids.indexOf(kid) !== index)
  if (twice !== undefined) return [failure(`${file}: two keys have the kid ${twice}`, 'remove one of them')]
  const published = findPublished(keys, now)
  const begun = published.filter(({ nbf = 0 }) => nbf <= now)
  if (begun.length === 0)
    return [failure(`${file}: no key may sign at this time`, 'check the clock, or add a key: tlsbound keys rotate')]
  const signing = findSigning(keys, now)
  return keys.map(key => {
    const name = `${file}: key ${key.kid} (${key.algorithm})`
    if (key === signing) return good(`${name} signs`)
    if (!published.includes(key)) return warning(`${name} has expired and verifies no tokens`, 'remove it')
    if (!begun.includes(key)) return good(`${name} signs from ${dateOf(key.nbf as number)} on`)
    return good(`${name} verifies${key.exp === undefined ? ' and does not expire' : ` until ${dateOf(key.exp)}`}`)
  })
}

function dateOf(seconds: number): string {
  return new Date(seconds * 1000).toISOString()
}
