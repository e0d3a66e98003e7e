// Reports of leaked tokens by unauthorized senders, or with another content than was signed: each is refused with a reason
// and one event, and changes nothing. Next to each is the same report in its valid form. OA27, DS18, N-64.
import { generateKeyPairSync, sign } from 'node:crypto'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { parseReporterKeys } from '../../../src/core/leak-signature.ts'
import { makeDemoPki } from '../../../src/pki/demo.ts'
import { createRemoteReporterKeys } from '../../../src/server/incidents/reporter-keys.ts'
import { type Answer, issueCertificate, startTestServer } from '../../../src/testing/server.ts'
import { register } from '../../helpers/tokens/grants.ts'
import {
  accepted,
  entry,
  keyIdentifier,
  keySignature,
  leaksOf,
  makeReporter,
  pemOf,
  publicKeys,
  type Refused,
  refuseReport,
  reportOf,
  send,
  sendSigned,
  signatureHeaders,
  trustReporters,
} from '../../helpers/tokens/leaks.ts'

const plain = { grant_types: ['client_credentials'], token_bindings: ['certificate', 'connection'] }
const clients = [
  register('alice', plain),
  register('bob', plain),
  register('scanner', { ...plain, scope: 'leaks:report notes:read' }),
]
const reporter = makeReporter()
const env = trustReporters(t.testdir(), publicKeys(reporter))
const server = await startTestServer({ clients, env })
t.teardown(() => server.close())
const alice = await server.connect('alice')
const named = issueCertificate({
  subject: [['CN', 'scanner']],
  issuer: server.pki.ca,
  extendedKeyUsage: ['clientAuth'],
})
const scanner = await server.connect(named, { clientId: 'scanner' })
const nobody = await server.connect(null)

const malformed: Refused = { status: 400, error: 'invalid_request', reason: 'malformed_request' }
const unsigned: Refused = { status: 401, error: 'invalid_client', reason: 'report_signature_invalid' }

/** Reports a live token in a way that must be refused (`meet`); then sends the valid report, which ends the token. */
async function refuseThenAccept(
  t: Parameters<typeof refuseReport>[0],
  rows: Readonly<Record<string, readonly [(token: string, body: string) => Promise<Answer>, Refused]>>,
): Promise<void> {
  for (const [name, [meet, refused]] of Object.entries(rows)) {
    const token = await alice.token()
    await refuseReport(t, server, name, () => meet(token, reportOf(token)), refused)
    t.match(await alice.get('/api/whoami', token), { status: 200 }, `${name}: the token stays valid`)
    const outside = await server.connect(null) // some refusals end their connection
    t.match(await sendSigned(outside, reporter, reportOf(token)), accepted, `${name}: control`)
    t.match(await alice.get('/api/whoami', token), { status: 401, body: { reason: 'revoked' } }, `${name}: control`)
  }
}

t.test("rejects a signature that is not the reporter's, over this body, in the specified form (N-64)", async t => {
  const signed = (body: string, changes: object = {}) => ({ ...signatureHeaders(reporter, body), ...changes })
  const by = (headers: (body: string) => object) => (_token: string, body: string) =>
    send(nobody, body, headers(body) as Record<string, string>)
  const raw = (body: string) => Buffer.from(reporter.sign(body), 'base64')
  const other = makeReporter()
  await refuseThenAccept(t, {
    'by another key': [by(body => signed(body, { [keySignature]: other.sign(body) })), unsigned],
    'by an unknown key': [by(body => signed(body, { [keyIdentifier]: 'reporter-2' })), unsigned],
    'by a name of Object.prototype': [by(body => signed(body, { [keyIdentifier]: '__proto__' })), unsigned],
    'over another body': [by(body => signed(`${body} `)), unsigned],
    'over the same value in other octets': [
      (_token, body) => send(nobody, JSON.stringify(JSON.parse(body), null, 1), signed(body)),
      unsigned,
    ],
    'over an entry more': [
      (token, body) => send(nobody, JSON.stringify([...JSON.parse(body), entry(token)]), signed(body)),
      unsigned,
    ],
    'with SHA-1': [by(body => signed(body, { [keySignature]: reporter.sign(body, 'sha1') })), unsigned],
    'with SHA-512': [by(body => signed(body, { [keySignature]: reporter.sign(body, 'sha512') })), unsigned],
    'in base64url': [by(body => signed(body, { [keySignature]: raw(body).toString('base64url') })), unsigned],
    'in hex': [by(body => signed(body, { [keySignature]: raw(body).toString('hex') })), unsigned],
    'with something after it': [by(body => signed(body, { [keySignature]: `${reporter.sign(body)}AAAA` })), unsigned],
    'cut short': [by(body => signed(body, { [keySignature]: reporter.sign(body).slice(0, -8) })), unsigned],
    'of the length of a body': [by(body => signed(body, { [keySignature]: 'A'.repeat(8000) })), unsigned],
    'all zeros': [by(body => signed(body, { [keySignature]: Buffer.alloc(64).toString('base64') })), unsigned],
    empty: [by(body => signed(body, { [keySignature]: '' })), unsigned],
    'of an empty name': [by(body => signed(body, { [keyIdentifier]: '' })), unsigned],
    'twice the same': [by(body => signed(body, { [keySignature]: Array(2).fill(reporter.sign(body)) })), malformed],
    'two identifiers': [by(body => signed(body, { [keyIdentifier]: ['reporter-1', 'x'] })), malformed],
    'an identifier alone': [by(() => ({ [keyIdentifier]: 'reporter-1' })), malformed],
    'a signature alone': [by(body => ({ [keySignature]: reporter.sign(body) })), malformed],
  })
})

