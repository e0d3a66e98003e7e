// Asks judge.ts about entries, one after the other, and starts another one when it has ended.
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { join, resolve } from 'node:path'
import { patience } from '../until.ts'
import type { Entry, LoadVerdict } from './entry.ts'
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

/** Megabytes of the process that loads one file after the other. */
const mostMegabytes = 700

/** Kinds of files that nobody but their owner may read. */
const secretKinds = ['signing keys', 'private key', 'server certificate']

/** What is wrong with a verdict on an entry whose files lie in this folder; nothing, if it is right. */
export function findProblems(
  folder: string,
  { name, kind, files, load }: Entry & { readonly load: LoadVerdict | undefined },
  verdict: Verdict,
): string[] {
  const { message } = verdict
  const sentence = message.slice(0, 500)
  const problems: string[] = []
  if (!['loaded', 'refused'].includes(verdict.load) || (load !== undefined && verdict.load !== load))
    problems.push(`${verdict.load}, not ${load ?? 'loaded or refused'}: ${sentence}`)
  if (verdict.load === 'refused' && !Object.keys(files).some(file => message.includes(join(folder, file))))
    problems.push(`the sentence names no file: ${sentence}`)
  if ('peakMegabytes' in verdict && verdict.peakMegabytes > mostMegabytes)
    problems.push(`${verdict.peakMegabytes} megabytes`)
  if (secretKinds.includes(kind) || name.startsWith('webhooks')) {
    // What looks like a key or a secret is a long run of base64.
    const runs = message.replaceAll(folder, '').match(/[\w+/-]{24,}/g) ?? []
    if (runs.some(run => Object.values(files).some(content => content.includes(run))))
      problems.push(`the sentence quotes the file: ${sentence}`)
  }
  return problems.map(problem => `${name}: ${problem}`)
}
