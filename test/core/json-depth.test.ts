// JSON of other parties has a maximum depth when it is parsed, because JSON.stringify overflows the stack on deeper values.
import t from 'tap'
import { parseObject } from '../../src/core/compact-jws.ts'
import { isTooDeep, maximumDepth } from '../../src/core/json-depth.ts'
import { parseDocument } from '../../src/outgoing/document.ts'
import { decodeToken } from '../../src/text/describe-token.ts'

const arrays = (depth: number) => `${'['.repeat(depth)}${']'.repeat(depth)}`
const objects = (depth: number) => `${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`

t.test('accepts a hundred levels, and no more', async t => {
  for (const nest of [arrays, objects]) {
    t.notOk(isTooDeep(nest(maximumDepth)))
    t.ok(isTooDeep(nest(maximumDepth + 1)))
    t.ok(isTooDeep(nest(30_000)))
  }
  t.notOk(isTooDeep(`[${'[],{},'.repeat(1000)}0]`), 'siblings do not count')
})

t.test('ignores brackets in strings, whatever is escaped there', async t => {
  t.notOk(isTooDeep(JSON.stringify(arrays(1000))))
  t.notOk(isTooDeep(JSON.stringify({ a: `\\"${arrays(200)}`, b: `"${arrays(200)}\\` })))
  t.ok(isTooDeep(`{"a":"\\\\","b":${arrays(101)}}`), 'after a string that ends with a backslash')
})

t.test('rejects deep JSON when it parses parts of tokens and proofs, and fetched documents', async t => {
  const deep = `{"a":${arrays(30_000)}}`
  t.throws(() => structuredClone(JSON.parse(deep)), RangeError, 'why depth matters')
  const encode = (text: string) => Buffer.from(text).toString('base64url')
  t.equal(parseObject(deep), undefined)
  t.equal(decodeToken(`${encode('{}')}.${encode(deep)}.x`), undefined)
  t.throws(() => parseDocument('https://idp.example', {}, Buffer.from(deep)), {
    code: 'unexpected_content',
    message: /nested more than 100 levels deep/,
  })
  const fine = `{"a":${arrays(maximumDepth - 1)}}`
  t.ok(parseObject(fine), 'control')
  t.ok(decodeToken(`${encode('{}')}.${encode(fine)}.x`), 'control')
  t.ok(parseDocument('https://idp.example', {}, Buffer.from(fine)), 'control')
})
