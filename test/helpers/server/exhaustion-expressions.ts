// The regular expressions of the source, found by a minimal TypeScript scanner, and worst-case inputs of a backtracking
// matcher for each: a prefix that leads to a repetition, then what that repetition matches.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

export interface Found {
  readonly file: string
  readonly line: number
  readonly expression: RegExp
}

/** Returns all regular expressions of the TypeScript in a folder. Those built from text with `new RegExp` are marked. */
export function findExpressions(folder: string): { literals: Found[]; built: string[] } {
  const literals: Found[] = []
  const built: string[] = []
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter(name => /\.(ts|js)$/.test(name))
  for (const name of files.sort()) {
    const file = join(folder, name)
    const text = readFileSync(file, 'utf8')
    for (const { at, source, flags } of scan(text))
      literals.push({ file, line: text.slice(0, at).split('\n').length, expression: new RegExp(source, flags) })
    if (/\bRegExp\(/.test(text)) built.push(file)
  }
  return { literals, built }
}

interface Literal {
  readonly at: number
  readonly source: string
  readonly flags: string
}

/** Comments, strings, a piece of a template, regular expressions where a value may begin, words, and the rest. */
const token =
  /\/\/.*|\/\*[\s\S]*?\*\/|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\[\s\S]|\$(?!\{)|[^`\\$])*(?:`|\$\{)|\/(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\[\n])+\/[dgimsuvy]*|[\w$]+|[^\s\w]/g

function scan(text: string): Literal[] {
  const found: Literal[] = []
  const braces: string[] = [] // the construct of each open brace
  const expression = new RegExp(token)
  let previous = ''
  for (let match = expression.exec(text); match !== null; match = expression.exec(text)) {
    let [piece] = match
    const { index } = match
    if (/^\/[/*]/.test(piece)) continue
    if (piece === '}' && braces.pop() === '`') {
      const rest = /^\}(?:\\[\s\S]|\$(?!\{)|[^`\\$])*(?:`|\$\{)/.exec(text.slice(index))
      if (rest === null) throw new Error('a template has no end')
      piece = rest[0]
      expression.lastIndex = index + piece.length
    }
    if (piece === '{') braces.push('{')
    else if (/^[`}]/.test(piece) && piece.endsWith('${')) braces.push('`')
    if (piece.length > 1 && piece.startsWith('/')) {
      if (mayBegin(previous)) {
        const end = piece.lastIndexOf('/')
        found.push({ at: index, source: piece.slice(1, end), flags: piece.slice(end + 1) })
      } else expression.lastIndex = index + 1 // a division
    }
    previous = piece
  }
  return found
}

/** Whether a value may begin after a piece, so that a slash is not a division. */
function mayBegin(previous: string): boolean {
  return (
    previous === '' ||
    /^(?:[(,=:[!&|?{};+\-*%<>~^]|return|typeof|case|in|of|void)$/.test(previous) ||
    previous.endsWith('${')
  )
}

/** Returns worst-case inputs of `length` characters for an expression. */
export function* hardInputs({ source, flags }: RegExp, length: number): Generator<string> {
  for (const { before, pump } of findPumps(source, flags))
    for (const after of ['', '\0']) yield before + pump.repeat(Math.ceil(length / pump.length)).slice(0, length) + after
}

interface Pump {
  readonly before: string
  readonly pump: string
}

const common = [
  'a',
  '0',
  ' ',
  '\t',
  '\n',
  '-',
  '_',
  '.',
  ',',
  ';',
  ':',
  '=',
  '/',
  '\\',
  '"',
  "'",
  '+',
  '*',
  '%',
  'ü',
  '\0',
  '=a',
  ' a',
  'a.',
  'a=',
  '"a',
  '\\"',
  'a ',
  ', ',
  '--',
]

/**
 * Returns the general inputs, and for each repetition of this expression a prefix that leads to it and a text that it
 * matches.
 */
function findPumps(source: string, flags: string): Pump[] {
  const found: Pump[] = common.flatMap(pump => [{ before: '', pump }])
  const letters = [...new Set(source.replace(/\\[a-zA-Z]|[\\()[\]{}|?*+^$]/g, ''))]
  found.push(...letters.map(pump => ({ before: '', pump })))
  const atoms = readAtoms(source, flags)
  let before = ''
  for (const { sample, repeats } of atoms) {
    if (repeats) for (const pump of [sample, 'a', '0', ' ', '.', '"', '\\', 'a ', 'a=']) found.push({ before, pump })
    before += sample
  }
  const whole = atoms.map(({ sample }) => sample).join('')
  if (whole !== '') found.push({ before: '', pump: whole })
  return found
}

/**
 * Returns the parts of an expression in order, with groups flattened: a character that each matches, and whether it repeats.
 */
function readAtoms(source: string, flags: string): { sample: string; repeats: boolean }[] {
  const atom =
    /\\(?:[pPu]\{[^}]*\}|x[\da-f]{2}|u[\da-f]{4}|.)|\[(?:\\.|[^\]\\])*\]|\(\?(?:[:=!]|<[=!]|<\w+>)|[()|^$]|./gisu
  const quantifier = /^(?:[*+?]|\{\d+(?:,\d*)?\})\??/
  const atoms: { sample: string; repeats: boolean }[] = []
  let at = 0
  while (at < source.length) {
    atom.lastIndex = at
    const piece = atom.exec(source)?.[0] ?? source.charAt(at)
    at += piece.length
    const after = quantifier.exec(source.slice(at))?.[0] ?? ''
    at += after.length
    if (/^(?:\(\?(?:[:=!]|<[=!]|<\w+>)|[()|^$]|\\[bB])$/.test(piece)) continue
    atoms.push({ sample: sampleOf(piece, flags), repeats: /^(?:[*+]|\{\d+,)/.test(after) })
  }
  return atoms
}

const candidates = Array.from({ length: 127 }, (_, index) => String.fromCharCode((index + 97) % 127)).concat(
  'ü',
  '\u2028',
  '\ufeff',
  '\ud800',
)

/** Returns a character that a part of an expression matches. */
function sampleOf(piece: string, flags: string): string {
  const one = new RegExp(`^(?:${piece})$`, flags.replace(/[gy]/g, ''))
  return candidates.find(character => one.test(character)) ?? 'a'
}
