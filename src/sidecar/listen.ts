// Where programs find the sidecar: a unix socket, which is its owner's alone, or a port of 127.0.0.1.
import { lstatSync, mkdirSync, rmSync } from 'node:fs'
import { type AddressInfo, connect, type ListenOptions, type Server } from 'node:net'
import { dirname } from 'node:path'
import { umask } from 'node:process'

export type Listen =
  /** With `mode` 0o660 the group of the process is let in as well. Default 0o600. */
  | { readonly path: string; readonly mode?: 0o600 | 0o660 }
  /** 0 is any free one. Everybody on this machine is let in. */
  | { readonly port: number }

/** The longest path of a socket on every system that has them, in octets. */
const longestPath = 103

/** Begins to listen; resolves with the address. Rejects with one sentence. */
export async function listen(server: Server, where: Listen): Promise<string> {
  if ('port' in where) {
    await bind(server, { host: '127.0.0.1', port: where.port }).catch(error => refuse(`port ${where.port}`, error))
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  }
  const { path, mode = 0o600 } = where
  if (Buffer.byteLength(path) > longestPath)
    throw new Error(`${path} is too long for a socket, which may have ${longestPath} octets`)
  try {
    mkdirSync(dirname(path), { recursive: true, mode: mode === 0o600 ? 0o700 : 0o750 })
    if (await isLeftBehind(path)) rmSync(path)
    await withUmask(0o777 - mode, () => bind(server, { path })) // at no moment has the file another mode
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

/** Node binds within the call, so that the mask need not last until the promise is kept. */
function withUmask<T>(mask: number, call: () => T): T {
  const before = umask(mask)
  try {
    return call()
  } finally {
    umask(before)
  }
}

/** Whether a socket is there that nobody answers on. @throws Error when somebody does, or when it is no socket. */
async function isLeftBehind(path: string): Promise<boolean> {
  const file = lstatSync(path, { throwIfNoEntry: false })
  if (file === undefined) return false
  if (!file.isSocket()) throw new Error('what is there is not a socket')
  const answers = await new Promise<boolean>((done, failed) => {
    const socket = connect(path, () => done(true))
    socket.once('close', () => socket.destroy())
    socket.once('error', (error: NodeJS.ErrnoException) =>
      error.code === 'ECONNREFUSED' ? done(false) : failed(error),
    )
  })
  if (answers) throw new Error('a sidecar answers there already')
  return true
}

function refuse(what: string, { code, message }: NodeJS.ErrnoException): never {
  throw new Error(`cannot listen on ${what}: ${code === undefined ? message : code}`)
}