t.test('requires r and s of the signature in DER, not concatenated', async t => {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
  const body = reportOf('x')
  const key = parseReporterKeys(JSON.parse(publicKeys({ identifier: 'a', publicPem: pemOf(publicKey) }))).get('a')
  const own = await startTestServer({ clients, leakKeys: () => key })
  t.teardown(() => own.close())
  const connection = await own.connect(null)
  const withEncoding = (dsaEncoding: 'der' | 'ieee-p1363') => ({
    [keyIdentifier]: 'a',
    [keySignature]: sign('sha256', Buffer.from(body), { key: privateKey, dsaEncoding }).toString('base64'),
  })
  t.match(await send(connection, body, withEncoding('ieee-p1363')), { status: 401 })
  t.match(await send(connection, body, withEncoding('der')), accepted, 'control')
})

t.test('rejects a well-signed body that is not a report', async t => {
  const json = (value: unknown) => () => sendSigned(nobody, reporter, JSON.stringify(value))
  const text = (body: string, headers: Record<string, string> = {}) => {
    return async () => send(await server.connect(null), body, { ...signatureHeaders(reporter, body), ...headers })
  }
  const tooLarge: Refused = { ...malformed, status: 413 }
  const otherType: Refused = { ...malformed, status: 415 }
  await refuseThenAccept(t, {
    'an object': [token => json({ ...entry(token) })(), malformed],
    'no entries': [json([]), malformed],
    'entries that are not in an array': [token => json({ 0: entry(token), length: 1 })(), malformed],
    'no JSON': [(token, body) => text(body.slice(0, -1) + token)(), malformed],
    'JSON behind a byte order mark': [(_token, body) => text(`\ufeff${body}`)(), malformed],
    nothing: [text(''), malformed],
    'more than 128 KiB': [
      async token => {
        const body = JSON.stringify([entry(token, { more: 'x'.repeat(140_000) })])
        return sendSigned(await server.connect(null), reporter, body) // this ends the connection
      },
      tooLarge,
    ],
    'another type': [(_token, body) => text(body, { 'content-type': 'text/plain' })(), otherType],
    'a form': [token => text(`token=${token}`, { 'content-type': 'application/x-www-form-urlencoded' })(), otherType],
    'another charset': [
      (_token, body) => text(body, { 'content-type': 'application/json; charset=utf-7' })(),
      otherType,
    ],
    'with a Content-Encoding': [(_token, body) => text(body, { 'content-encoding': 'gzip' })(), otherType],
  })
})

