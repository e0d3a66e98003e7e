// Outside issuers: their rules, and the keys that they sign with, fetched where that is allowed.
import { describeKey, findKeySetProblem } from '../core/issuer-key.ts'
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
  const problem = findKeySetProblem(keys, algorithms)
  return problem === undefined
    ? good(`${issuer}: keys ${keys.map(describeKey).join(', ')}`)
    : failure(`${issuer}: ${problem.found}`, problem.remedy)
}
