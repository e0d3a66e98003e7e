// Outside issuers: their rules, and the keys that they sign with, fetched where that is allowed.
import { readTrustedIssuersFile } from '../process/files.ts'
import type { OutsideIssuer } from '../server/grants/trusted-issuers.ts'
import type { Settings } from '../settings/settings.ts'
import { type Finding, failure, failuresOf, good } from './finding.ts'
import { type ClockReading, fetchDocument } from './remote-json.ts'

/** `readings`: undefined: nothing may be fetched. @throws Error (rejects) with every problem of the list. */
export async function checkTrustedIssuers(
  settings: Settings,
  readings: ClockReading[] | undefined,
): Promise<Finding[]> {
  const { trustedIssuersFile: file, issuer } = settings
  if (file === undefined) return [good('none: no tokens of others are exchanged')]
  const issuers = readTrustedIssuersFile(file, issuer)
  return (await Promise.all(issuers.map(outside => checkIssuer(outside, readings)))).flat()
}

async function checkIssuer({ rules, keys }: OutsideIssuer, readings: ClockReading[] | undefined): Promise<Finding[]> {
  const { issuer, algorithms } = rules
  if ('jwks' in keys) return [checkKeys(issuer, keys.jwks, algorithms)]
  if (readings === undefined) return [good(`${issuer}: its keys are fetched from ${keys.uri}`)]
  try {
    return [checkKeys(issuer, await fetchDocument(new URL(keys.uri), keys.ca, readings), algorithms)]
  } catch (error) {
    return failuresOf(error).map(({ found, remedy }) => failure(`${issuer}: ${found}`, remedy))
  }
}

function checkKeys(issuer: string, document: unknown, algorithms: readonly string[]): Finding {
  const { keys } = (document ?? {}) as { readonly keys?: unknown }
  if (!Array.isArray(keys)) return failure(`${issuer}: its document has no list of keys`, 'give the address of a JWKS')
  const described = keys.map(describeKey).join(', ') || 'none'
  if (keys.some(key => isUsable(key, algorithms))) return good(`${issuer}: keys ${described}`)
  const remedy = `give algorithms that its keys are for; allowed are ${algorithms.join(', ')}`
  return failure(`${issuer}: no key is for an allowed algorithm; keys ${described}`, remedy)
}

/** Of a key what is no secret even where it should not be published. */
export function describeKey(key: unknown): string {
  const { kid, alg, kty, crv } = (key ?? {}) as Readonly<Record<string, unknown>>
  const text = (value: unknown) => (typeof value === 'string' ? value.slice(0, 100) : undefined)
  return `${text(kid) ?? '(no kid)'} ${text(alg) ?? [text(kty), text(crv)].filter(part => part).join(' ')}`.trim()
}

function isUsable(key: unknown, algorithms: readonly string[]): boolean {
  const { alg, kty, crv, use } = (key ?? {}) as Readonly<Record<string, unknown>>
  if (use !== undefined && use !== 'sig') return false
  if (typeof alg === 'string') return algorithms.includes(alg)
  if (kty === 'RSA') return algorithms.some(algorithm => /^[RP]S/.test(algorithm))
  return algorithms.includes(curves.get(crv) ?? '')
}

/** The one algorithm of a curve (RFC 7518 §3.4, RFC 8037 §3.1). */
const curves: ReadonlyMap<unknown, string> = new Map([
  ['P-256', 'ES256'],
  ['P-384', 'ES384'],
  ['P-521', 'ES512'],
  ['Ed25519', 'EdDSA'],
])
