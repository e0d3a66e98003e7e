// The content of a backup as a sentence.
import type { BackupSummary } from '../store/sqlite-backup.ts'

/** Describes a backup in one line. */
export function describeBackup({ clients, disabled_clients: disabled, grants, revocations }: BackupSummary): string {
  return `${clients} stored clients (${disabled} disabled), ${grants} grants, ${revocations} revocations`
}
