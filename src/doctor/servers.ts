// The other servers on the database: whether they have the signing keys of this one, and how far their clocks are apart.
import type { Client } from 'pg'
import type { KnownKey } from '../core/server-keys.ts'
import {
  describeClocks,
  describeConflict,
  describeUpcoming,
  keysRemedy,
  parseDescription,
} from '../process/server-keys.ts'
import { describeKey, importKeysFile } from '../process/signing-keys.ts'
import { clock } from '../store/postgres.ts'
import { perform } from '../store/postgres-connection.ts'
import { listServers } from '../store/servers.ts'
import { exists } from './creatable.ts'
import { type Finding, failure, good, splitRemedy, warning } from './finding.ts'

/** Compares the servers that use the database now. `ahead`: milliseconds by which this clock is ahead of that of the database. */
export async function checkServers(client: Client, keysFile: string, ahead: number): Promise<Finding[]> {
  const { others, now } = await perform(client, listServers('', clock))
  const described = others.map(parseDescription).filter(description => description !== undefined)
  if (others.length === 0) return [good('no server uses this database now')]
  const names = described.map(({ name }) => name).join('; ')
  const found = `${others.length} ${others.length === 1 ? 'server uses' : 'servers use'} this database now (${names})`
  const own = await loadKeys(keysFile)
  if (own === undefined) return [good(found)]
  if (own.length === 0) return [failure(`${found}, and ${keysFile} does not exist`, keysRemedy(keysFile))]
  const findings = described.flatMap(other => {
    const conflict = describeConflict(own, other, now / 1000)
    const upcoming = describeUpcoming(own, other, now / 1000)
    const clocks = describeClocks(ahead, other)
    return [
      ...(conflict === undefined ? [] : [failure(conflict, keysRemedy(keysFile))]),
      ...(upcoming === undefined
        ? []
        : [warning(upcoming, 'copy the file of signing keys to every server before then')]),
      ...(clocks === undefined ? [] : [failure(...splitRemedy(clocks))]),
    ]
  })
  return findings.length > 0 ? findings : [good(`${found}, with the same signing keys`)]
}

/** Loads the keys of this server; none if it would create them. Undefined: the file is invalid, as the check of the keys reports. */
async function loadKeys(keysFile: string): Promise<KnownKey[] | undefined> {
  if (!exists(keysFile)) return []
  try {
    return (await importKeysFile(keysFile)).map(describeKey)
  } catch {
    return undefined
  }
}
