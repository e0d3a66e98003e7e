// The token verifier: real TLS connections, no HTTP. Covers what is checked each time, what is remembered and for how long,
// and that each refusal of a token of this server names it. N-24, N-34; I1. Proofs: proofs.test.ts.
import t from 'tap'
import type { AccessToken } from '../../src/core/access-token.ts'
import { OAuthError } from '../../src/core/errors.ts'
import { buildOpaqueToken, hashOpaqueToken } from '../../src/core/opaque-token.ts'
import { countHeaders, readBearerToken, refuseSecondToken } from '../../src/verify/bearer.ts'
import { type Claims, createTokenReader } from '../../src/verify/token-reader.ts'
import { facts, outcomeOf, refused, request, startTokenCheck } from '../helpers/tokens/token-check.ts'

const { connect, clock, key, claims, sign, build } = await startTokenCheck(t)

t.test('reads a token once per connection, and returns the same frozen object', async t => {
  for (const level of ['certificate', 'connection'] as const) {
    const alice = await connect()
    const verifier = build()
    const token = sign(alice, level)
    const first = verifier.verify(request(token), alice.connection) as AccessToken
    t.match(first, { binding: level, scope: ['notes:read', 'notes:write'], claims: claims(alice, level) })
    for (const part of [first, first.claims, first.claims.cnf, first.scope]) t.ok(Object.isFrozen(part))
    t.equal(verifier.verify(request(token), alice.connection), first)
    t.equal(verifier.reads, 1)

    const [again, bob] = [await connect(), await connect('bob')]
    const elsewhere = await outcomeOf(() => verifier.verify(request(token), again.connection))
    t.match(elsewhere, level === 'certificate' ? 'accepted' : refused('connection_mismatch'))
    for (let time = 0; time < 2; time++)
      t.match(
        await outcomeOf(() => verifier.verify(request(token), bob.connection)),
        refused('certificate_mismatch'),
        'every time',
      )
  }
})

t.test('verifies a token again in another verifier on the same connection (N-34)', async t => {
  const alice = await connect()
  const token = sign(alice, 'certificate')
  const [ours, theirs] = [build(), build({ audience: 'https://rs.example' })]
  t.equal(await outcomeOf(() => ours.verify(request(token), alice.connection)), 'accepted', 'control')
  t.match(await outcomeOf(() => theirs.verify(request(token), alice.connection)), refused('wrong_audience'))
})

t.test('checks the expiry each time', async t => {
  const alice = await connect()
  const [verifier, start] = [build(), clock.now]
  const token = sign(alice, 'certificate', { grant: 'family' })
  for (const seen of [verifier, build()]) {
    clock.now = start + 299
    t.equal(await outcomeOf(() => verifier.verify(request(token), alice.connection)), 'accepted', 'control')
    clock.now = start + 300
    const named = { ...facts, grant: 'family', token_binding: 'certificate' }
    t.match(await outcomeOf(() => seen.verify(request(token), alice.connection)), {
      ...refused('expired'),
      token: named,
    })
  }
  clock.now = start
})

t.test('checks revocation each time, and rejects the token if its state is unknown', async t => {
  const alice = await connect()
  const revoked = new Set<string>()
  const findRevocation = ({ jti }: { jti: string }) => (revoked.has(jti) ? (['token'] as const) : undefined)
  const [verifier, unaware] = [build({ findRevocation }), build()]
  const token = sign(alice, 'certificate')
  t.equal(await outcomeOf(() => verifier.verify(request(token), alice.connection)), 'accepted', 'control')
  revoked.add('forged')
  t.match(await outcomeOf(() => verifier.verify(request(token), alice.connection)), refused('revoked'))
  t.match(await outcomeOf(() => build({ findRevocation }).verify(request(token), alice.connection)), refused('revoked'))
  t.equal(await outcomeOf(() => unaware.verify(request(token), alice.connection)), 'accepted', 'without revocation')
  const broken = build({
    findRevocation: () => {
      throw new OAuthError('temporarily_unavailable', 'store_unavailable', 'no_answer')
    },
  })
  for (let time = 0; time < 2; time++)
    t.match(
      await outcomeOf(() => broken.verify(request(token), alice.connection)),
      refused('store_unavailable', 'temporarily_unavailable'),
    )
  const fault = new RangeError('unhandled error')
  const faulty = build({
    findRevocation: () => {
      throw fault
    },
  })
  await t.rejects(
    outcomeOf(() => faulty.verify(request(token), alice.connection)),
    fault,
  )
  t.notOk('token' in fault, 'not a refusal')
})

