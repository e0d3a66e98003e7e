// Tokens that the scan finds in octets, and similar text that it ignores, wherever the chunks that it reads end. LK, DS09.
import { randomBytes, X509Certificate } from 'node:crypto'
import t from 'tap'
import { buildOpaqueToken } from '../../src/core/opaque-token.ts'
import { readCertificate } from '../../src/core/presenter.ts'
import { generateTokenKey, type TokenJwk } from '../../src/keys/token-keys.ts'
import { makeDemoPki } from '../../src/pki/demo.ts'
import { Finder } from '../../src/scan/find.ts'
import { scan } from '../../src/scan/scan.ts'
import type { Sighting } from '../../src/scan/sighting.ts'
import { forgePaseto } from '../helpers/tokens/forge-paseto.ts'
import { encode, forgeToken } from '../helpers/tokens/forge-token.ts'

const pki = makeDemoPki()
const thumbprintOf = (pem: string) => readCertificate(new X509Certificate(pem)).thumbprint
const owner = thumbprintOf(pki.alice.certificate)
const digest = randomBytes(32).toString('base64url')
const bindings = {
  connection: { 'x5t#S256': owner, 'tls-exporter#S256': digest },
  proof: { 'x5t#S256': owner, tls_exp: 'EXPORTER-oauth-tls-session-bound' },
  certificate: { 'x5t#S256': owner },
}
const now = 1_700_000_000
const keys = new Map<string, TokenJwk>()
for (const algorithm of ['ES256', 'EdDSA', 'RS256'] as const) keys.set(algorithm, await generateTokenKey(algorithm))
const es256 = keys.get('ES256') as TokenJwk

const makeJwt = (cnf: unknown = bindings.certificate, jwk = es256, header?: object) =>
  forgeToken({
    jwk,
    claims: { iss: 'https://as.example', sub: 'alice', client_id: 'alice', exp: now + 60, jti: 'id-1', cnf },
    ...(header && { header }),
  })
const ofPaseto = await generateTokenKey('v4.public')
const makePaseto = (cnf: unknown = bindings.certificate, more: object = {}) =>
  forgePaseto({
    jwk: ofPaseto,
    claims: { iss: 'https://as.example', sub: 'alice', client_id: 'alice', iat: now, exp: now + 60, jti: 'id-1', cnf },
    ...more,
  })
const [refreshToken, opaque] = [buildOpaqueToken('rt', randomBytes(32)), buildOpaqueToken('at', randomBytes(32))]

function find(text: string | Buffer, size = Number.POSITIVE_INFINITY): Sighting[] {
  const octets = Buffer.from(text)
  const finder = new Finder()
  const found: Sighting[] = []
  for (let at = 0; at < octets.length; at += size) found.push(...finder.read(octets.subarray(at, at + size)))
  return [...found, ...finder.end()]
}

const tokensIn = (text: string | Buffer) =>
  find(text)
    .filter(({ kind }) => kind === 'token')
    .map(({ text: token }) => token)

t.test('finds each kind of token, whatever the surrounding text', t => {
  const tokens = [
    refreshToken,
    opaque,
    ...Object.values(bindings).map(cnf => makeJwt(cnf)),
    ...[...keys.values()].map(jwk => makeJwt(bindings.proof, jwk)),
    makeJwt(bindings.certificate, es256, { kid: 'a', typ: 'at+jwt', alg: 'ES256' }),
    makeJwt(bindings.certificate, es256, { alg: 'ES256', kid: 'aaaa', typ: 'at+jwt' }),
    ...Object.values(bindings).map(cnf => makePaseto(cnf)),
  ]
  for (const token of tokens) {
    const surroundings = {
      alone: token,
      'in a line': `TOKEN=${token}\n`,
      JSON: JSON.stringify({ access_token: token, more: JSON.stringify({ inner: `x\n${token}\n` }) }),
      XML: `<token>${token}</token>`,
      'in a URL': `https://x/?access_token=${token}&more`,
      'in a sentence': `It was ${token}.`,
      'in an encoded URL': `%22${token}%22`,
      'after an underscore': `MY_${token}`,
      'after a domain': `www.example.${token}`,
      'in octets that are not text': `\u0000\u0001\xff${token}\u0000`,
    }
    for (const [name, text] of Object.entries(surroundings))
      t.same([...new Set(tokensIn(Buffer.from(text, 'latin1')))], [token], `${token.slice(0, 12)} ${name}`)
  }
  t.same(
    tokensIn(`${refreshToken}${opaque}${refreshToken}`),
    [refreshToken, opaque, refreshToken],
    'without a separator',
  )
  t.same(tokensIn(`${opaque}more ${makeJwt()}-and-more`).length, 2, 'with text directly after it')
  t.end()
})

