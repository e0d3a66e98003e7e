// Whose signed reports of leaked tokens are accepted.
import { parseUsableReporterKeys } from '../core/leak-signature.ts'
import { openReporterKeys } from '../process/files.ts'
import type { Settings } from '../settings/settings.ts'
import { type Finding, failure, good } from './finding.ts'
import { type ClockReading, fetchDocument } from './remote-json.ts'

/** `readings`: undefined: nothing may be fetched. @throws Error (rejects) when the keys cannot be used. */
export async function checkLeakKeys(settings: Settings, readings: ClockReading[] | undefined): Promise<Finding[]> {
  const { leakKeysFile: file, leakKeysUrl: url } = settings
  if (url === undefined) {
    if (file === undefined) return [good('none: signed reports of leaked tokens are refused')]
    openReporterKeys(settings)
    return [good(`${file}: can be used`)]
  }
  if (readings === undefined) return [good(`fetched from ${url}`)]
  const document = await fetchDocument(new URL(url), undefined, readings)
  try {
    return [good(`${url}: ${[...parseUsableReporterKeys(document).keys()].join(', ')}`)]
  } catch (error) {
    return [failure(`${url}: ${(error as Error).message}`, 'check the address')]
  }
}
