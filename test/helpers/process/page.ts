// Runs the commands of a page of the documentation as a reader would: in one shell, in order, in one folder.
//
// Blocks marked `sh` must succeed. In a `console` block each line that begins with `$ ` is a command, and the lines below
// it are its output. `…` there stands for anything, and a line of `…` for any number of lines. Invisible comments right
// above a block change that:
//   <!-- not run: REASON -->   the test machine cannot run it
//   <!-- keeps running -->     a server: started, waited for until it has said what is shown, ended with the page
//   <!-- exit: 1 -->           the last command of the block ends with this code
//   <!-- file: NAME -->        the reader saves the block under this name
import { type ChildProcess, spawn } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { basicEnvironment } from './basic-environment.ts'

export interface Block {
  readonly line: number
  readonly language: string
  readonly text: string
  readonly notRun?: string | undefined
  readonly keepsRunning: boolean
  readonly exit: number
  readonly file?: string | undefined
}

/** Returns the blocks of a page that are commands or files, in order. */
export function parseBlocks(page: string): Block[] {
  const fence = /^(?: *<!-- (not run: |keeps running|exit: |file: )([^\n]*?) ?-->\n)?( *)```(\w*)\n([\s\S]*?)^\3```$/gm
  return [...page.matchAll(fence)].flatMap(match => {
    const [whole, directive, value = '', indent = '', language = '', text = ''] = match
    const isCommand = language === 'sh' || language === 'console'
    if (!isCommand && directive !== 'file: ') return []
    return [
      {
        line: page.slice(0, match.index + whole.indexOf('```')).split('\n').length,
        language,
        text: text.replaceAll(new RegExp(`^${indent}`, 'gm'), ''),
        notRun: directive === 'not run: ' ? value : undefined,
        keepsRunning: directive === 'keeps running',
        exit: directive === 'exit: ' ? Number(value) : 0,
        file: directive === 'file: ' ? value : undefined,
      },
    ]
  })
}

interface Step {
  /** Commands of a block of `sh`, each of which must succeed. */
  readonly command: string
  /** Undefined: any output. */
  readonly output?: string
}

function stepsOf({ language, text }: Block): Step[] {
  if (language === 'sh') return [{ command: text }]
  const steps: { command: string; output: string }[] = []
  let continues = false
  for (const line of text.trimEnd().split('\n')) {
    const last = steps.at(-1)
    if (continues && last) last.command += `\n${line}`
    else if (line.startsWith('$ ')) steps.push({ command: line.slice(2), output: '' })
    else if (last) last.output += `${line}\n`
    else throw new Error(`a console block begins with a command, not with: ${line}`)
    continues = (continues || line.startsWith('$ ')) && line.endsWith('\\')
  }
  return steps
}

export interface PageOptions {
  readonly folder: string
  /** Shell commands that run before those of the page. */
  readonly prelude?: string
  readonly env?: Readonly<Record<string, string>>
  /** Text of the page, and its replacement on the test machine, such as a port. */
  readonly places?: readonly (readonly [page: string, here: string])[]
}

export type Setup = (t: Test) => Promise<PageOptions>

/** Runs pages, each in its setup, and reports how many of their blocks ran. `PAGE=name` runs that page only. */
export async function runPages(t: Test, setups: Readonly<Record<string, Setup>>): Promise<void> {
  const { PAGE: only } = process.env
  const total = { run: 0, notRun: 0 }
  for (const [page, setup] of Object.entries(setups)) {
    if (only !== undefined && !page.endsWith(only)) continue
    await t.test(`docs/${page}.md shows what its commands do`, async t => {
      const { run, notRun } = await runPage(t, `docs/${page}.md`, await setup(t))
      total.run += run
      total.notRun += notRun
      t.comment(`docs/${page}.md: ${run} blocks run, ${notRun} not run`)
    })
  }
  t.comment(`all pages: ${total.run} blocks run, ${total.notRun} not run`)
}

interface PageRun {
  readonly run: number
  readonly notRun: number
}

