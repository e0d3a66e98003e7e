// A report reveals nothing to its sender: neither its response nor its effects show which tokens are valid. Its cost is
// bounded, and a report that cannot be processed is not lost. OA27, DS18, LK01, RE04.
import { randomBytes } from 'node:crypto'
import t from 'tap'
import { OAuthError } from '../../../src/core/errors.ts'
import { buildOpaqueToken } from '../../../src/core/opaque-token.ts'
import { openSqlite } from '../../../src/store/sqlite.ts'
import { startTestServer } from '../../../src/testing/server.ts'
import { contentsOf, refresh, register, startGrant, watchStore } from '../../helpers/tokens/grants.ts'
import {
  accepted,
  leaksOf,
  makeReporter,
  publicKeys,
  reportOf,
  sendSigned,
  trustReporters,
} from '../../helpers/tokens/leaks.ts'

const clients = [register('alice'), register('bob', { access_token_format: 'opaque' })]
const reporter = makeReporter()
const env = trustReporters(t.testdir(), publicKeys(reporter))
const { store, calls } = watchStore(openSqlite(':memory:'))
const server = await startTestServer({ clients, env, store })
t.teardown(() => server.close())
const [alice, bob, nobody] = [await server.connect('alice'), await server.connect('bob'), await server.connect(null)]
const report = (...tokens: string[]) => sendSigned(nobody, reporter, reportOf(...tokens))
const wish = { token_binding: 'certificate' }

/** Texts that are not a complete token: truncated, of another server, in other letters, noise. */
async function partsAndForgeries(): Promise<Record<string, string>> {
  const [signed, opaque] = [await startGrant(alice, wish), await startGrant(bob, wish)]
  const other = await startTestServer({ clients, pki: server.pki })
  const foreign = await startGrant(await other.connect('alice'), wish)
  await other.close()
  const [head, claims, signature = ''] = signed.access.split('.')
  return {
    'a signed token without its last character': signed.access.slice(0, -1),
    'a signed token with one more': `${signed.access}A`,
    'its claims with another signature': `${head}.${claims}.${signature.split('').reverse().join('')}`,
    'its claims without signature': `${head}.${claims}.`,
    'a token in a sentence': `token: ${signed.access}`,
    'a refresh token without its last character': signed.refresh.slice(0, -1),
    'a refresh token in capitals': signed.refresh.toUpperCase(),
    'a refresh token behind a space': ` ${signed.refresh}`,
    'an opaque token without its last character': opaque.access.slice(0, -1),
    'an opaque token, said to be another kind': opaque.access.replace('_at_', '_rt_'),
    'a signed token of another server': foreign.access,
    'a refresh token of another server': foreign.refresh,
    'a refresh token that was never issued': buildOpaqueToken('rt', randomBytes(32)),
    'an access token that was never issued': buildOpaqueToken('at', randomBytes(32)),
    'a jti': JSON.parse(Buffer.from(String(claims), 'base64url').toString()).jti,
    'a grant': JSON.parse(Buffer.from(String(claims), 'base64url').toString()).grant,
    'five parts': `${signed.access}.x.y`,
    'a long text': 'x'.repeat(60_000),
    nothing: '',
  }
}

t.test('sends the same response for everything that is not a complete token, and changes nothing (OA27)', async t => {
  const texts = await partsAndForgeries()
  const before = await contentsOf(store)
  const since = server.events.length
  for (const [name, text] of Object.entries(texts)) {
    t.match(await report(text), accepted, name)
    t.same(await contentsOf(store), before, `${name}: nothing has changed`)
  }
  t.same(server.events.slice(since), [], 'the response reveals nothing')
})

t.test('answers live, dead and unknown tokens with identical octets (OA27)', async t => {
  const signed = await startGrant(alice, wish)
  const opaque = await startGrant(bob, wish)
  t.match(await alice.get('/api/whoami', signed.access), { status: 200 }, 'control: it is valid')
  const shown: string[] = []
  for (const text of [signed.access, signed.access, signed.refresh, opaque.refresh, opaque.access, 'x', '']) {
    const { status, text: body, headers } = await report(text)
    const { date: _date, ...others } = headers
    shown.push(JSON.stringify([status, body, others]))
  }
  t.same(new Set(shown).size, 1, `${shown[0]}`)
  t.match(await alice.get('/api/whoami', signed.access), { status: 401, body: { reason: 'revoked' } }, 'control')
})

t.test('sends the same response to a replayed report, and changes nothing', async t => {
  const { access } = await startGrant(alice, wish)
  const since = server.events.length
  t.match(await report(access), accepted)
  const after = await contentsOf(store)
  for (let time = 0; time < 5; time++) t.match(await report(access), accepted)
  t.same(await contentsOf(store), after)
  t.equal(server.events.length, since + 1)
  const fresh = await startGrant(alice, wish)
  t.match(await alice.get('/api/whoami', fresh.access), { status: 200 }, 'the client continues with a new grant')
})

