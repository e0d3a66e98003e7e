// Reports of leaked tokens and their signatures, by form alone. N-64; LK03, LK11.
import { createPublicKey, generateKeyPairSync } from 'node:crypto'
import t from 'tap'
import { parseLeakReport, redactTokens } from '../../src/core/leak-report.ts'
import { isSignedBy, parseReporterKeys, parseUsableReporterKeys } from '../../src/core/leak-signature.ts'
import { makeReporter, pemOf } from '../helpers/tokens/leaks.ts'

t.test('parses a report as a list of tokens with their locations, and rejects any other JSON', t => {
  const leak = { token: 'x', url: undefined, source: undefined }
  for (const [report, leaks] of [
    [[{ token: 'x' }], [leak]],
    [[{ token: '', type: 'a', url: 'b', source: 'c', more: 7 }], [{ token: '', url: 'b', source: 'c' }]],
    [[{ token: 'x', url: null, source: null, type: null }], [leak]],
    [[{ token: 'x', type: {} }], [leak]],
    [
      [
        { token: 'x', url: 'a' },
        { token: 'x', url: 'b' },
      ],
      [{ ...leak, url: 'a' }],
    ],
  ] as const)
    t.same(parseLeakReport(report), { leaks, problems: [] }, JSON.stringify(report))
  for (const wrong of [undefined, null, {}, 'x', [], 7, true, { 0: { token: 'x' }, length: 1 }])
    t.equal(parseLeakReport(wrong), undefined, JSON.stringify(wrong)?.slice(0, 60))
  t.end()
})

t.test('parses every entry that has a token, and reports each invalid entry by its index', t => {
  const deep = JSON.parse(`${'['.repeat(50_000)}${']'.repeat(50_000)}`)
  const report = [
    ...[null, 7, 'x', true, [{ token: 'in a list' }], deep],
    ...[{}, { token: null }, { token: 7 }, { token: ['x'] }, { token: { token: 'x' } }],
    JSON.parse('{"__proto__":{"token":"inherited"}}'),
    ...[
      { token: 'a', url: 7 },
      { token: 'b', source: {} },
      { token: 'c', url: [], source: false },
      { token: 'd', url: deep },
    ],
    { token: 'good' },
  ]
  const { leaks, problems } = parseLeakReport(report) ?? { leaks: [], problems: [] }
  t.same(
    leaks.map(({ token, url, source }) => [token, url, source]),
    ['a', 'b', 'c', 'd', 'good'].map(token => [token, undefined, undefined]),
  )
  t.same(
    problems.map(({ index, detail }) => `${index} ${detail}`),
    [
      ...[0, 1, 2, 3, 4, 5].map(index => `${index} not_an_object`),
      ...['6 token_missing', '7 token_missing', '8 token_not_a_string', '9 token_not_a_string'],
      ...['10 token_not_a_string', '11 token_missing', '12 url_not_a_string', '13 source_not_a_string'],
      ...['14 url_not_a_string', '14 source_not_a_string', '15 url_not_a_string'],
    ],
  )
  t.end()
})

t.test('shortens a location to one line, and removes text in the form of a token (LK03, LK11)', t => {
  const place = (url: string) => parseLeakReport([{ token: 'x', url, source: url }])?.leaks[0]
  t.same(place('a'.repeat(257)), { token: 'x', url: 'a'.repeat(256), source: 'a'.repeat(256) })
  t.notMatch(place('a\nb\u202e')?.url, /[\n\u202e]/)
  t.equal(place('?t=tlsbound_at_abc&u=tlsbound_rt_d-eyJa.b%2F-c_d+f')?.url, '?t=tlsbound_at_…&u=tlsbound_rt_…-eyJ…+f')
  t.equal(redactTokens('tlsbound_xt_abc tlsbound_at_ eyJ eyJa eyJb'), 'tlsbound_xt_abc tlsbound_at_ eyJ eyJ… eyJ…')
  t.equal(redactTokens('v4.public.eyJa.eyJb v4.local.abc, v4.other.a'), 'v4.public.… v4.local.…, v4.other.a')
  t.end()
})

t.test('accepts only a signature of the body by the key, in one spelling', t => {
  const [reporter, other] = [makeReporter(), makeReporter()]
  const key = createPublicKey(reporter.publicPem)
  const body = Buffer.from('[]')
  const signature = reporter.sign(body)
  t.ok(isSignedBy(body, signature, key), 'control')
  const der = Buffer.from(signature, 'base64')
  for (const wrong of [
    other.sign(body),
    reporter.sign('[ ]'),
    reporter.sign(body, 'sha512'),
    ` ${signature}`,
    `${signature}\n`,
    signature.replace(/=*$/, match => (match === '' ? '=' : '')),
    der.toString('hex'),
    `${signature}${'A'.repeat(96)}`,
    '',
  ])
    t.notOk(isSignedBy(body, wrong, key), JSON.stringify(wrong))
  t.end()
})

t.test('rejects a configured document with an invalid key, and skips invalid keys in a fetched one', t => {
  const pem = (type: 'ec' | 'ed25519', options = {}) =>
    pemOf(generateKeyPairSync(type as 'ec', options as { namedCurve: string }).publicKey)
  const good = { key_identifier: 'a.b~c_d-1', key: pem('ec', { namedCurve: 'prime256v1' }) }
  const second = { key_identifier: 'x'.repeat(128), key: `\n${good.key}` }
  for (const read of [parseReporterKeys, parseUsableReporterKeys]) {
    const keys = read({ public_keys: [good, second], more: 7 })
    t.same([...keys.keys()], [good.key_identifier, second.key_identifier])
    t.equal(keys.get(good.key_identifier)?.asymmetricKeyDetails?.namedCurve, 'prime256v1')
    for (const none of [undefined, null, 7, {}, [good], { public_keys: [] }, { public_keys: { 0: good } }])
      t.throws(() => read(none), TypeError, JSON.stringify(none))
  }
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
  for (const wrong of [
    ...[null, 7, {}, { ...good, key_identifier: undefined }, { ...good, key: undefined }],
    ...['', 'a b', 'a/b', 'x'.repeat(129), 'a\n', 7].map(key_identifier => ({ ...good, key_identifier })),
    ...['', 'x', ['x'], pem('ec', { namedCurve: 'secp384r1' }), pem('ed25519')].map(key => ({ ...second, key })),
    { ...second, key: privateKey.export({ type: 'pkcs8', format: 'pem' }) },
    { ...second, key: `${privateKey.export({ type: 'pkcs8', format: 'pem' })}${good.key}` },
    { ...second, key: `x ${good.key}` },
    { ...second, key: good.key.slice(0, 60) },
  ]) {
    t.throws(() => parseReporterKeys({ public_keys: [good, wrong] }), Error, JSON.stringify(wrong))
    t.same([...parseUsableReporterKeys({ public_keys: [wrong, good] }).keys()], [good.key_identifier])
    t.throws(() => parseUsableReporterKeys({ public_keys: [wrong] }), TypeError)
  }
  t.throws(
    () => parseReporterKeys({ public_keys: [good, { ...second, key_identifier: good.key_identifier }] }),
    TypeError,
  )
  t.end()
})