t.test('ignores everything that is not a token of this server', t => {
  const jwt = makeJwt()
  const [head, claims, signature] = jwt.split('.') as [string, string, string]
  const others = {
    'a wrong checksum': `${opaque.slice(0, -1)}${opaque.at(-1) === '0' ? '1' : '0'}`,
    'a changed token': opaque.replace(/(?<=_at_.{20})./, c => (c === 'x' ? 'y' : 'x')),
    'a token with the prefix of another kind': opaque.replace('_at_', '_rt_'),
    'a truncated token': refreshToken.slice(0, -1),
    'an unknown kind': refreshToken.replace('_rt_', '_xt_'),
    'upper case': refreshToken.toUpperCase(),
    'prefixes alone': 'tlsbound_rt_ tlsbound_at_',
    'a placeholder in documentation': `tlsbound_rt_${'x'.repeat(49)}`,
    'a plain JWT': makeJwt(bindings.certificate, es256, { typ: 'JWT', alg: 'ES256', kid: 'a' }),
    'a bearer token': makeJwt(null),
    'a DPoP token': makeJwt({ jkt: digest }),
    'a thumbprint of another length': makeJwt({ 'x5t#S256': 'abc' }),
    'a binding proof': makeJwt(bindings.certificate, es256, { typ: 'tls-binding-proof+jwt', alg: 'ES256' }),
    'a JWT without signature': `${head}.${claims}.`,
    'a JWT with a truncated signature': `${head}.${claims}.${signature.slice(0, 60)}`,
    'a JWT without header': `.${claims}.${signature}`,
    'claims that are not JSON': `${head}.${encode('{"cnf":')}.${signature}`,
    'claims that are an array': `${head}.${encode([1, 2, 3, 4, 5, 6, 7, 8, 9])}.${signature}`,
    'a bearer PASETO': makePaseto(null),
    'a PASETO with another confirmation': makePaseto({ jkt: digest }),
    'a PASETO without footer': makePaseto(bindings.certificate, { footer: null }),
    'a PASETO with another footer': makePaseto(bindings.certificate, { footer: '{"kid":"another"}' }),
    'a PASETO of another version': makePaseto(bindings.certificate, { sent: 'v2.public.' }),
    'a truncated PASETO': makePaseto().slice(0, -1),
    'a JWE': `${head}.${signature}.${claims}.${signature}.${signature}`,
    'the public key': pki.alice.x509.publicKey.export({ type: 'spki', format: 'pem' }).toString(),
    nothing: '',
  }
  for (const [name, text] of Object.entries(others)) t.same(find(text), [], name)
  t.same(tokensIn(Object.values(others).join('\n') + jwt).slice(-1), [jwt], 'control: a token among them is found')
  t.end()
})