t.test('ends the token of each valid entry of a signed report, whatever the other entries are', async t => {
  const rows: Readonly<Record<string, readonly [bad: unknown[] | string, problems: object[]]>> = {
    'a null url and source': [[entry('x', { url: null, source: null, type: null })], []],
    'a string among them': [['x'], [{ index: 0, detail: 'not_an_object' }]],
    'null among them': [[null], [{ index: 0, detail: 'not_an_object' }]],
    'a list among them': [[[entry('x')]], [{ index: 0, detail: 'not_an_object' }]],
    'a token that is a number': [[entry('x', { token: 1 })], [{ index: 0, detail: 'token_not_a_string' }]],
    'a token in a list': [[entry('x', { token: ['x'] })], [{ index: 0, detail: 'token_not_a_string' }]],
    'no token': [[{ type: 'x', url: 'y' }], [{ index: 0, detail: 'token_missing' }]],
    'a url that is an object': [[entry('x', { url: { a: 1 } })], [{ index: 0, detail: 'url_not_a_string' }]],
    'several invalid ones': [
      [{}, entry('x', { source: 7 }), 0],
      [
        { index: 0, detail: 'token_missing' },
        { index: 1, detail: 'source_not_a_string' },
        { index: 2, detail: 'not_an_object' },
      ],
    ],
    'deep nesting': [`${'['.repeat(30_000)}${']'.repeat(30_000)}`, [{ index: 0, detail: 'not_an_object' }]],
    'a url of deep nesting': [
      `{"token":"x","url":${'['.repeat(30_000)}${']'.repeat(30_000)}}`,
      [{ index: 0, detail: 'url_not_a_string' }],
    ],
    'a thousand others': [Array.from({ length: 1000 }, (_, index) => ({ token: `tlsbound_at_${index}` })), []],
  }
  for (const [name, [bad, not_understood]] of Object.entries(rows)) {
    const [first, last] = [await alice.token(), await alice.token()]
    const since = server.events.length
    const body = `[${typeof bad === 'string' ? bad : JSON.stringify(bad).slice(1, -1)},${[first, last].map(token => JSON.stringify(entry(token))).join()}]`
    const answer = await sendSigned(nobody, reporter, body)
    if (not_understood.length === 0) t.match(answer, accepted, name)
    else t.match(answer, { status: 200, headers: { 'cache-control': 'no-store' } }, name)
    t.same(answer.body, not_understood.length === 0 ? undefined : { not_understood }, name)
    for (const token of [first, last])
      t.match(await alice.get('/api/whoami', token), { status: 401, body: { reason: 'revoked' } }, name)
    t.equal(leaksOf(server, since).length, 2, name)
  }
})

t.test('limits the results for the entries of a signed report, and returns none for an unsigned one', async t => {
  const body = JSON.stringify(Array.from({ length: 40_000 }, () => 0))
  const answer = await sendSigned(nobody, reporter, body)
  t.equal(answer.status, 200)
  t.same([answer.body.not_understood.length, answer.body.more], [100, 39_900])
  const wrong = { ...signatureHeaders(reporter, body), [keySignature]: makeReporter().sign(body) }
  const refused = await send(await server.connect(null), body, wrong)
  t.match(refused, { status: 401, body: { reason: 'report_signature_invalid' } })
  t.notOk('not_understood' in refused.body)
})

t.test('rejects a client without the scope, without its certificate, or with a signature as well (OA27)', async t => {
  const scoped = await scanner.token({ scope: 'leaks:report' })
  const unscoped = await scanner.token({ scope: 'notes:read' })
  const [bob, second] = [await server.connect('bob'), await server.connect(named)]
  const bound = await scanner.token({ scope: 'leaks:report', token_binding: 'connection' })
  const as = (connection: typeof alice, token?: string) => (_token: string, body: string) =>
    send(connection, body, {}, token)
  const token = (reason: Refused['reason']): Refused => ({ status: 401, error: 'invalid_token', reason })
  await refuseThenAccept(t, {
    'without the scope': [as(scanner, unscoped), { status: 403, error: 'insufficient_scope', reason: 'scope_missing' }],
    'a client that only uses the API': [
      async (found, body) => send(alice, body, {}, found),
      { status: 403, error: 'insufficient_scope', reason: 'scope_missing' },
    ],
    'with the scanner’s token, by another client': [as(bob, scoped), token('certificate_mismatch')],
    'with the scanner’s token, without a certificate': [as(nobody, scoped), token('no_certificate')],
    'with a token of another connection': [as(second, bound), token('connection_mismatch')],
    'with garbage': [as(scanner, 'x.y.z'), token('bad_signature')],
    'signed as well': [(_token, body) => send(scanner, body, signatureHeaders(reporter, body), scoped), malformed],
    'with a wrong signature as well': [
      (_token, body) => send(scanner, body, { [keyIdentifier]: 'x', [keySignature]: 'y' }, scoped),
      malformed,
    ],
    'with the token in the query': [
      (_token, body) =>
        scanner.call(`/leaks?access_token=${scoped}`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body,
        }),
      malformed,
    ],
  })
  const since = server.events.length
  t.match(
    await send(nobody, reportOf('x')),
    { status: 401, body: { reason: 'no_token' } },
    'without certificate and token',
  )
  t.match(server.events.slice(since), [{ event: 'token.refused', reason: 'no_token', path: '/leaks' }])
  const found = await alice.token()
  t.match(await send(scanner, reportOf(found), {}, scoped), accepted, 'control')
  t.equal(leaksOf(server, since).length, 1, 'control')
  t.match(await nobody.call('/leaks'), { status: 405, headers: { allow: 'POST' } })
})

