// The store of the server's state.
import { loadStorePassword, storePasswordOf } from '../process/store-password.ts'
import type { Settings } from '../settings/settings.ts'
import { type Finding, good } from './finding.ts'
import { checkPostgres } from './postgres.ts'
import type { ClockReading } from './remote-json.ts'
import { checkSqlite } from './sqlite.ts'

/** Checks the store. Rejects if its password cannot be read. `readings` undefined: no connections to other machines. `keysFile`: the signing keys of this server. */
export async function checkStore(
  settings: Settings,
  readings: ClockReading[] | undefined,
  keysFile: string,
): Promise<Finding[]> {
  const { stateUrl } = settings
  const path = /^sqlite:(.+)$/s.exec(stateUrl)?.[1]
  if (path !== undefined) return checkSqlite(path)
  if (readings !== undefined)
    return checkPostgres(stateUrl, { readings, keysFile, findPassword: storePasswordOf(settings) })
  if (settings.statePasswordFile !== undefined) loadStorePassword(settings.statePasswordFile)
  return [good('a PostgreSQL database; not contacted in this check')]
}