t.test('reads a token again after a key was removed, and rejects it if it was its own', async t => {
  const alice = await connect()
  const state = { generation: 0, keys: [key] }
  const readToken = createTokenReader(kid => state.keys.find(known => known.kid === kid))
  const verifier = build({ readToken, keyGeneration: () => state.generation })
  for (const level of ['connection', 'certificate'] as const) {
    const token = sign(alice, level)
    const use = () => outcomeOf(() => verifier.verify(request(token), alice.connection))
    t.equal(await use(), 'accepted')
    const { reads } = verifier
    t.equal(await use(), 'accepted')
    t.equal(verifier.reads, reads, 'control: it is remembered')
    state.generation++
    t.equal(await use(), 'accepted', 'another key was removed')
    t.equal(await use(), 'accepted')
    t.equal(verifier.reads, reads + 1, 'read once more')
    state.generation++
    state.keys = []
    t.match(await use(), refused('revoked'), `${level}: its own key was removed`)
    t.match(await use(), { reason: 'bad_signature' }, 'then it is like any other token')
    state.keys = [key]
    t.equal(await use(), 'accepted', 'control')
  }
})

t.test('refuses a presenter that may not act before verifying the token, which the event still names', async t => {
  const alice = await connect()
  const verifier = build()
  const [token, dead] = [sign(alice, 'certificate'), sign(alice, 'certificate', { iat: 0, exp: clock.now })]
  t.equal(await outcomeOf(() => verifier.verify(request(token), alice.connection)), 'accepted', 'control')
  for (const [connection, reason] of [
    [undefined, 'no_certificate'],
    [(await connect(null)).connection, 'no_certificate'],
    [(await connect('stranger')).connection, 'certificate_untrusted'],
  ] as const) {
    t.match(await outcomeOf(() => verifier.verify(request(token), connection)), refused(reason))
    for (const other of ['x', dead, `${token}A`])
      t.match(await outcomeOf(() => verifier.verify(request(other), connection)), {
        ...refused(reason),
        token: undefined,
      })
  }
})

t.test('applies a certificate’s revocation at once, for remembered tokens and during a key lookup', async t => {
  const alice = await connect()
  const { promise, resolve } = Promise.withResolvers<Claims>()
  const [verifier, slow] = [build(), build({ readToken: () => promise })]
  const token = sign(alice, 'certificate')
  const verify = () => outcomeOf(() => verifier.verify(request(token), alice.connection))
  t.equal(await verify(), 'accepted', 'control')
  const waiting = outcomeOf(() => slow.verify(request(token), alice.connection))
  alice.connection.rejection = ['certificate_revoked', 'listed']
  resolve(claims(alice, 'certificate'))
  t.match(await waiting, refused('certificate_revoked'))
  t.match(await verify(), refused('certificate_revoked'))
  alice.connection.rejection = undefined
  t.equal(await verify(), 'accepted')
  const { notAfter } = alice.connection.presenter?.certificate ?? { notAfter: 0 }
  const start = clock.now
  clock.now = notAfter
  const late = sign(alice, 'certificate', { iat: clock.now, exp: clock.now + 300 })
  t.equal(await outcomeOf(() => verifier.verify(request(late), alice.connection)), 'accepted', 'its last second')
  clock.now = notAfter + 1
  t.match(await outcomeOf(() => verifier.verify(request(late), alice.connection)), refused('certificate_expired'))
  clock.now = start
})

t.test('remembers a token that this process has bound to a connection, if the audience matches', async t => {
  const alice = await connect()
  const verifier = build()
  const own = claims(alice, 'connection')
  verifier.remember('bound', own as never, 'connection', alice.connection)
  t.match(verifier.verify(request('bound'), alice.connection), { binding: 'connection', claims: own })
  t.equal(verifier.reads, 0)
  verifier.remember('elsewhere', { ...own, aud: 'https://rs.example' } as never, 'connection', alice.connection)
  t.match(await outcomeOf(() => verifier.verify(request('elsewhere'), alice.connection)), { reason: 'bad_signature' })
  t.equal(verifier.reads, 1)
})

t.test('remembers 64 tokens per connection, and drops the oldest', async t => {
  const alice = await connect()
  const verifier = build()
  const tokens = Array.from({ length: 65 }, (_, index) => sign(alice, 'certificate', { jti: `token ${index}` }))
  const verify = (token = '') => verifier.verify(request(token), alice.connection)
  for (const token of tokens.slice(0, 64)) verify(token)
  for (const token of tokens.slice(0, 64)) verify(token)
  t.equal(verifier.reads, 64)
  verify(tokens[64])
  t.equal(alice.connection.verified?.size, 64)
  for (const token of tokens.slice(1)) verify(token)
  t.equal(verifier.reads, 65)
  t.match(verify(tokens[0]), { claims: { jti: 'token 0' } })
  t.equal(verifier.reads, 66)
})