t.test('finds a token once and at its position, wherever a chunk ends', t => {
  const jwt = makeJwt(bindings.connection, keys.get('RS256'))
  const filler = `${'abcdefgh.ijk\n'.repeat(3000)}`
  const text = `${opaque}\n${filler}  ${jwt}\n${filler}${pki.alice.key}${filler}x ${refreshToken}`
  const lines = 3000
  const expected = [
    { text: opaque, line: 1, column: 1 },
    { text: jwt, line: lines + 2, column: 3 },
    { text: pki.alice.key.trim(), line: 2 * lines + 3, column: 1 },
    { text: refreshToken, line: 3 * lines + 3 + pki.alice.key.split('\n').length - 1, column: 3 },
  ]
  const sizes = [1, 7, 61, 511, 512, 4096, 16_383, 16_384, 16_385, 65_536, Number.POSITIVE_INFINITY]
  for (const size of sizes) {
    const found = find(text, size)
    t.match(found, expected, `${size}`)
    t.equal(found.length, expected.length, `${size}`)
  }
  for (let cut = 0; cut < jwt.length; cut += 13) {
    const finder = new Finder()
    const parts = [filler.repeat(3) + jwt.slice(0, cut), jwt.slice(cut) + filler.repeat(3)].map(part =>
      Buffer.from(part),
    )
    t.equal(parts.flatMap(part => finder.read(part)).length + finder.end().length, 1, `cut at ${cut}`)
  }
  t.end()
})

t.test('takes linear time for worst-case octets (DS09)', t => {
  const size = 2_000_000
  const [head, claims] = makeJwt().split('.') as [string, string]
  const worst = {
    'one long word': 'a'.repeat(size),
    'the start of a JWT, repeated': 'eyJ'.repeat(size / 3),
    'claims, repeated': `.${claims}`.repeat(size / (claims.length + 1)),
    'header and claims, repeated': `${head}.${claims}.`.repeat(size / (head.length + claims.length + 2)),
    'many starts before valid claims': `${'eyJ'.repeat(133)}.${claims}.${'A'.repeat(86)}`.repeat(1000),
    'the start of a PASETO, repeated': 'v4.public.eyJ'.repeat(size / 13),
    'a PASETO that is not bound, repeated': `${makePaseto(null)} `.repeat(size / makePaseto(null).length),
    dots: '.'.repeat(size),
    prefixes: 'tlsbound_rt_'.repeat(size / 12),
    'starts of keys': `-----BEGIN ${'PRIVATE'} KEY-----`.repeat(size / 27),
    'starts of keys on separate lines': `-----BEGIN ${'PRIVATE'} KEY-----\n`.repeat(size / 28),
    dashes: '-'.repeat(size),
    'line ends': '\n'.repeat(size),
  }
  for (const [name, text] of Object.entries(worst)) {
    const start = process.cpuUsage().user
    find(text, 65_536)
    const spent = (process.cpuUsage().user - start) / 1000
    t.ok(spent < 3000, `${name}: ${Math.round(spent)} ms`)
  }
  t.end()
})

/** Scans texts as the content of files. */
const scanTexts = (texts: Readonly<Record<string, string>>, time = now) => {
  const problems: string[] = []
  async function* sources() {
    for (const [path, text] of Object.entries(texts))
      yield {
        path,
        parts: (async function* () {
          yield Buffer.from(text)
        })(),
      }
  }
  return scan(sources(), time, problem => problems.push(problem))
}

t.test('continues after a token with arbitrary JSON in its header or claims', async t => {
  const values: unknown[] = [null, true, 7, 'x', [], [[]], {}, { toString: 1 }, [{ toString: 1 }]]
  for (const value of values) {
    const header = { alg: 'ES256', kid: 'a', typ: 'at+jwt' }
    const strange = [
      ...['alg', 'kid', 'typ'].map(name => makeJwt(bindings.proof, es256, { ...header, [name]: value })),
      ...Object.keys({ ...bindings.connection, tls_exp: '' }).map(name =>
        makeJwt({ ...bindings.proof, [name]: value }),
      ),
      ...['iss', 'sub', 'client_id', 'exp', 'jti', 'cnf'].map(name =>
        forgeToken({ jwk: es256, claims: { exp: now, cnf: bindings.certificate, [name]: value } }),
      ),
    ]
    const { tokens } = await scanTexts({ strange: strange.join('\n'), good: opaque })
    t.ok(tokens.has(opaque), JSON.stringify(value))
  }
})

