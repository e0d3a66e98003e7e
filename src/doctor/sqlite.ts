// The file of an embedded store. Only its header is read (https://www.sqlite.org/fileformat2.html#the_database_header): opening
// the database could disturb a running server, and could write.
import { closeSync, openSync, readSync, statSync } from 'node:fs'
import { applicationId, schemaVersion } from '../store/sqlite-file.ts'
import { checkCreatable, checkWritable, exists } from './creatable.ts'
import { type Finding, failure, good, warning } from './finding.ts'

/** Checks the file at `path`. */
export function checkSqlite(path: string): Finding[] {
  if (path === ':memory:')
    return [
      warning(
        'the state is in memory and is lost when the server stops',
        'set TLSBOUND_STATE_URL to a file or a database',
      ),
    ]
  if (!exists(path)) return [checkCreatable(path, 'the state')]
  const status = statSync(path)
  if (!status.isFile())
    return [failure(`${path}: this is not a regular file`, 'set TLSBOUND_STATE_URL to the path of a file')]
  const access = checkWritable(path, 'the state')
  if (access.verdict !== 'good') return [access]
  return [access, ...checkHeader(path, readHeader(path), status.size)]
}

function readHeader(path: string): Buffer {
  const header = Buffer.alloc(100)
  const file = openSync(path, 'r')
  try {
    return header.subarray(0, readSync(file, header))
  } finally {
    closeSync(file)
  }
}

function checkHeader(path: string, header: Buffer, size: number): Finding[] {
  const log = statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0
  if (size === 0)
    return [
      warning(
        `${path}: this file is empty, and the server creates new state in it`,
        'restore a backup if you have one',
      ),
    ]
  const restore = 'restore a backup: docs/how-to/back-up-and-restore.md'
  if (header.length < 100 || header.toString('latin1', 0, 16) !== 'SQLite format 3\0')
    return [failure(`${path}: this is not an SQLite database`, restore)]
  const [version, application] = [header.readUInt32BE(60), header.readUInt32BE(68)]
  if (application !== applicationId && (log === 0 || application !== 0))
    return [failure(`${path}: this is the database of another program`, 'set TLSBOUND_STATE_URL to another path')]
  const pageSize = header.readUInt16BE(16) === 1 ? 65_536 : header.readUInt16BE(16)
  const pages = header.readUInt32BE(28)
  if (log === 0 && size < pages * pageSize)
    return [failure(`${path}: the file is truncated to ${size} of ${pages * pageSize} octets`, restore)]
  const schema = `${path}: schema ${version}, this release uses ${schemaVersion}`
  if (version > schemaVersion) return [failure(`${schema}: it was written by a newer release`, 'install that release')]
  if (version === schemaVersion) return [good(schema)]
  if (log === 0) return [good(`${schema}: the server migrates it when it starts`)]
  return [good(`${path}: the latest changes are in ${path}-wal, as is normal while a server runs; they were not read`)]
}
