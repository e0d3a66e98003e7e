// The tests that name requirements, from their source text. A test counts for a requirement if its title or its own text has
// the number; the header of a file does not count.
import { readdirSync, readFileSync } from 'node:fs'
import { reasons } from '../../src/core/errors.ts'

export interface Test {
  /** Relative to `test/`. */
  readonly file: string
  /** As in the source; `…` replaces the placeholders of a template. */
  readonly title: string
  readonly text: string
  /** Whether its text, or a constant or function of its file that it uses, expects a refusal. */
  readonly refuses: boolean
}

/** Files with tests, below `test/`, and the tests that the package exports. */
export function findTestFiles(): string[] {
  const files = readdirSync('test', { recursive: true, encoding: 'utf8' })
  const contract = readdirSync('src/testing/store-contract').map(name => `../src/testing/store-contract/${name}`)
  return [...files.filter(path => path.endsWith('.ts')).sort(), ...contract.sort()]
}

/** Every test, in the order of the files, but for those about the lab, and about this. */
export function readTests(): Test[] {
  return findTestFiles()
    .filter(path => !/^(helpers\/|lab\/|cli\/lab|compliance)/.test(path))
    .flatMap(path => findTests(path, readFileSync(`test/${path}`, 'utf8')))
}

/** `t.test` with a title that is written out; `attack`, a `t.test` with something after it; `promise`, of the store contract. */
const opening = /^( *)(?:t\.test|attack|promise)\(\s*(['"`])((?:\\.|(?!\2).)*)\2,/gm

/** Returns the tests of one file. Each ends with the first line that closes it at its indentation. */
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

/** Whether a text contains `mark`: `N-24`, `ASVS 9.1.2`, `JW05`. */
export function names(text: string, mark: string): boolean {
  return new RegExp(`(?<![\\w.-])${mark.replaceAll('.', '\\.')}(?![\\w-]|\\.\\d)`).test(text)
}

/** Returns every number of a requirement in a text. */
export function numbersIn(text: string): string[] {
  return [...text.matchAll(/(?<![\w-])(?:N-\d\d|ASVS \d+\.\d+\.\d+)(?!\w)/g)].map(([number]) => number)
}

function readTitle(written: string): string {
  return written.replaceAll(/\$\{[^}]*\}/g, '…').replaceAll(/\\(.)/g, '$1')
}

/** A refusal is expected by a status, a reason, an exception, or a word for it. */
const refusal = new RegExp(
  `refus|\\breject(?:s|ed)\\b|\\.(?:throws|rejects)\\(|status: 4\\d\\d|inactive|'(?:${Object.keys(reasons).join('|')})'`,
)

/** A constant or function of a file, with its lines: indented, or closing it. */
const declaration = /^(?:export )?(?:const|(?:async )?function) (\w+).*(?:\n[ )\]}].*)*/gm

/** The longest declaration that counts, in lines; a longer one is a table of many cases. */
const longest = 25

/** Also recognises a refusal by a name of the file for one, such as `const malformed = { status: 400 … }`. */
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