t.test('accepts a token in one well-formed Authorization header only (N-45, HT01, HT02, HT03)', t => {
  for (const scheme of ['Bearer', 'bearer', 'BEARER'])
    t.equal(readBearerToken(`${scheme} aZ09-._~+/==`), 'aZ09-._~+/==')
  for (const none of [undefined, '', 'Basic YTpi', 'Bearerx a', 'Bearer-a', 'a Bearer b', ' Bearer a', 'bear'])
    t.throws(() => readBearerToken(none), { code: undefined, reason: 'no_token' }, String(none))
  const malformed = { code: 'invalid_request', reason: 'malformed_request' }
  for (const form of [
    'Bearer',
    'Bearer ',
    'Bearer  a',
    'Bearer\ta',
    'Bearer a b',
    'Bearer a,b',
    'Bearer a, Bearer b',
    'Bearer a=b',
    'Bearer =a',
  ])
    t.throws(() => readBearerToken(form), malformed, form)

  const twice = ['Authorization', 'x', 'AUTHORIZATION', 'y']
  for (const [url, rawHeaders] of [
    ['/?access_token=x', []],
    ['/?a=b&acc%65ss_token', []],
    ['/', twice],
    ['/?a=b', ['a', 'b', ...twice]],
  ] as const)
    t.throws(() => refuseSecondToken({ url, rawHeaders: [...rawHeaders] }), malformed, url)
  for (const [url, rawHeaders] of [
    [undefined, []],
    ['access_token=x', []],
    ['/access_token', ['Authorization', 'x', 'Authorized-By-Me', 'y']],
    ['/?a=access_token', ['x-header-here', 'authorization', 'Authorization', 'x']],
  ] as const)
    t.doesNotThrow(() => refuseSecondToken({ url, rawHeaders: [...rawHeaders] }), `control: ${url}`)
  t.equal(countHeaders(['A', 'b', 'a', 'a', 'bb', 'a', 'b', 'a'], 'a'), 2)
  t.end()
})

t.test('the scheme in place of Bearer is a fact, and credentials in its place are none', async t => {
  const foundIn = (authorization: string) => {
    try {
      readBearerToken(authorization)
    } catch (error) {
      return (error as OAuthError).facts.found
    }
    throw new Error('accepted')
  }
  const schemes = [
    ...[
      'DPoP',
      'Basic',
      'basic',
      'Negotiate',
      'OAuth',
      'mtls_pop',
      'AWS4-HMAC-SHA256',
      'SCRAM-SHA-256',
      'PrivateToken',
    ],
    'a'.repeat(32),
  ]
  for (const scheme of schemes) t.equal(foundIn(`${scheme} x`), scheme)
  const secrets = [
    ...['eyJhbGciOiJFUzI1NiJ9.e30.AAAA', 'tlsbound_at_0123456789abcdefghijklmnopqrstuvwxyzABCDEFG', 'YWxpY2U6eA=='],
    ...[
      '550e8400-e29b-41d4-a716-446655440000',
      '9f86d081884c7d659a2feaa0c55ad015',
      'sk_live_4eC39HqLyjWDarjt',
      'a'.repeat(33),
    ],
    ...[
      '',
      '-',
      '_',
      '12',
      '1a',
      'a-',
      'a--b',
      'a.b',
      'a:b',
      'a=b',
      'a/b',
      'a1234',
      '§',
      'a\u0000',
      'Basic\tx',
      'B\u00e4r',
    ],
  ]
  for (const secret of secrets) {
    t.equal(foundIn(`${secret} x`), undefined, secret)
    t.equal(foundIn(secret), secret === '' ? 'an empty value' : 'one word without a scheme', secret)
  }
  for (const scheme of schemes)
    t.equal(foundIn(scheme), 'one word without a scheme', `${scheme} without credentials may be one`)
})

t.test('reads a token with its key and that key’s algorithm, or from the store if it is opaque', async t => {
  const alice = await connect()
  const own = claims(alice, 'certificate')
  const token = key.sign(own)
  const kept = buildOpaqueToken('at', Buffer.alloc(32, 1))
  const found = new Map<string, Claims>([[hashOpaqueToken(kept), own]])
  const asked: string[] = []
  const findOpaque = async (hash: string) => {
    asked.push(hash)
    return found.get(hash)
  }
  const find = (kid: string) => (kid === key.kid ? key : undefined)
  const [now, later] = [createTokenReader(find, findOpaque), createTokenReader(async kid => find(kid), findOpaque)]
  const refusal = { code: 'invalid_token', reason: 'bad_signature' }
  t.match(now(token), own)
  t.match(await later(token), own)
  const unknown = `${Buffer.from('{"typ":"at+jwt","alg":"ES256","kid":"x"}').toString('base64url')}.e30.e30`
  for (const wrong of [unknown, `${token.slice(0, -4)}AAAA`]) {
    t.throws(() => now(wrong), refusal)
    await t.rejects(async () => later(wrong), refusal)
  }
  const other = createTokenReader(() => ({ ...key, algorithm: 'RS256' }))
  t.throws(() => other(token), refusal, 'the algorithm is that of the key')

  t.same(asked, [])
  t.same(await now(kept), own)
  await t.rejects(async () => now(buildOpaqueToken('at', Buffer.alloc(32, 2))), refusal)
  t.equal(asked.length, 2)
  for (const none of [`${kept.slice(0, -1)}_`, buildOpaqueToken('rt', Buffer.alloc(32, 1))])
    t.throws(() => now(none), refusal, 'the store is not queried')
  t.throws(() => createTokenReader(find)(kept), refusal, 'without a store of opaque tokens')
  t.equal(asked.length, 2)
})
