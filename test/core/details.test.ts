// The closed list of details: every reason has one, with complete sentences. A description for a client contains only names
// and values that cannot break out of a header.
import { globSync, readFileSync } from 'node:fs'
import t from 'tap'
import { describeForClient, details, factNames } from '../../src/core/details.ts'
import { OAuthError, reasons } from '../../src/core/errors.ts'

t.test('has a detail for every reason, and a cause and a remedy for every detail', async t => {
  t.same(Object.keys(details).sort(), Object.keys(reasons).sort())
  for (const [reason, entries] of Object.entries(details)) {
    t.not(Object.keys(entries).length, 0, reason)
    for (const [detail, entry] of Object.entries(entries)) {
      const { cause, remedy } = entry as { cause: string; remedy: string }
      t.match(detail, /^[a-z][a-z0-9_]*$/, `${reason} ${detail}`)
      t.match(cause, /^[A-Z].*[.]$/, cause)
      t.match(cause + remedy, /^[\x20\x21\x23-\x5b\x5d-\x7e]*$/, `${reason} ${detail} fits in a header (RFC 6749 §5.2)`)
      for (const [, fact] of `${cause} ${remedy}`.matchAll(/\{(\w+)\}/g))
        t.ok(Object.hasOwn(factNames, fact as string), `${reason} ${detail}: ${fact} is a fact`)
    }
  }
})

t.test('describes details of the client’s own request to the client, and otherwise only the reason', async t => {
  const missing = new OAuthError('invalid_request', 'malformed_request', 'parameter_missing', { parameter: 'scope' })
  t.equal(missing.message, 'The parameter scope is missing. Add it to the form in the request body.')
  const unknown = new OAuthError('invalid_token', 'bad_signature', 'unknown_key', { kid: 'x' })
  t.equal(unknown.message, reasons.bad_signature)
  t.same(unknown.facts, { kid: 'x' })
})

t.test('omits a fact that could break out of a header from the description for the client', async t => {
  for (const parameter of ['a"b', 'a\\b', 'a\r\nb', '\u00e9', 'x'.repeat(201), ''])
    t.equal(
      describeForClient('malformed_request', 'parameter_missing', { parameter }),
      'The parameter is missing. Add it to the form in the request body.',
    )
})

t.test('has a test for each detail', async t => {
  const sources = globSync('test/**/*.test.ts').map(file => readFileSync(file, 'utf8'))
  const missing = Object.entries(details).flatMap(([reason, entries]) => {
    const about = sources.filter(source => new RegExp(`'${reason}'|\\b${reason}:|details\\.${reason}\\b`).test(source))
    // Quoted, or the key of a table row.
    const isExpected = (detail: string) => about.some(source => new RegExp(`'${detail}'|[{ ]${detail}: `).test(source))
    return Object.keys(entries)
      .filter(detail => !isExpected(detail))
      .map(detail => `${reason} ${detail}`)
  })
  t.same(
    missing,
    [],
    'add a row for each to a provokeEach table in test/server/details-clients.test.ts or details-tokens.test.ts',
  )
})
