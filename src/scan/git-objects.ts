// Reads the objects of a repository in sequence from `git cat-file --batch`, in chunks.
import { GitCommand, type GitOptions } from './git-command.ts'

export interface GitObject {
  /** `commit`, `tree`, `blob` or `tag`; `object` when it cannot be read. */
  readonly type: string
  /** Its content. It must be read completely before the next object. Rejects when it is unreadable. */
  readonly parts: AsyncIterable<Buffer>
}

export class ObjectReader {
  readonly #options: GitOptions
  /** Undefined at the beginning, and after a damaged object, at which git exits. */
  #git: GitCommand | undefined

  constructor(options: GitOptions) {
    this.#options = options
  }

  async open(id: string): Promise<GitObject> {
    try {
      this.#git ??= new GitCommand(['cat-file', '--batch'], this.#options)
      this.#git.write(`${id}\n`)
      const line = await this.#receive(git => git.readLine())
      const [, type, size] = /^[0-9a-f]+ (\w+) (\d+)$/.exec(line.toString('latin1')) ?? []
      if (type === undefined) throw new Error('it is missing')
      return { type, parts: this.#read(Number(size)) }
    } catch (error) {
      return { type: 'object', parts: failWith(error) }
    }
  }

  close(): void {
    this.#git?.kill()
  }

  async *#read(size: number): AsyncGenerator<Buffer> {
    for (let left = size; left > 0; ) {
      const part = await this.#receive(git => git.read(left))
      left -= part.length
      yield part
    }
    await this.#receive(git => git.readLine()) // the line end after each object
  }

  async #receive(read: (git: GitCommand) => Promise<Buffer | undefined>): Promise<Buffer> {
    const git = this.#git
    if (git === undefined) throw new Error('an object was not read to its end')
    this.#git = undefined
    const octets = await read(git)
    if (octets === undefined) throw new Error((await git.end()) ?? 'git exited before its response')
    this.#git = git
    return octets
  }
}

// biome-ignore lint/correctness/useYield: it only throws
async function* failWith(error: unknown): AsyncGenerator<Buffer> {
  throw error
}
