// The parser of JSON files: accepts what JSON.parse accepts, except duplicate members, and reports the position of an error.
import fc from 'fast-check'
import t from 'tap'
import { FileProblem } from '../../src/files/file-problem.ts'
import { findJsonProblem, parseJsonText } from '../../src/files/json-text.ts'

const problemOf = (content: string | Buffer, wanted: 'array' | 'object' = 'array') => {
  try {
    return `no problem: ${JSON.stringify(parseJsonText(Buffer.from(content as string), 'list.json', wanted))}`
  } catch (error) {
    if (error instanceof FileProblem) return error.message
    throw error
  }
}

t.test('parses what JSON.parse parses, with or without a byte-order mark', t => {
  const good = [
    '[]',
    ' [ {"a": [1, -2.5e+7, true, false, null, "\\u00e9\\n\\"/\u2028\u007f"]} ]\r\n',
    '[{"a":{"a":1}},{"a":2}]',
  ]
  for (const text of good)
    for (const mark of ['', '\ufeff'])
      t.same(
        parseJsonText(Buffer.from(mark + text), 'list.json', 'array'),
        JSON.parse(text),
        `text of ${text.length} characters`,
      )
  const { a } = parseJsonText(Buffer.from('{"__proto__": 1, "a": 2}'), 'x', 'object') as { a: number }
  t.equal(a, 2)
  t.end()
})

t.test('reports the position and the kind of an error', t => {
  const wrong: Record<string, readonly [text: string | Buffer, says: string]> = {
    'a comma before ]': [
      '[\n  1,\n  2,\n]',
      'list.json, line 3, column 4: there is a comma before ]; remove the comma',
    ],
    'a comma before }': ['[{"a": 1,}]', 'list.json, line 1, column 9: there is a comma before }; remove the comma'],
    'two commas': ['[1,,2]', 'list.json, line 1, column 4: , is not expected here'],
    'a missing comma': ['[{"a": 1\r\n"b": 2}]', 'list.json, line 2, column 1: a comma is missing before this'],
    'a missing colon': ['[{"a" 1}]', 'list.json, line 1, column 7: a colon is missing between a name and its value'],
    'a missing value': ['[{"a": }]', 'list.json, line 1, column 8: } is not expected here'],
    'a missing quote': [
      '[{"a: 1}]',
      'list.json, line 1, column 3: this string has no closing quote, or contains a character that must be escaped with a backslash',
    ],
    'a line end in a string': [
      '[{"a": "x\ny"}]',
      'list.json, line 1, column 8: this string has no closing quote, or contains a character that must be escaped with a backslash',
    ],
    'an unknown escape': [
      '["\\x"]',
      'list.json, line 1, column 2: this string has no closing quote, or contains a character that must be escaped with a backslash',
    ],
    'a name without quotes': [
      '[{a: 1}]',
      'list.json, line 1, column 3: this word is not JSON; put strings and names in double quotes',
    ],
    'a name that is a number': [
      '[{1: 1}]',
      'list.json, line 1, column 3: the name of a member must be a string in double quotes',
    ],
    'single quotation marks': [
      "[{'a': 1}]",
      'list.json, line 1, column 3: strings and names need straight double quotes',
    ],
    'typographic quotation marks': [
      '[“a”]',
      'list.json, line 1, column 2: strings and names need straight double quotes',
    ],
    'a line comment': [
      '// clients\n[]',
      'list.json, line 1, column 1: comments are not part of JSON; remove the comment',
    ],
    'a shell comment': [
      '[\n# alice\n]',
      'list.json, line 2, column 1: comments are not part of JSON; remove the comment',
    ],
    'an inline comment': [
      '[1 /* one */]',
      'list.json, line 1, column 4: comments are not part of JSON; remove the comment',
    ],
    'a duplicate member': [
      '[{"a": 1,\n "b": 2,\n "a": 3}]',
      'list.json, line 3, column 2: this member occurs twice in its object; remove one of them',
    ],
    'a duplicate member in two spellings': [
      '[{"a": 1, "\\u0061": 3}]',
      'list.json, line 1, column 11: this member occurs twice in its object; remove one of them',
    ],
    'a duplicate __proto__': [
      '[{"__proto__": 1, "__proto__": 3}]',
      'list.json, line 1, column 19: this member occurs twice in its object; remove one of them',
    ],
    'a missing closing bracket': [
      '[{"a": 1}',
      'list.json, line 1, column 10: the text ends inside the array that begins at line 1, column 1',
    ],
    'a truncated object': [
      '[\n {"a":',
      'list.json, line 2, column 7: the text ends inside the object that begins at line 2, column 2',
    ],
    'the wrong closing bracket': ['[1}', 'list.json, line 1, column 3: } is not expected here'],
    'two values': ['[]\n[]', 'list.json, line 2, column 1: there is text after the end of the value; remove it'],
    'a number with a leading zero': ['[01]', 'list.json, line 1, column 2: this number is not valid JSON'],
    'a number with a plus sign': ['[+1]', 'list.json, line 1, column 2: this number is not valid JSON'],
    NaN: ['[NaN]', 'list.json, line 1, column 2: this word is not JSON; put strings and names in double quotes'],
    'an invalid character': ['[\u0000]', 'list.json, line 1, column 2: this character is not JSON'],
    'a column after characters of two UTF-16 units': [
      '["😀" x]',
      'list.json, line 1, column 6: this word is not JSON; put strings and names in double quotes',
    ],
    'deep nesting': [
      '['.repeat(101),
      'list.json, line 1, column 101: objects and arrays are nested more than 100 deep',
    ],
    nothing: ['', 'list.json: the file is empty, JSON is needed'],
    'white space': [' \r\n', 'list.json: the file is empty, JSON is needed'],
    'an object': ['{}', 'list.json: the outermost value is an object, an array is needed'],
    'a string': ['"x"', 'list.json: the outermost value is a string, an array is needed'],
    null: ['null', 'list.json: the outermost value is null, an array is needed'],
    PEM: [['-----BEGIN', 'PRIVATE KEY-----\n'].join(' '), 'list.json, line 1, column 1: this is PEM, JSON is needed'],
    'a web page': ['<!doctype html>', 'list.json, line 1, column 1: this is a web page (HTML or XML), JSON is needed'],
    'UTF-16': [
      Buffer.from('\ufeff[]', 'utf16le'),
      'list.json: this is UTF-16 text, UTF-8 is needed; convert it: iconv -f UTF-16 -t UTF-8 list.json > NEW-FILE',
    ],
    'UTF-16 without a byte-order mark': [
      Buffer.from('[{}]', 'utf16le').swap16(),
      'list.json: this is UTF-16 text, UTF-8 is needed; convert it: iconv -f UTF-16BE -t UTF-8 list.json > NEW-FILE',
    ],
    'Latin-1': [
      Buffer.from('["Müller"]', 'latin1'),
      'list.json: this is not UTF-8 text, UTF-8 is needed; if it is Latin-1, convert it: iconv -f ISO-8859-1 -t UTF-8 list.json > NEW.json',
    ],
  }
  for (const [name, [text, says]] of Object.entries(wrong)) t.equal(problemOf(text), says, name)
  t.equal(problemOf('[]', 'object'), 'list.json: the outermost value is an array, an object is needed')
  t.end()
})

