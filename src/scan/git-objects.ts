// The objects of a repository, one after the other from a single `git cat-file --batch`, in parts as they come.
import type { ChildProcess } from 'node:child_process'
import type { Readable } from 'node:stream'
import type { OnProblem } from './sighting.ts'

export interface Objects {
  /** What an object holds. It must be read to its end before the next one. */
  read(id: string, onProblem: OnProblem): AsyncGenerator<Buffer>
  close(): void
}

export function openObjects(git: ChildProcess): Objects {
  git.on('error', () => {}) // `git log` has the same to say
  git.stdin?.on('error', () => {})
  const output = (git.stdout as Readable)[Symbol.asyncIterator]()
  let unread: Buffer = Buffer.alloc(0)

  async function more(): Promise<void> {
    const { done, value } = await output.next()
    if (done === true) throw new Error('git has ended before its answer')
    unread = unread.length === 0 ? value : Buffer.concat([unread, value])
  }

  async function readLine(): Promise<string> {
    while (!unread.includes(10)) await more()
    const end = unread.indexOf(10)
    const line = unread.toString('latin1', 0, end)
    unread = unread.subarray(end + 1)
    return line
  }

  return {
    async *read(id, onProblem) {
      git.stdin?.write(`${id}\n`)
      const size = /^[0-9a-f]+ \w+ (\d+)$/.exec(await readLine())?.[1]
      if (size === undefined) return onProblem(`object ${id} is missing in the repository`)
      let left = Number(size)
      while (left > 0) {
        if (unread.length === 0) await more()
        const part = unread.subarray(0, left)
        unread = unread.subarray(part.length)
        left -= part.length
        yield part
      }
      await readLine() // the one that ends each object
    },
    close: () => void git.kill(),
  }
}
