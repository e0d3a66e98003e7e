// One git command whose output is read in chunks and lines. It is killed after a timeout without output: a FIFO in
// place of an object would block it forever.
import { type ChildProcess, spawn } from 'node:child_process'
import type { Readable } from 'node:stream'

export interface GitOptions {
  readonly cwd: string
  readonly env: Readonly<Record<string, string | undefined>>
  /** Milliseconds without output before the command is killed. */
  readonly silence: number
}

/** The maximum lengths of a stored line in octets, and of git's error messages in characters. */
const maximum = { line: 16_384, errors: 500 } as const

export class GitCommand {
  readonly #child: ChildProcess
  readonly #output: AsyncIterator<Buffer>
  readonly #silence: number
  readonly #ended: Promise<string | undefined>
  #unread: Buffer = Buffer.alloc(0)
  #errors = ''

  constructor(args: readonly string[], { cwd, env, silence }: GitOptions) {
    this.#child = spawn('git', args, { cwd, env })
    this.#child.stdin?.on('error', () => {}) // git has exited; `end` reports the reason
    this.#child.stderr?.setEncoding('utf8').on('data', text => {
      this.#errors = (this.#errors + text).slice(0, maximum.errors)
    })
    this.#output = (this.#child.stdout as Readable)[Symbol.asyncIterator]()
    this.#silence = silence
    this.#ended = new Promise(resolve => {
      this.#child.once('error', (error: NodeJS.ErrnoException) =>
        resolve(error.code === 'ENOENT' ? 'git is not installed; install it, or scan files instead' : error.message),
      )
      this.#child.once('close', (code, signal) => resolve(code === 0 ? undefined : `git exited with ${code ?? signal}`))
    })
  }

  write(text: string): void {
    this.#child.stdin?.write(text)
  }

  /** Ends the input. */
  endInput(): void {
    this.#child.stdin?.end()
  }

  /** Reads up to `most` octets of the output; undefined at its end. Rejects when git is silent for too long. */
  async read(most: number): Promise<Buffer | undefined> {
    if (this.#unread.length === 0) this.#unread = await this.#receive()
    if (this.#unread.length === 0) return undefined
    const part = this.#unread.subarray(0, most)
    this.#unread = this.#unread.subarray(part.length)
    return part
  }

  /** Reads the next line without its end, truncated when it is very long; undefined at the end of the output. */
  async readLine(): Promise<Buffer | undefined> {
    const parts: Buffer[] = []
    let length = 0
    for (;;) {
      if (this.#unread.length === 0) this.#unread = await this.#receive()
      if (this.#unread.length === 0) return parts.length === 0 ? undefined : Buffer.concat(parts)
      const end = this.#unread.indexOf(10)
      const part = end === -1 ? this.#unread : this.#unread.subarray(0, end)
      if (length < maximum.line) parts.push(part.subarray(0, maximum.line - length))
      length += part.length
      this.#unread = this.#unread.subarray(end === -1 ? part.length : end + 1)
      if (end !== -1) return Buffer.concat(parts)
    }
  }

  /** Reads all lines. */
  async *lines(): AsyncGenerator<Buffer> {
    for (let line = await this.readLine(); line !== undefined; line = await this.readLine()) yield line
  }

  /** Waits for the end. Returns the error in one line; undefined without one. */
  async end(): Promise<string | undefined> {
    const failure = await this.#ended
    return this.#errors.trim().replaceAll('\n', '; ') || failure
  }

  kill(): void {
    this.#child.kill('SIGKILL')
  }

  /** Resolves with an empty buffer at the end of the output. */
  async #receive(): Promise<Buffer> {
    let isSilent = false
    const timer = setTimeout(() => {
      isSilent = true
      this.kill()
    }, this.#silence)
    try {
      const { value } = await this.#output.next()
      if (isSilent) throw new Silence(`git wrote nothing for ${this.#silence / 1000} s and was stopped`)
      return value ?? Buffer.alloc(0)
    } finally {
      clearTimeout(timer)
    }
  }
}

/** git produced no output for too long and was killed. */
export class Silence extends Error {}