t.test('quotes no content of a file', t => {
  for (const text of [
    '[{"secret": "whsec_CANARY}',
    '{"CANARY": 1, "CANARY": 2}',
    'CANARY',
    '["\\CANARY"]',
    '["a" "CANARY"]',
  ])
    t.notMatch(problemOf(text), 'CANARY', text)
  t.end()
})

t.test('finds an error exactly if JSON.parse does, in generated texts', t => {
  const parses = (text: string) => {
    try {
      JSON.parse(text)
      return true
    } catch {
      return false
    }
  }
  const twice = /twice|deep/
  const change = fc.tuple(fc.nat(), fc.constantFrom(...'{}[]:,"\\ 01-+.eEnu\n\u0000tx/'), fc.constantFrom(0, 1))
  fc.assert(
    fc.property(fc.json({ maxDepth: 4 }), fc.array(change, { maxLength: 3 }), (json, changes) => {
      let text = json
      for (const [at, character, removed] of changes) {
        const index = at % (text.length + 1)
        text = text.slice(0, index) + character + text.slice(index + removed)
      }
      const problem = findJsonProblem(text)
      if (problem === undefined || !twice.test(problem.found)) return (problem === undefined) === parses(text)
      return true
    }),
    { numRuns: 5000, seed: 8259 },
  )
  t.end()
})

t.test('takes time linear in the length of a text', t => {
  const size = 4 << 20
  const hostile = {
    brackets: '['.repeat(size),
    spaces: `[${' '.repeat(size)}x`,
    'a long string': `["${'a'.repeat(size)}`,
    'many escapes': `["${'\\n'.repeat(size / 2)}"]`,
    'many names': `{${Array.from({ length: size / 16 }, (_, index) => `"${index}":1`).join()},}`,
    'a long number': `[1${'0'.repeat(size)}x]`,
    'many lines': `[${'\n'.repeat(size)}x`,
  }
  for (const [name, text] of Object.entries(hostile)) {
    const began = performance.now()
    findJsonProblem(text)
    t.ok(performance.now() - began < 20_000, name)
  }
  t.end()
})
