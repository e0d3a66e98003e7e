// npm test: runs the type check, the linter, the import check and every test file. The last line of output is the number of
// passed and failed checks. `npm test -- test/core` runs the files of a folder, or a single one.
//
// Runs each file as `node FILE` and parses its TAP. tap's own runner redraws its lines in log files too, and loses results of
// other files after one that times out. With OTHER_NODE, the path of another Node, `npm test` also runs the tests of the core, of
// TLS and of attacks on that one.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { globSync, rmSync } from 'node:fs'
import { delimiter, dirname, resolve } from 'node:path'
import { createInterface } from 'node:readline'

/** Files that run at the same time. */
const jobs = 2

/** Seconds that a file may take, unless it calls `t.setTimeout()`. A file that does not end is killed. */
const timeout = Number(process.env.TAP_TIMEOUT ?? 240)
const killAfter = 3 * timeout

/** The temporary folder of the tests. It outlives each test, since a server may still write into it after the test. */
const folders = '.tap/fixtures'

const compiled = resolve('node_modules/.cache/tlsbound-tests')

const chosen = process.argv.slice(2).map(path => path.replace(/^\.\/|\/+$/g, ''))
const files = globSync('test/**/*.test.ts')
  .filter(file => chosen.length === 0 || chosen.some(path => file === path || file.startsWith(`${path}/`)))
  .sort()
/** Those that depend on what Node does with TLS and HTTP. */
const nodeFolders = /^test\/(?:core|tls|verify|attack\/(?:certificate|connection|http|proof|signed|tls|token)\/)/
const other = chosen.length === 0 ? process.env.OTHER_NODE : undefined
const runs: readonly Run[] = [
  ...files.map(file => ({ file, node: process.execPath, name: file })),
  ...(other === undefined ? [] : onOther(other)),
]
const failures: string[] = []
let passed = 0

const running = new Set<ChildProcess>()
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => {
    for (const child of running) child.kill('SIGKILL')
    process.exit(1)
  })

if (files.length === 0) failures.push('no test file was found')
const queue = runs.values() // shared by all workers: each file is run once
await Promise.all(
  Array.from({ length: jobs }, async (_job, index) => {
    if (index === 0) await runChecks()
    for (const { file, node, name } of queue) {
      const start = performance.now()
      const result = await runFile(file, node)
      const seconds = Math.round((performance.now() - start) / 1000)
      passed += result.passed
      failures.push(...result.failures.map(failure => `${name}: ${failure}`))
      const { length } = result.failures
      console.log(`${length === 0 ? 'ok' : 'not ok'} ${name}: ${result.passed} passed, ${length} failed, ${seconds} s`)
    }
  }),
)
rmSync(folders, { recursive: true, force: true })

console.log()
for (const failure of failures.sort()) console.log(`not ok: ${failure}`)
console.log(`${passed} passed, ${failures.length} failed`)
process.exitCode = failures.length > 0 ? 1 : 0

/** Returns the files to run on the Node at `path`, named with its version. @throws Error when it is no Node. */
function onOther(path: string): Run[] {
  const version = execFileSync(path, ['--version'], { encoding: 'utf8' }).trim()
  const chosenFiles = files.filter(file => nodeFolders.test(file))
  return chosenFiles.map(file => ({ file, node: resolve(path), name: `${file} (Node ${version})` }))
}

async function runChecks(): Promise<void> {
  const options = { stdio: 'inherit', shell: process.platform === 'win32' } as const
  const checks = spawn('npm', ['run', '--silent', 'check'], options)
  running.add(checks)
  const [status] = await once(checks, 'exit')
  running.delete(checks)
  if (status !== 0) failures.push('npm run check')
}

/** A file, the Node that runs it, and the name of both in the output. */
interface Run {
  readonly file: string
  readonly node: string
  readonly name: string
}

interface Result {
  passed: number
  /** The failures, with their details. */
  readonly failures: string[]
}

async function runFile(file: string, node: string): Promise<Result> {
  const child = spawn(node, ['--conditions=tlsbound-source', file], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: {
      ...process.env,
      PATH: [dirname(node), process.env.PATH].join(delimiter), // for what a test starts
      TAP_TIMEOUT: String(timeout),
      TAP_SAVE_FIXTURE: '1',
      NODE_COMPILE_CACHE: compiled, // a tenth to a third of what starting a process costs
    },
  })
  running.add(child)
  const timer = setTimeout(() => child.kill('SIGKILL'), killAfter * 1000)
  const exit = once(child, 'exit').then(([status, signal]) => {
    clearTimeout(timer)
    running.delete(child)
    setTimeout(() => child.stdout.destroy(), 1000).unref() // a process left behind by the file may still have it open
    return signal ?? `exit code ${status}`
  })
  const { isComplete, ...result } = await readTap(createInterface({ input: child.stdout }))
  const end = await exit
  if (result.failures.length > 0) return result
  if (end !== 'exit code 0') result.failures.push(`ended with ${end}, though no check failed`)
  else if (!isComplete) result.failures.push('ended before its tests did, or has none')
  return result
}

/**
 * Parses the assertions of TAP 14: how many passed, and each failure as the names of its tests and the details that follow.
 * The test point that closes a test is not an assertion, unless the test failed without one.
 */
async function readTap(lines: AsyncIterable<string>): Promise<Result & { isComplete: boolean }> {
  const result = { passed: 0, failures: [] as string[], isComplete: false }
  const { failures } = result
  const open: { indent: number; name: string; failed: number }[] = [] // the tests that are still open
  let details: number | undefined // the indentation of the details of the latest failure
  for await (const line of lines) {
    if (/^1\.\.[1-9]/.test(line)) result.isComplete = true
    const [, space = '', subtest, not, point] = /^( *)(?:# Subtest: (.*)|(not )?ok\b(.*))?/.exec(line) ?? []
    const indent = space.length
    if (details !== undefined && indent >= details && point === undefined) {
      failures.push(`${failures.pop()}\n${line}`)
      if (line.trim() === '...') details = undefined
    } else if (subtest !== undefined) {
      open.push({ indent, name: subtest, failed: failures.length })
    } else if (point !== undefined) {
      details = undefined
      while ((open.at(-1)?.indent ?? 0) > indent) open.pop() // a process that exits closes none of its tests
      const closed = open.at(-1)?.indent === indent ? open.pop() : undefined
      if (not !== undefined && !/ # TODO\b/i.test(point)) {
        if (closed !== undefined && failures.length > closed.failed) continue
        failures.push([...open.map(({ name }) => name), point.replace(/^[ \d-]+/, '')].join(' > '))
        details = indent + 2
      } else if (closed === undefined && not === undefined && !/ # SKIP\b/i.test(point)) result.passed++
    }
  }
  return result
}
