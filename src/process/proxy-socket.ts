// The socket file of a proxy on this machine. Its folder decides who can open it, so that the folder is checked first.
import { chmodSync, lstatSync, statSync, unlinkSync } from 'node:fs'
import type { Server } from 'node:http'
import { connect } from 'node:net'
import { dirname, isAbsolute } from 'node:path'
import { FileProblem, quoteForShell } from '../files/file-problem.ts'
import { requireOwnParents } from '../files/parent-folders.ts'

/** The longest path of a socket on Linux, in octets. */
const longestPath = 107

/**
 * Checks where a socket is to be opened, and removes the socket of a server that has ended. Called once, before `listenOnSocket`.
 * @throws FileProblem (rejects) when others can open it, or it is in use.
 */
export async function prepareSocket(path: string): Promise<void> {
  checkSocketFolder(path)
  const found = lstatSync(path, { throwIfNoEntry: false })
  if (found === undefined) return
  if (!found.isSocket())
    throw new FileProblem(path, { found: 'this is no socket', remedy: 'give the path of a file that does not exist' })
  if (await isInUse(path))
    throw new FileProblem(path, {
      found: 'another server listens on this socket',
      remedy: 'stop it, or use another path',
    })
  unlinkSync(path)
}

/** @throws FileProblem when the folder does not exist, or others can open or replace the socket or the folder. */
export function checkSocketFolder(path: string): void {
  if (Buffer.byteLength(path) > longestPath)
    throw new FileProblem(path, {
      found: `the path of a socket has at most ${longestPath} octets`,
      remedy: 'shorten it',
    })
  const folder = isAbsolute(path) ? dirname(path) : `${process.cwd()}/${dirname(path)}` // `resolve` would remove `..` after a link
  const stats = statSync(folder, { throwIfNoEntry: false })
  const remedy = `install -d -o ${process.geteuid?.() ?? 'USER'} -g GROUP -m 2750 ${quoteForShell(folder)}, with the group of the proxy`
  if (stats?.isDirectory() !== true) throw new FileProblem(folder, { found: 'there is no such folder', remedy })
  const mode = (stats.mode & 0o777).toString(8).padStart(3, '0')
  if ((stats.mode & 0o027) !== 0)
    throw new FileProblem(folder, {
      found: `its mode ${mode} lets others open or replace the socket, and state any client certificate`,
      remedy,
    })
  if (stats.uid !== 0 && stats.uid !== process.geteuid?.())
    throw new FileProblem(folder, {
      found: `it belongs to another user (${stats.uid}), who can replace the socket`,
      remedy,
    })
  requireOwnParents(folder)
}

/** Listens on a socket that was prepared. Its owner and the group of its folder can open it. */
export function listenOnSocket(server: Server, path: string): Promise<void> {
  return new Promise((done, reject) => {
    server.once('error', reject).listen(path, () => {
      try {
        chmodSync(path, 0o660)
        done()
      } catch (error) {
        reject(error)
      }
    })
  })
}

/** Whether a server listens. Only a refused connection says that none does: one that is busy has no room for another (EAGAIN). */
function isInUse(path: string): Promise<boolean> {
  return new Promise(done => {
    const socket = connect(path, () => {
      socket.destroy()
      done(true)
    }).once('error', ({ code }: NodeJS.ErrnoException) => done(code !== 'ECONNREFUSED' && code !== 'ENOENT'))
  })
}
