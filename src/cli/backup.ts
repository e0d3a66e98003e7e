// tlsbound backup: saves the state of a running server to a file, which tlsbound restore reads.
import { randomBytes } from 'node:crypto'
import { existsSync, linkSync, rmSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { examineBackup } from '../store/sqlite-backup.ts'
import { describeBackup } from './backup-summary.ts'
import { type Command, UsageError } from './command.ts'
import { downloadFromOps, opsOptions } from './ops.ts'
import { writeMessage, writeResult } from './output.ts'

export const command: Command = {
  usage: ['FILE [OPTIONS]'],
  description: [
    'Saves the state of a running server to a new file, which only its owner may read, through the ops listener. The server goes on; the copy is consistent, and is checked before the file gets its name.',
    'The state has hashes of tokens and secrets, registrations and revocations. Save the signing keys and the configuration too.',
    'For PostgreSQL use pg_dump.',
  ],
  positionals: { value: 'FILE' },
  options: opsOptions,
  failure: 'no backup was written',
  examples: ['tlsbound backup /var/backups/tlsbound/tlsbound.db'],
  async run(values, [file, ...others]) {
    if (file === undefined || others.length > 0) throw new UsageError('expected: tlsbound backup FILE')
    if (existsSync(file)) throw alreadyThere(file)
    const unchecked = `${file}.${randomBytes(6).toString('hex')}`
    try {
      await save(await downloadFromOps(values, '/admin/backup', longestBackup), unchecked)
      const summary = examineBackup(unchecked)
      linkSync(unchecked, file) // unlike a rename, it replaces nothing
      writeResult(values, summary, `saved: ${file}: ${describeBackup(summary)}`)
    } catch (error) {
      throw (error as NodeJS.ErrnoException).code === 'EEXIST' ? alreadyThere(file) : error
    } finally {
      rmSync(unchecked, { force: true })
    }
    writeMessage('Save the signing keys too. Whoever has the backup can read who uses the server; encrypt it.')
  },
}

/** Milliseconds. */
const longestBackup = 600_000

function alreadyThere(file: string): Error {
  return new Error(`${file} exists, and a backup replaces nothing; name another file`)
}

/** Writes a stream to a new file, onto the disk. */
async function save(content: ReadableStream<Uint8Array>, path: string): Promise<void> {
  const file = await open(path, 'wx', 0o600)
  try {
    for await (const part of content) await file.writeFile(part)
    await file.sync()
  } catch (error) {
    const { code, cause } = error as NodeJS.ErrnoException & { cause?: { code?: string } }
    throw new Error(`the backup is incomplete and was discarded (${cause?.code ?? code ?? (error as Error).name})`, {
      cause: error,
    })
  } finally {
    await file.close()
  }
}
