// A child process that answers questions over IPC, seen from both ends. Server and load run in separate processes, so that
// the cost of one never counts for the other.
import { fork } from 'node:child_process'

/** The questions that a process answers, each with one argument and exactly one answer. */
export type Questions = Record<string, (argument: never) => unknown>
type Reply = { id: number; answer?: unknown; problem?: string }

export interface Child<Q extends Questions> {
  /** @throws when the process reports a problem, ends, or has not answered after `seconds`. */
  ask<Name extends keyof Q & string>(
    question: Name,
    argument: Parameters<Q[Name]>[0],
    seconds?: number,
  ): Promise<Awaited<ReturnType<Q[Name]>>>
  stop(): Promise<void>
}

/** Starts the module at `file`, which calls `answer`, on `node` with this process's own options and these arguments. */
export function startChild<Q extends Questions>(
  file: URL,
  args: readonly string[] = [],
  node = process.execPath,
): Child<Q> {
  // Without stdout: the server still has the cost of logging, and no process reads the log.
  const child = fork(file, args, {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    execPath: node,
    execArgv: [...process.execArgv, '--expose-gc'],
  })
  const name = file.pathname.split('/').slice(-1)[0]
  const gone = new Promise<void>(resolve => child.once('exit', () => resolve()))
  let asked = 0

  return {
    ask: (question, argument, seconds = 30) =>
      new Promise((resolve, reject) => {
        const id = asked++
        const settle = (reply: Reply) => {
          if (reply.id !== id) return
          child.off('message', settle)
          clearTimeout(timer)
          if (reply.problem === undefined) resolve(reply.answer as never)
          else reject(new Error(reply.problem))
        }
        const fail = (what: string) => settle({ id, problem: `${name} ${what} at '${question}'` })
        const timer = setTimeout(fail, seconds * 1000, `did not answer within ${seconds} s`)
        child.on('message', settle)
        gone.then(() => fail('ended'))
        if (child.connected) child.send({ id, question, argument }, error => error && fail('ended'))
      }),
    stop: async () => {
      if (child.connected) child.disconnect()
      const timer = setTimeout(() => child.kill('SIGKILL'), 3000)
      await gone
      clearTimeout(timer)
    },
  }
}

/** The other end: answers the parent's questions until the parent ends, and then ends this process. */
export function answer(questions: Questions): void {
  process.on('message', async ({ id, question, argument }: { id: number; question: string; argument: unknown }) => {
    const reply: Reply = { id }
    try {
      reply.answer = await questions[question]?.(argument as never)
    } catch (error) {
      reply.problem = error instanceof Error ? error.message : String(error)
    }
    process.send?.(reply)
  })
  process.on('disconnect', () => process.exit(0))
}
