// A container engine of its own for a test: podman with its images, containers and volumes in a temporary folder. Needs root, and
// the Debian packages podman and runc.
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

export interface Engine {
  /** A folder that is removed with the engine. */
  readonly folder: string
  /** The command line that begins each call, for a caller that starts it itself. */
  readonly command: readonly string[]
  /** Runs podman to its end, and returns its standard output. Rejects with its error output. */
  podman(...args: readonly string[]): Promise<string>
}

/** The options of `podman run` that every container has here. */
export const runOptions: readonly string[] = [
  // The tests connect from outside of the container; without a daemon there is no other network.
  ...['--network', 'host'],
  // systemd would run the health check.
  '--no-healthcheck',
  // The defaults are more than this machine may allow.
  ...['--ulimit', 'nofile=4096:4096', '--ulimit', 'nproc=4096:4096', '--pids-limit', '0'],
]

/** Opens an engine. It ends with the test, and its containers with it. */
export function openEngine(t: { teardown(end: () => unknown): void }): Engine {
  const folder = mkdtempSync(join(tmpdir(), 'tlsbound-podman-'))
  const command = [
    ...['podman', '--root', join(folder, 'root'), '--runroot', join(folder, 'run'), '--tmpdir', join(folder, 'tmp')],
    // Works on every file system, without systemd, and without a log of the machine.
    ...['--storage-driver', 'vfs', '--cgroup-manager', 'cgroupfs', '--events-backend', 'none', '--runtime', 'runc'],
  ]
  const podman = async (...args: readonly string[]) => {
    const [program = '', ...options] = command
    try {
      const { stdout } = await promisify(execFile)(program, [...options, ...args], {
        timeout: 600_000,
        maxBuffer: 67_108_864,
      })
      return stdout.trim()
    } catch (cause) {
      const { code, stdout = '', stderr = '' } = cause as { code?: unknown; stdout?: string; stderr?: string }
      if (code === 'ENOENT') throw new Error('this test needs podman: install the Debian packages podman and runc')
      throw new Error(`podman ${args[0]}: ${`${stdout}${stderr}`.trim().split('\n').slice(-20).join('\n')}`, { cause })
    }
  }
  t.teardown(async () => {
    await podman('rm', '--all', '--force', '--time', '0').catch(() => {})
    rmSync(folder, { recursive: true, force: true })
  })
  return { folder, command, podman }
}
