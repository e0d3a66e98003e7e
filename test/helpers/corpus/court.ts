// Runs judge.ts on entries, one after the other, and restarts it when it has ended.
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { join, resolve } from 'node:path'
import type { Checked } from '../../../src/doctor/doctor.ts'
import { basicEnvironment } from '../process/basic-environment.ts'
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
    const options = { execArgv: ['--conditions=tlsbound-source'], env: basicEnvironment }
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
        for (const promise of [answered, ended]) promise.catch(() => {}) // the slower one
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

/** Milliseconds for everything that judge.ts does with the files of one entry. The slowest takes 2 s on an idle machine. */
const mostMilliseconds = 20_000

/** The failures that the doctor reports for files that a server loads: its clients would refuse it, or its clock does. */
const refusedByOthers = /is not valid before|expired on|: the names do not include/

/** Kinds of files that only their owner may read. */
const secretKinds = ['signing keys', 'private key', 'server certificate']

/** Returns what is wrong with a verdict on an entry whose files are in this folder; nothing if it is right. */
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
    problems.push(`the message names no file: ${sentence}`)
  if ('findings' in verdict) problems.push(...findDisagreements(folder, files, verdict))
  if ('peakMegabytes' in verdict && verdict.peakMegabytes > mostMegabytes)
    problems.push(`${verdict.peakMegabytes} megabytes`)
  if (secretKinds.includes(kind) || name.startsWith('webhooks')) {
    // A long run of base64 counts as a key or a secret.
    const runs = message.replaceAll(folder, '').match(/[\w+/-]{24,}/g) ?? []
    if (runs.some(run => Object.values(files).some(content => content.includes(run))))
      problems.push(`the message quotes the file: ${sentence}`)
  }
  return problems.map(problem => `${name}: ${problem}`)
}

/** Returns where the commands disagree with the load, or take too long. */
export function findDisagreements(folder: string, files: Entry['files'], verdict: Answer): string[] {
  const { load, findings, scanned, milliseconds } = verdict
  const isAboutFiles = ({ found }: Checked) => Object.keys(files).some(file => found.includes(join(folder, file)))
  const failures = findings.filter(finding => finding.verdict === 'failure' && isAboutFiles(finding))
  const unexpected = failures.filter(({ check, found }) => check !== 'authorities' && !refusedByOthers.test(found))
  const problems: string[] = []
  if (load === 'refused' && failures.length === 0) problems.push('refused, but the doctor reports nothing')
  if (load === 'loaded' && unexpected.length > 0)
    problems.push(`loaded, but the doctor reports: ${unexpected[0]?.found.slice(0, 500)}`)
  if (scanned !== undefined && scanned.findings + scanned.problems.length > 0)
    problems.push(`the scan finds ${scanned.findings} tokens, and cannot read: ${scanned.problems.join()}`)
  if (milliseconds > mostMilliseconds) problems.push(`takes ${milliseconds} ms`)
  return problems
}
