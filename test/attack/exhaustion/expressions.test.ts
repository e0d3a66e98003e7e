// Every regular expression of the source against 100 KB of worst-case input. DS09.
import { createContext, Script } from 'node:vm'
import t from 'tap'
import { findExpressions, hardInputs } from '../../helpers/server/exhaustion-expressions.ts'

t.setTimeout(120_000)
/** Milliseconds for inputs of this many characters; a hundred suffice for exponential behaviour to hang. */
const limits = { 100: 100, 10000: 20, 100000: 50 }
const { literals, built } = findExpressions('src')
/** Expressions for text of bounded length, with the longest text that their callers pass. */
const bounded: Readonly<Record<string, number>> = { 'src/scan/jwt.ts /[\\w-]*$/': 400 }
const sandbox = createContext()
const script = new Script('expression.exec(input)')

/** Milliseconds of this thread's CPU time, which other programs do not affect. */
function spent(): number {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1000
}

/** Milliseconds of an expression for an input, the best of three. */
function time(expression: RegExp, input: string, most: number): number {
  let best = Number.POSITIVE_INFINITY
  for (let round = 0; round < 3 && best > most; round++) {
    expression.lastIndex = 0
    const since = spent()
    if (input.length > 1000) expression.exec(input)
    else
      try {
        script.runInContext(Object.assign(sandbox, { expression, input }), { timeout: 1000 })
      } catch {
        return 1000
      }
    best = Math.min(best, spent() - since)
  }
  return best
}

/** An alternative that is bound to the beginning matches before another one is slow: each input also behind another character. */
function* startAnywhere({ source }: RegExp, inputs: Iterable<string>): Generator<string> {
  const hasBound = source.includes('|') && source.includes('^')
  for (const input of inputs) yield* hasBound ? [input, `\u0001${input}`] : [input]
}

/** Returns the first input that takes too long, with its time. */
function findSlow(expression: RegExp, longest = 100_000): { milliseconds: number; input: string } | undefined {
  for (const [length, most] of Object.entries(limits))
    for (const input of startAnywhere(expression, hardInputs(expression, Math.min(longest, Number(length))))) {
      const milliseconds = time(expression, input, most)
      if (milliseconds > most) return { milliseconds, input }
    }
  return undefined
}

t.test('finds slow expressions of every kind with the inputs', async t => {
  for (const slow of [/^(a+)+$/, /^(\w|a)*$/, /\s+$/, /^"(?:[^"]|\\.)*\d*\d*x/, /^a*?b?a*?c/, /^ +| +$/g])
    t.ok(findSlow(slow), String(slow))
  for (const quick of [/^a+$/, /^bearer ([A-Za-z0-9\-._~+/]+=*)$/i]) t.notOk(findSlow(quick), String(quick))
})

t.test('finds every expression in the source, and takes no division for one', async t => {
  t.ok(literals.length > 100, String(literals.length))
  const found = literals.map(({ file, expression }) => `${file} ${expression}`)
  t.ok(found.includes('src/verify/bearer.ts /^[!-~]+ ([A-Za-z0-9\\-._~+/]+=*)$/'))
  t.same(built, [], 'no expression is built from text, which the test could not find')
})

t.test('evaluates every regular expression in at most 50 ms for 100 KB (DS09)', async t => {
  for (const { file, line, expression } of literals) {
    const slow = findSlow(expression, bounded[`${file} ${expression}`])
    const { length, milliseconds = 0, start } = { ...slow, length: slow?.input.length, start: slow?.input.slice(0, 40) }
    if (slow)
      t.fail(
        `${file}:${line} ${expression}: ${Math.round(milliseconds)} ms for ${length} octets, ${JSON.stringify(start)}…`,
      )
  }
  t.pass(`${literals.length} expressions`)
})
