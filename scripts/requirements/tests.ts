// The tests that name requirements, read from their source text: a test speaks for a requirement when its title or its
// own text names the number. What stands in the header of a file speaks for nothing.
import { readdirSync, readFileSync } from 'node:fs'
import { reasons } from '../../src/core/errors.ts'

export interface Test {
  /** Relative to `test/`. */
  readonly file: string
  /** As it stands in the source; of a template, with `…` in the place of what is filled in. */
  readonly title: string
  readonly text: string
  /** Whether its text, or a constant or function of its file that it uses, expects something to be refused. */
  readonly refuses: boolean
}

/** Files with tests, below `test/`, and the tests that the package exports. */
export function findTestFiles(): string[] {
  const files = readdirSync('test', { recursive: true, encoding: 'utf8' })
  return [...files.filter(path => path.endsWith('.ts')).sort(), '../src/testing/store-contract.ts']
}

/** Every test, in the order of the files, but for those about the lab, and about this. */
export function readTests(): Test[] {
  return findTestFiles()
    .filter(path => !/^(helpers\/|lab\/|cli\/lab|compliance)/.test(path))
    .flatMap(path => findTests(path, readFileSync(`test/${path}`, 'utf8')))
}

/** `t.test` with a title that is written out; `attack`, a `t.test` with something after it; `promise`, of the store contract. */
const opening = /^( *)(?:t\.test|attack|promise)\(\s*(['"`])((?:\\.|(?!\2).)*)\2,/gm

/** The tests of one file. Each ends with the first line that closes it, indented as its first one. */
export function findTests(file: string, source: string): Test[] {
  const found = [...source.matchAll(opening)].map(({ index, 1: indent = '', 3: title = '' }) => {
    const rest = source.slice(index)
    const end = rest.search(new RegExp(`^${indent}\\}?\\)`, 'm'))
    return { file, title: readTitle(title), text: rest.slice(0, end === -1 ? undefined : end) }
  })
  const outside = found.reduce((left, { text }) => left.replace(text, ''), source)
  const refusing = findRefusing(outside)
  return found.map(test => ({ ...test, refuses: refusing(test.text) }))
}

/** Whether a text names `mark`: `N-24`, `ASVS 9.1.2`, `JW05`. */
export function names(text: string, mark: string): boolean {
  return new RegExp(`(?<![\\w.-])${mark.replaceAll('.', '\\.')}(?![\\w-]|\\.\\d)`).test(text)
}

/** Every number of a requirement that a text names. */
export function numbersIn(text: string): string[] {
  return [...text.matchAll(/(?<![\w-])(?:N-\d\d|ASVS \d+\.\d+\.\d+)(?!\w)/g)].map(([number]) => number)
}

function readTitle(written: string): string {
  return written.replaceAll(/\$\{[^}]*\}/g, '…').replaceAll(/\\(.)/g, '$1')
}

/** A refusal is expected by its status, its reason, an exception, or something that says so in its name. */
const refusal = new RegExp(
  `refus|\\.(?:throws|rejects)\\(|status: 4\\d\\d|inactive|'(?:${Object.keys(reasons).join('|')})'`,
)

/** A constant or function of a file, with the lines that belong to it: indented, or closing it. */
const declaration = /^(?:export )?(?:const|(?:async )?function) (\w+).*(?:\n[ )\]}].*)*/gm

/** Lines of a declaration that says one thing; what is longer is a table of many. */
const longest = 25

/** Knows a refusal also by the names that the file has for one, such as `const malformed = { status: 400 … }`. */
function findRefusing(outside: string): (text: string) => boolean {
  const declarations = [...outside.matchAll(declaration)].filter(([text]) => text.split('\n').length <= longest)
  const known = new Set<string>()
  const refuses = (text: string) =>
    refusal.test(text) || [...known].some(name => new RegExp(`(?<![\\w.'-])${name}\\b(?!:)`).test(text))
  for (let before = -1; before < known.size; ) {
    before = known.size
    for (const [text, name = ''] of declarations) if (refuses(text)) known.add(name)
  }
  return refuses
}
