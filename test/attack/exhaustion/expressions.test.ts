// Every regular expression of the source against 100 KB of what it likes least. DS09.
import { createContext, Script } from 'node:vm'
import t from 'tap'
import { findExpressions, hardInputs } from '../../helpers/server/exhaustion-expressions.ts'

t.setTimeout(120_000)
/** Milliseconds for inputs of so many characters; a hundred are enough for what is exponential to hang. */
const limits = { 100: 100, 10000: 20, 100000: 50 }
const { literals, built } = findExpressions('src')
/** Expressions that are not for text of any length, and the longest that their callers give them. */
const bounded: Readonly<Record<string, number>> = { 'src/scan/jwt.ts /[\\w-]*$/': 400 }
const sandbox = createContext()
const script = new Script('expression.exec(input)')

/** Milliseconds of this thread's processor time: those of the clock would be other programs' too. */
function spent(): number {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1000
}

/** Milliseconds that an expression takes for an input, the best of three. */
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

/** The first input that takes too long, and how long that is. */
function findSlow(expression: RegExp, longest = 100_000): { milliseconds: number; input: string } | undefined {
  for (const [length, most] of Object.entries(limits))
    for (const input of hardInputs(expression, Math.min(longest, Number(length)))) {
      const milliseconds = time(expression, input, most)
      if (milliseconds > most) return { milliseconds, input }
    }
  return undefined
}

t.test('the inputs find an expression that is slow, whatever makes it so', async t => {
  for (const slow of [/^(a+)+$/, /^(\w|a)*$/, /\s+$/, /^"(?:[^"]|\\.)*\d*\d*x/, /^a*?b?a*?c/])
    t.ok(findSlow(slow), String(slow))
  for (const quick of [/^a+$/, /^bearer ([A-Za-z0-9\-._~+/]+=*)$/i]) t.notOk(findSlow(quick), String(quick))
})

t.test('the scanner finds them all, and no division', async t => {
  t.ok(literals.length > 100, String(literals.length))
  const found = literals.map(({ file, expression }) => `${file} ${expression}`)
  t.ok(found.includes('src/verify/bearer.ts /^bearer ([A-Za-z0-9\\-._~+/]+=*)$/i'))
  t.same(built, [], 'none is built from text, which only people could look at')
})

t.test('no regular expression takes more than 50 ms for 100 KB (DS09)', async t => {
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
