// The keys of the reporters whose signed reports of leaked tokens are accepted.
import { parseUsableReporterKeys } from '../core/leak-signature.ts'
import { openReporterKeys } from '../process/files.ts'
import type { Settings } from '../settings/settings.ts'
import { type Finding, failure, good } from './finding.ts'
import { type ClockReading, fetchDocument } from './remote-json.ts'

/** Checks the keys. `readings` undefined: fetches nothing. Rejects when the keys are invalid. */
export async function checkLeakKeys(settings: Settings, readings: ClockReading[] | undefined): Promise<Finding[]> {
  const { leakKeysFile: file, leakKeysUrl: url } = settings
  if (url === undefined) {
    if (file === undefined) return [good('not configured: signed reports of leaked tokens are rejected')]
    openReporterKeys(settings)
    return [good(`${file}: valid`)]
  }
  if (readings === undefined) return [good(`the keys are fetched from ${url}`)]
  const document = await fetchDocument(new URL(url), undefined, readings)
  try {
    return [good(`${url}: ${[...parseUsableReporterKeys(document).keys()].join(', ')}`)]
  } catch (error) {
    return [failure(`${url}: ${(error as Error).message}`, 'check the address')]
  }
}
