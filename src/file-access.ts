// Who can get at a secret file, by its mode and its owner.
import { statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'

/** Says that others on this machine can read the file; undefined: they cannot. @throws Error of the system. */
export function findReaders(path: string): string | undefined {
  const { mode } = statSync(path)
  const others = isCredential(path) ? 0o037 : 0o077
  if ((mode & others) === 0) return undefined
  return `${path} can be read by others (mode ${(mode & 0o777).toString(8)}): chmod 600 ${path}`
}

/** Says that the file is somebody else's, who can read and change it; undefined: it is ours or root's. */
export function findForeignOwner(path: string): string | undefined {
  const { uid } = statSync(path)
  const ours = process.getuid?.()
  if (uid === 0 || ours === undefined || uid === ours) return undefined
  return `${path} belongs to another user (${uid}), who can read and change it: chown ${ours} ${path}`
}

/** systemd may let our user at a credential by an access list, which the mode shows as a right of root's group. */
function isCredential(path: string): boolean {
  const folder = process.env.CREDENTIALS_DIRECTORY
  return folder !== undefined && dirname(resolve(path)) === resolve(folder)
}
