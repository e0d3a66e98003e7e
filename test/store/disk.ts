// Full and read-only disks, where the tests may mount a small file system in memory.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface Disk {
  readonly folder: string
  /** `ro` or `rw`. */
  remount(mode: string): void
  unmount(): void
}

/** Mounts a disk of so many KiB. Undefined where the tests may not mount. */
export function mountDisk(size: number): Disk | undefined {
  const folder = mkdtempSync(join(tmpdir(), 'tlsbound-disk-'))
  const run = (command: string, ...args: string[]) => spawnSync(command, args, { encoding: 'utf8' })
  if (run('mount', '-t', 'tmpfs', '-o', `size=${size}k`, 'tmpfs', folder).status !== 0) {
    rmdirSync(folder)
    return undefined
  }
  return {
    folder,
    remount: mode => void run('mount', '-o', `remount,${mode}`, folder),
    unmount() {
      run('umount', folder)
      rmdirSync(folder)
    },
  }
}
