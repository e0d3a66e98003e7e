// The check of options: each wrong, missing or unknown member is named, and no message quotes a long text or PEM.
import t from 'tap'
import { booleanRule, checkOptions, filledRule, oneOf, pemRule, type Rules } from '../../src/core/check-options.ts'

const required: Rules = { name: filledRule }
const optional: Rules = { isOpen: booleanRule, level: oneOf(['low', 'high']), ca: pemRule }
const check = (options: unknown, of?: string) => checkOptions(options, of, required, optional)
const label = 'PRIVATE KEY'
const pem = `-----BEGIN ${label}-----\nMIIsecret\n-----END ${label}-----\n`

t.test('accepts valid options, and optional ones that are undefined', async t => {
  for (const options of [
    { name: 'a' },
    { name: 'a', isOpen: false, level: 'low', ca: pem },
    { name: 'a', isOpen: undefined, level: undefined, ca: undefined },
  ])
    t.doesNotThrow(() => check(options))
})

t.test('names each wrong, missing or unknown member', async t => {
  const rows: [unknown, string][] = [
    [undefined, 'options must be an object with name, not undefined'],
    [null, 'options must be an object with name, not null'],
    ['name', 'options must be an object with name, not "name"'],
    [[], 'options must be an object with name, not a list'],
    [Promise.resolve({ name: 'a' }), 'options must be an object with name, not a promise'],
    [{}, 'name must be a non-empty string, not undefined'],
    [{ name: undefined }, 'name must be a non-empty string, not undefined'],
    [{ name: '' }, 'name must be a non-empty string, not ""'],
    [{ name: 'a', isOpen: 'no' }, 'isOpen must be true or false, not "no"'],
    [{ name: 'a', isOpen: null }, 'isOpen must be true or false, not null'],
    [{ name: 'a', level: 'middle' }, 'level must be one of low, high, not "middle"'],
    [{ name: 'a', isopen: true }, 'isopen is not an option; did you mean isOpen?'],
    [{ name: 'a', isopen: undefined }, 'isopen is not an option; did you mean isOpen?'],
    [{ name: 'a', colour: 1 }, 'colour is not an option; expected: name, isOpen, level, ca'],
    [{ name: 'a', x: 1 }, 'x is not an option; expected: name, isOpen, level, ca'],
    [{ name: 'a', toString: 1 }, 'toString is not an option; expected: name, isOpen, level, ca'],
    [{ names: 'a' }, 'name must be a non-empty string, not undefined; names is not an option; did you mean name?'],
  ]
  for (const [options, message] of rows) t.throws(() => check(options), { name: 'TypeError', message })
  t.throws(() => check({ name: 'a', levle: 'low' }, 'jwks'), {
    message: 'jwks.levle is not an option; did you mean jwks.level?',
  })
  t.throws(() => check(7, 'jwks'), { message: 'jwks must be an object with name, not 7' })
  t.throws(() => checkOptions(7, 'demand', {}, optional), {
    message: 'demand must be an object with isOpen, level, ca, not 7',
  })
})

t.test('quotes at most 40 characters, and neither PEM nor several lines', async t => {
  const messageOf = (options: unknown) => {
    try {
      check(options)
    } catch (error) {
      return (error as Error).message
    }
    return 'accepted'
  }
  t.equal(messageOf({ name: 'a', level: 'x'.repeat(41) }), `level must be one of low, high, not "${'x'.repeat(40)}…"`)
  t.equal(messageOf({ name: 'a', level: 'x'.repeat(40) }), `level must be one of low, high, not "${'x'.repeat(40)}"`)
  t.match(messageOf({ name: 'a', ['x'.repeat(41)]: 1 }), `${'x'.repeat(40)}… is not an option`)
  t.equal(messageOf({ name: 'a', level: pem }), 'level must be one of low, high, not PEM text (PRIVATE KEY)')
  t.equal(
    messageOf({ name: 'a', level: pem.replaceAll('\n', ' ') }),
    'level must be one of low, high, not PEM text (PRIVATE KEY)',
  )
  t.equal(messageOf({ name: 'a', level: 'MIIsecret\n' }), 'level must be one of low, high, not a text of several lines')
  t.match(messageOf({ name: 'a', level: '\u001b[31m' }), 'not "\\u{1b}[31m"')
  t.notMatch(messageOf(pem), /secret/)
  t.notMatch(messageOf({ name: 'a', [pem]: 1 }), /secret/)
  t.match(messageOf({ name: 'a', ca: 'certs/ca.crt' }), /^ca must be PEM text .* not its path\), not "certs\/ca\.crt"$/)
})