t.test('queries the store once for each token of a report, and never for noise (DS18)', async t => {
  const noise = Array.from({ length: 100 }, (_, index) => `tlsbound_rt_${index}`.padEnd(61, 'x'))
  const unknown = Array.from({ length: 300 }, () => buildOpaqueToken('rt', randomBytes(32)))
  const grants = await Promise.all(Array.from({ length: 50 }, () => startGrant(alice, wish)))
  for (const [tokens, questions] of [
    [noise, { findRefreshToken: 0, revoke: 0 }],
    [unknown, { findRefreshToken: 300, revoke: 0 }],
    [unknown.slice(0, 10).flatMap(token => Array(20).fill(token)), { findRefreshToken: 10, revoke: 0 }],
    [grants.flatMap(({ refresh: token }) => [token, token]), { findRefreshToken: 50, revoke: 50 }],
    [grants.flatMap(({ refresh: token }) => [token, token]), { findRefreshToken: 50, revoke: 0 }],
  ] as const) {
    const before = calls.length
    t.match(await report(...tokens), accepted)
    const asked = calls.slice(before).filter(name => name !== 'removeExpired')
    for (const [name, count] of Object.entries(questions)) t.equal(asked.filter(one => one === name).length, count)
    t.equal(asked.length, questions.findRefreshToken + questions.revoke)
  }
})

t.test('serves other clients while it processes the largest report (DS18)', async t => {
  const shortest = (count: number) =>
    `[${Array.from({ length: count }, () => `{"token":"${buildOpaqueToken('rt', randomBytes(32))}"}`)}]`
  const body = shortest(1700)
  t.ok(body.length <= 131_072 && shortest(1800).length > 131_072, 'as many as fit')
  const order: string[] = []
  const sent = sendSigned(nobody, reporter, body).then(answer => {
    order.push('report')
    return answer
  })
  const before = calls.length
  while (calls.length === before) await new Promise(setImmediate) // in progress
  t.match(await (await server.connect('alice')).get('/binding'), { status: 200 })
  order.push('other')
  t.match(await sent, accepted)
  t.same(order, ['other', 'report'])
})

t.test('lists unparsable entries in the same way, whatever the other tokens are (OA27)', async t => {
  const shown = new Set<string>()
  for (const token of [(await startGrant(alice, wish)).access, (await startGrant(bob, wish)).refresh, 'x']) {
    const body = JSON.stringify([null, { token }, { token: 7 }])
    const { status, text } = await sendSigned(nobody, reporter, body)
    shown.add(`${status} ${text}`)
  }
  t.equal(shown.size, 1, [...shown].join())
  t.match([...shown][0], /^200 \{"not_understood":\[\{"index":0,"detail":"not_an_object"\},\{"index":2,/)
})

t.test('refuses a report while the store does not respond, and accepts it afterwards (RE04)', async t => {
  const real = openSqlite(':memory:')
  let broken: string | undefined
  const failing = new Proxy(real, {
    get(target, name) {
      const member = Reflect.get(target, name)
      if (typeof member !== 'function') return member
      return (...values: unknown[]) => {
        if (name === broken)
          return Promise.reject(new OAuthError('temporarily_unavailable', 'store_unavailable', 'no_answer'))
        return member.apply(target, values)
      }
    },
  })
  const own = await startTestServer({ clients, env, store: failing, pki: server.pki })
  t.teardown(() => own.close())
  const [connection, outside] = [await own.connect('alice'), await own.connect(null)]
  for (const [operation, which] of [
    ['findRefreshToken', 'refresh'],
    ['revoke', 'refresh'],
    ['revoke', 'access'],
  ] as const) {
    const tokens = await startGrant(connection, wish)
    const since = own.events.length
    broken = operation
    const refused = { status: 503, headers: { 'retry-after': '1' }, body: { reason: 'store_unavailable' } }
    t.match(await sendSigned(outside, reporter, reportOf(tokens[which])), refused, operation)
    t.match(own.events.slice(since), [{ event: 'token.refused', reason: 'store_unavailable' }])
    broken = undefined
    t.match(await connection.get('/api/whoami', tokens.access), { status: 200 }, 'no partial changes')
    t.match(await sendSigned(outside, reporter, reportOf(tokens[which])), accepted, 'again')
    t.equal(leaksOf(own, since).length, 1)
    t.match(await refresh(connection, tokens.refresh), { status: 400, body: { reason: 'refresh_revoked' } })
  }
})

t.test(
  'acknowledges no leak whose event cannot be written, and writes the event with the next report (I7)',
  async t => {
    const { access } = await startGrant(alice, wish)
    const lonely = buildOpaqueToken('rt', randomBytes(32))
    const written = server.events as object[]
    const since = written.length
    written.push = () => {
      throw new Error('no space left')
    }
    const refused = { status: 503, headers: { 'retry-after': '1' }, body: { reason: 'store_unavailable' } }
    t.match(await report(access), refused)
    t.match(await report(access), refused, 'for as long as this is so')
    t.match(await report(lonely), accepted, 'requests without an event succeed')
    written.push = Array.prototype.push
    t.match(await alice.get('/api/whoami', access), { status: 401, body: { reason: 'revoked' } }, 'already revoked')
    for (let time = 0; time < 3; time++) t.match(await report(access), accepted)
    t.equal(leaksOf(server, since).length, 1)
  },
)

t.test('writes no token or near-token of a report to any output (LK01)', async t => {
  const { access, refresh: token } = await startGrant(alice, wish)
  const almost = token.slice(0, -1)
  await report(access, token, almost)
  await sendSigned(nobody, { ...reporter, sign: () => 'AAAA' }, reportOf(access, token))
  const written = JSON.stringify(server.events) + server.log.join('')
  for (const secret of [access, token, almost, almost.slice(12, 40), access.split('.')[2] as string])
    t.notOk(written.includes(secret))
})
