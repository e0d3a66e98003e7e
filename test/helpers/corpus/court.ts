// Asks judge.ts about entries, one after the other, and starts another one when it has ended.
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { resolve } from 'node:path'
import { patience } from '../until.ts'
import type { Answer, Question } from './judge.ts'

export type Verdict = Answer | { readonly load: 'crashed' | 'hung'; readonly message: string }

export interface Court {
  ask(question: Question): Promise<Verdict>
  close(): void
}

export function openCourt(): Court {
  let judge: ChildProcess | undefined
  const start = () => {
    const options = { execArgv: ['--conditions=tlsbound-source'], env: { PATH: process.env.PATH ?? '' } }
    return fork(resolve('test/helpers/corpus/judge.ts'), options)
  }
  return {
    async ask(question) {
      judge ??= start()
      const asked = judge
      const stop = new AbortController()
      const timer = setTimeout(() => asked.kill('SIGKILL'), patience)
      try {
        asked.send(question)
        const answered = once(asked, 'message', { signal: stop.signal }).then(([answer]) => answer as Answer)
        const ended = once(asked, 'exit', { signal: stop.signal }).then(([code, signal]): Verdict => {
          judge = undefined
          return { load: signal === 'SIGKILL' ? 'hung' : 'crashed', message: `ended with ${code ?? signal}` }
        })
        const verdict = await Promise.race([answered, ended])
        for (const promise of [answered, ended]) promise.catch(() => {}) // the one that has lost
        return verdict
      } finally {
        clearTimeout(timer)
        stop.abort()
      }
    },
    close: () => void judge?.kill(),
  }
}