t.test('reports a signed token as unusable elsewhere, unless the key of its certificate is found as well', async t => {
  const { certificate, key } = pki.alice
  const escaped = (pem: string) => JSON.stringify({ pem })
  const indented = (pem: string) => pem.replace(/^/gm, '    ')
  for (const [name, files] of Object.entries({
    'as files': { 'a.crt': certificate, 'a.key': key },
    'in one file': { 'a.pem': `${key}${certificate}` },
    'as JSON': { 'a.json': escaped(certificate), 'b.json': escaped(key) },
    'as YAML': { 'a.yaml': `cert: |\n${indented(certificate)}\nkey: |\n${indented(key)}` },
  }))
    for (const [level, cnf] of Object.entries(bindings)) {
      const { findings } = await scanTexts({ token: makeJwt(cnf), ...files })
      t.match(
        findings,
        [
          {
            ...{ path: 'token', line: 1, column: 1, kind: 'signed access token', begins: 'eyJ', jti: 'id-1' },
            ...{ token_binding: level, 'x5t#S256': owner, client_id: 'alice', expires: '2023-11-14T22:14:20.000Z' },
            leaked_certificate: { subject: 'CN=alice', thumbprint: owner },
            remark: new RegExp(`^the private key of its certificate was found too: CN=alice, ${owner}`),
          },
        ],
        `${name}, ${level}`,
      )
    }
  const { findings } = await scanTexts({ token: makePaseto(), certificate, key })
  t.match(findings, [
    {
      ...{
        kind: 'signed access token',
        begins: 'v4.public.',
        jti: 'id-1',
        token_binding: 'certificate',
        'x5t#S256': owner,
      },
      ...{ client_id: 'alice', expires: '2023-11-14T22:14:20.000Z', leaked_certificate: { subject: 'CN=alice' } },
    },
  ])
  t.equal(findings.length, 1)
  for (const token of [refreshToken, opaque]) {
    const { findings } = await scanTexts({ token, certificate, key, other: pki.bob.certificate })
    t.match(findings, [
      { remark: /^worthless [^;]+; a private key that was found may be that of its client: CN=alice$/ },
    ])
    t.match((await scanTexts({ token, certificate })).findings, [{ remark: /^worthless [^;]+$/ }], 'control')
  }
  for (const [name, files] of Object.entries({
    nothing: {},
    'only the certificate': { certificate },
    'only the key': { key },
    'the key of another certificate': { certificate, key: pki.bob.key },
    'another certificate and its key': { certificate: pki.bob.certificate, key: pki.bob.key },
    'a truncated key': { certificate, key: key.slice(0, -30) },
  }))
    for (const [level, cnf] of Object.entries(bindings)) {
      const { findings } = await scanTexts({ token: makeJwt(cnf), ...files })
      t.equal(findings.length, 1)
      t.equal(findings[0]?.leaked_certificate, undefined, `${name}, ${level}`)
      t.match(
        findings[0]?.remark,
        level === 'connection' ? /^worthless elsewhere/ : `without the private key of the certificate ${owner}`,
      )
    }
  t.match((await scanTexts({ token: makeJwt() }, now + 60)).findings[0]?.remark, /; it has expired$/)
})

t.test('includes no part of a token in its findings, and limits their number', async t => {
  const nested = forgeToken({
    jwk: es256,
    claims: { jti: opaque, client_id: refreshToken, cnf: bindings.certificate, exp: 'soon' },
  })
  const text = [refreshToken, opaque, makeJwt(), nested].join('\n')
  const { findings, tokens } = await scanTexts({ text, [`${opaque}.txt`]: text })
  t.same([...tokens.keys()], text.split('\n'))
  t.equal(findings.length, 8)
  const told = JSON.stringify(findings)
  for (const token of tokens.keys())
    for (const part of token.split(/[._]/)) if (part.length > 8) t.notOk(told.includes(part))

  const many = await scanTexts({ many: `${opaque}\n`.repeat(10_001) })
  t.match(many, { dropped: 1, sources: 1 })
  t.equal(many.findings.length, 10_000)
})