t.test('accepts no signature without keys, and does not start with an invalid key', async t => {
  const own = await startTestServer({ clients })
  t.teardown(() => own.close())
  await refuseReport(t, own, 'no keys', async () => sendSigned(await own.connect(null), reporter, '[]'), unsigned)

  const { publicKey: rsa } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const { privateKey, publicKey: good } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
  const list = (publicPem: string, identifier = 'x') => publicKeys({ identifier, publicPem })
  t.equal(parseReporterKeys(JSON.parse(list(pemOf(good)))).size, 1, 'control')
  const unusable: Record<string, readonly [document: string, says: RegExp]> = {
    'no JSON': ['x', /line 1, column 1: this word is not JSON/],
    'no list': ['{}', /public_keys must be a list/],
    'an empty list': ['{"public_keys":[]}', /public_keys must be a list/],
    'another curve': [list(makeReporter('x', 'secp384r1').publicPem), /number 1: key must be on the curve P-256/],
    'a curve of the same size': [list(makeReporter('x', 'secp256k1').publicPem), /number 1: key must be on the curve/],
    RSA: [list(pemOf(rsa)), /number 1: key must be on the curve P-256/],
    'a private key': [
      list(privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()),
      /number 1: key must be a text/,
    ],
    'a certificate': [list(server.pki.alice.certificate), /number 1: key must be a text with a PUBLIC KEY block/],
    'no PEM': [list(pemOf(good).replace(/-----.*\n/g, '')), /number 1: key must be a text with a PUBLIC KEY block/],
    'a name with spaces': [list(pemOf(good), 'a b'), /number 1: key_identifier must have/],
    'one name for two keys': [
      publicKeys(makeReporter('x'), makeReporter('x')),
      /two keys have the same key_identifier/,
    ],
    'an invalid one after a valid one': [
      publicKeys(makeReporter('x'), makeReporter('y', 'secp384r1')),
      /number 2: key must be on the curve/,
    ],
  }
  for (const [name, [document, says]] of Object.entries(unusable)) {
    const keys = trustReporters(t.testdir(), document)
    const started = startTestServer({ clients, env: keys }).catch((error: Error) => error.message)
    t.match(await started, /leak-keys\.json/, name)
    t.match(await started, says, name)
  }
})

t.test('fetches keys from a URL when one is needed, and again for unknown ones (N-64)', async t => {
  const pki = makeDemoPki()
  const [first, next] = [makeReporter('first'), makeReporter('next')]
  const published = { document: publicKeys(first, makeReporter('other', 'secp384r1')), requests: 0, status: 200 }
  const site = createServer({ cert: pki.server.certificate, key: pki.server.key }, (_request, response) => {
    published.requests++
    response.writeHead(published.status, { 'content-type': 'application/json' }).end(published.document)
  })
  await new Promise<void>(resolve => site.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    site.closeAllConnections()
    site.close()
  })
  let time = 0
  const uri = `https://127.0.0.1:${(site.address() as AddressInfo).port}/keys`
  const leakKeys = createRemoteReporterKeys({ uri, ca: pki.ca.certificate, clock: () => time })
  const own = await startTestServer({ clients, leakKeys })
  t.teardown(() => own.close())
  const connection = await own.connect(null)
  const body = reportOf('x')

  t.equal(published.requests, 0, 'not before there is a report')
  for (let count = 0; count < 3; count++) t.match(await sendSigned(connection, first, body), accepted)
  t.equal(published.requests, 1)
  for (const stranger of [next, makeReporter('other', 'secp384r1')])
    for (let count = 0; count < 10; count++)
      await refuseReport(t, own, stranger.identifier, () => sendSigned(connection, stranger, body), unsigned)
  t.equal(published.requests, 1, 'DS18: a flood of unknown keys causes no repeated fetches')

  published.document = publicKeys(next)
  time += 31_000
  t.match(await sendSigned(connection, next, body), accepted, 'a new key')
  await refuseReport(t, own, 'a withdrawn key', () => sendSigned(connection, first, body), unsigned)
  for (const broken of ['x', '{}', publicKeys(makeReporter('first', 'secp384r1'))]) {
    published.document = broken
    time += 700_000
    const away: Refused = { status: 503, error: 'temporarily_unavailable', reason: 'reporter_unavailable' }
    await refuseReport(t, own, broken.slice(0, 20), () => sendSigned(connection, first, body), away)
  }
  published.document = publicKeys(first)
  time += 700_000
  t.match(await sendSigned(connection, first, body), accepted, 'a restored key')
})
