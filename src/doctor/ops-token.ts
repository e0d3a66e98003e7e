// The ops token, which administration needs.
import { readOpsToken } from '../process/files.ts'
import type { Settings } from '../settings/settings.ts'
import { checkCreatable, exists } from './creatable.ts'
import { type Finding, good } from './finding.ts'

/** @throws FileProblem when the file contains no valid token. */
export function checkOpsToken({ opsPort, opsTokenFile }: Settings): Finding[] {
  if (opsPort === 0) return [good('no ops listener: TLSBOUND_OPS_PORT is 0')]
  if (!exists(opsTokenFile)) return [checkCreatable(opsTokenFile, 'the ops token')]
  readOpsToken(opsTokenFile)
  return [good(`${opsTokenFile}: valid`)]
}