/** Runs all blocks of a page. Each command is one assertion. */
async function runPage(t: Test, path: string, options: PageOptions): Promise<PageRun> {
  const { folder, prelude = '', places = [] } = options
  const here = (text: string) => places.reduce((all, [page, local]) => all.replaceAll(page, local), text)
  const there = (text: string) => places.reduceRight((all, [page, local]) => all.replaceAll(local, page), text)
  const shell = openShell(t, options)
  await shell.run(`${prelude}\n`)
  const count = { run: 0, notRun: 0 }
  for (const block of parseBlocks(readFileSync(path, 'utf8'))) {
    const where = `${path}:${block.line}`
    if (block.file !== undefined) {
      writeFileSync(join(folder, here(block.file)), here(block.text))
      continue
    }
    if (block.notRun !== undefined) {
      count.notRun++
      continue
    }
    count.run++
    const steps = stepsOf(block)
    for (const [index, { command, output }] of steps.entries()) {
      const name = `${where}: ${command.trim().split('\n')[0]}`
      const isLast = index === steps.length - 1
      const wanted = output === undefined ? undefined : toPattern(output, block.keepsRunning && isLast)
      if (block.keepsRunning && isLast) {
        const shown = await shell.start(here(command), text => wanted?.test(normalize(there(text))) ?? true)
        t.match(normalize(there(shown)), wanted ?? /^/, name)
        continue
      }
      const { code, shown } = await shell.run(here(command), block.language === 'sh')
      const exit = isLast ? block.exit : 0
      if (code !== exit) t.fail(`${name}: ends with ${code} and not ${exit}`, { shown })
      else if (wanted !== undefined) t.match(normalize(there(shown)), wanted, name)
      else t.pass(name)
    }
  }
  t.ok(count.run > 0, `${path} has commands`)
  return count
}

/** Replaces what differs in each run: ids, thumbprints, times, tokens. */
function normalize(text: string): string {
  return text
    .trimEnd()
    .replaceAll(/\beyJ[\w-]+\.[\w-]+\.[\w-]+/g, 'JWT')
    .replaceAll(/\btlsbound_(rt|at)_\w{49}/g, 'tlsbound_$1_X')
    .replaceAll(/\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b/g, 'UUID')
    .replaceAll(/(?<![\w-])[\w-]{43}(?![\w-])/g, 'THUMBPRINT')
    .replaceAll(/\b[0-9a-f]{32,40}\b/g, 'SERIAL')
    .replaceAll(/\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z/g, 'TIME')
    .replaceAll(/[ \t]+$/gm, '')
}

function toPattern(output: string, isBeginning: boolean): RegExp {
  const lines = normalize(output).split('\n')
  const parts = lines.map(line => {
    if (line.trim() === '…') return '(?:[^\\n]*\\n)*?[^\\n]*'
    return line
      .split('…')
      .map(text => text.replaceAll(/[\\^$.*+?()[\]{}|]/g, '\\$&'))
      .join('[^\\n]*')
  })
  return new RegExp(`^${parts.join('\\n')}${isBeginning ? '' : '$'}`)
}

interface Shell {
  /** With `isStrict`, the first failing command ends the shell. */
  run(command: string, isStrict?: boolean): Promise<{ code: number; shown: string }>
  /** Starts a command that does not end, and returns its output as soon as `isReady`. */
  start(command: string, isReady: (shown: string) => boolean): Promise<string>
}

const longest = 120_000 // milliseconds for one command

function openShell(t: Test, { folder, env = {} }: PageOptions): Shell {
  // A process group of its own, so that everything that a page has started ends with it.
  const bash: ChildProcess = spawn('bash', ['--noprofile', '--norc'], {
    cwd: folder,
    env: { ...basicEnvironment, HOME: process.env.HOME ?? folder, LC_ALL: 'C.UTF-8', ...env },
    stdio: ['pipe', 'pipe', 'inherit'],
    detached: true,
  })
  const ended = new Promise<void>(done => bash.once('exit', () => done()))
  t.teardown(async () => {
    try {
      process.kill(-(bash.pid as number), 'SIGKILL')
    } catch {
      // It has ended.
    }
    await ended
  })
  let heard = ''
  bash.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
    heard += chunk
  })
  let number = 0
  const write = (command: string) => {
    number++
    const script = join(folder, `.step-${number}`)
    writeFileSync(script, command)
    return { script, output: `${script}.out`, mark: `step ${number} ended with` }
  }
  return {
    async run(command, isStrict = false) {
      if (bash.exitCode !== null) throw new Error('an earlier command has ended the shell')
      const { script, output, mark } = write(isStrict ? `set -e\n${command}\nset +e\n` : command)
      bash.stdin?.write(`. ${script} </dev/null >${output} 2>&1; echo "${mark} $?"\n`)
      const pattern = new RegExp(`${mark} (\\d+)\\n`)
      await waitFor(
        () => pattern.test(heard) || bash.exitCode !== null,
        () => `${command}: does not end`,
      )
      return { code: Number(pattern.exec(heard)?.[1] ?? Number.NaN), shown: readFileSync(output, 'utf8') }
    },
    async start(command, isReady) {
      const { script, output } = write(command)
      writeFileSync(output, '')
      bash.stdin?.write(`. ${script} </dev/null >${output} 2>&1 &\n`)
      const shown = () => readFileSync(output, 'utf8')
      await waitFor(
        () => isReady(shown()),
        () => `${command}: the output is not that of the page: ${shown()}`,
      )
      return shown()
    },
  }
}

async function waitFor(isTrue: () => boolean, message: () => string): Promise<void> {
  const until = performance.now() + longest
  while (!isTrue()) {
    if (performance.now() > until) throw new Error(message())
    await new Promise(done => setTimeout(done, 20))
  }
}
