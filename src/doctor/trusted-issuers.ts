// Outside issuers: their rules and their key sets.
import { describeKey } from '../core/issuer-key.ts'
import type { TrustedIssuer } from '../core/trusted-issuer.ts'
import { type IssuerAlgorithm, parseKeySet } from '../keys/key-set.ts'
import { OutgoingError } from '../outgoing/failure.ts'
import { readTrustedIssuersFile } from '../process/files.ts'
import type { OutsideIssuer } from '../server/grants/trusted-issuers.ts'
import type { Settings } from '../settings/settings.ts'
import { metadataAddressesOf, parseIssuerMetadata } from '../verify/issuer-keys.ts'
import { type Finding, failure, failuresOf, good, warning } from './finding.ts'
import { type ClockReading, fetchDocument } from './remote-json.ts'

/** Checks the list and the keys. `readings` undefined: fetches nothing. Rejects with every problem of the list. */
export async function checkTrustedIssuers(
  settings: Settings,
  readings: ClockReading[] | undefined,
): Promise<Finding[]> {
  const { trustedIssuersFile: file, issuer } = settings
  if (file === undefined) return [good('not configured: no tokens of other issuers are exchanged')]
  const issuers = readTrustedIssuersFile(file, issuer)
  return (await Promise.all(issuers.map(outside => checkIssuer(outside, readings)))).flat()
}

async function checkIssuer({ rules, keys }: OutsideIssuer, readings: ClockReading[] | undefined): Promise<Finding[]> {
  const { issuer } = rules
  if ('keys' in keys) return checkKeys(keys, rules)
  const where = keys.uri ?? `the address in its metadata, ${metadataAddressesOf(issuer).join(' or ')}`
  if (readings === undefined) return [good(`${issuer}: its keys are fetched from ${where}`)]
  try {
    const uri = keys.uri ?? (await discover(issuer, keys.ca, readings))
    return checkKeys(await fetchDocument(new URL(uri), keys.ca, readings), rules)
  } catch (error) {
    const errors: readonly unknown[] = error instanceof AggregateError ? error.errors : [error]
    return errors.flatMap(failuresOf).map(({ found, remedy }) => failure(`${issuer}: ${found}`, remedy))
  }
}

/** Returns the address of the key set from the issuer's metadata. @throws AggregateError (rejects) with one for each address. */
async function discover(issuer: string, ca: string | undefined, readings: ClockReading[]): Promise<string> {
  const errors: unknown[] = []
  for (const address of metadataAddressesOf(issuer))
    try {
      return parseIssuerMetadata(await fetchDocument(new URL(address), ca, readings), issuer)
    } catch (error) {
      errors.push(error instanceof TypeError ? new OutgoingError('unexpected_content', address, error.message) : error)
    }
  throw new AggregateError(errors)
}

function checkKeys(document: unknown, { issuer, algorithms }: TrustedIssuer): Finding[] {
  try {
    const { leftOut } = parseKeySet(document, algorithms as readonly IssuerAlgorithm[])
    const { keys } = document as { readonly keys: readonly unknown[] }
    return [
      good(`${issuer}: keys ${keys.map(describeKey).join(', ')}`),
      ...leftOut.map(sentence => warning(`${issuer}: ignored ${sentence}`)),
    ]
  } catch (error) {
    const remedy = `check the address of its key set, and the allowed algorithms: ${algorithms.join(', ')}`
    return [failure(`${issuer}: ${(error as Error).message}`, remedy)]
  }
}
