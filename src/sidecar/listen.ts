// Where the sidecar listens: on a unix socket, by default for its owner only, or on a port of 127.0.0.1.
import { lstatSync, mkdirSync, rmSync } from 'node:fs'
import { type AddressInfo, connect, type ListenOptions, type Server } from 'node:net'
import { dirname } from 'node:path'
import { umask } from 'node:process'

export type Listen =
  /** Mode 0o660 also admits the group of the sidecar’s user. Default 0o600. */
  | { readonly path: string; readonly mode?: 0o600 | 0o660 }
  /** 0 selects a free port. Every user of this machine can connect. */
  | { readonly port: number }

/** The longest path of a unix socket that every system supports, in octets. */
const longestPath = 103

/** Starts to listen, and resolves with the address. Rejects with a one-line error. */
export async function listen(server: Server, where: Listen): Promise<string> {
  if ('port' in where) {
    await bind(server, { host: '127.0.0.1', port: where.port }).catch(error => refuse(`port ${where.port}`, error))
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  }
  const { path, mode = 0o600 } = where
  if (Buffer.byteLength(path) > longestPath)
    throw new Error(`${path} is too long for a socket: at most ${longestPath} octets`)
  try {
    mkdirSync(dirname(path), { recursive: true, mode: mode === 0o600 ? 0o700 : 0o750 })
    if (await isLeftBehind(path)) rmSync(path)
    await withUmask(0o777 - mode, () => bind(server, { path })) // the file never has another mode
  } catch (error) {
    refuse(path, error as NodeJS.ErrnoException)
  }
  return `unix:${path}`
}

function bind(server: Server, options: ListenOptions): Promise<void> {
  return new Promise((bound, failed) => {
    server.once('error', failed)
    server.listen(options, () => {
      server.off('error', failed)
      bound()
    })
  })
}

/** Sets the umask for one call. Node binds synchronously, so it need not last until the promise settles. */
function withUmask<T>(mask: number, call: () => T): T {
  const before = umask(mask)
  try {
    return call()
  } finally {
    umask(before)
  }
}

/** Returns whether a stale socket exists. @throws Error when a process listens on it, or when it is not a socket. */
async function isLeftBehind(path: string): Promise<boolean> {
  const file = lstatSync(path, { throwIfNoEntry: false })
  if (file === undefined) return false
  if (!file.isSocket()) throw new Error('the existing file is not a socket')
  const answers = await new Promise<boolean>((done, failed) => {
    const socket = connect(path, () => done(true))
    socket.once('close', () => socket.destroy())
    socket.once('error', (error: NodeJS.ErrnoException) =>
      error.code === 'ECONNREFUSED' ? done(false) : failed(error),
    )
  })
  if (answers) throw new Error('another process is already listening there')
  return true
}

function refuse(what: string, { code, message }: NodeJS.ErrnoException): never {
  throw new Error(`cannot listen on ${what}: ${code === undefined ? message : code}`)
}
