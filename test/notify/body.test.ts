// The body of a notification: bounded, JSON, and without any token, whatever an event contains. LK01, LK03, LK11.
import fc from 'fast-check'
import t from 'tap'
import { eventNames, type SecurityEvent } from '../../src/audit/event.ts'
import { buildOpaqueToken } from '../../src/core/opaque-token.ts'
import { buildBody } from '../../src/notify/body.ts'
import { theft } from '../helpers/server/webhook-receiver.ts'

const jwt = `eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.${'c2ln'.repeat(20)}`
const paseto = `v4.public.eyJzdWIiOiJhbGljZSJ9${'c2ln'.repeat(24)}.eyJraWQiOiJrNC5waWQu${'a'.repeat(62)}`
const opaque = buildOpaqueToken('rt', Buffer.alloc(32, 5))

t.test('keeps facts unchanged, and ids that resemble the beginning of a token', t => {
  const facts = {
    jti: 'eyJabcdefghijklmnop',
    'x5t#S256': `eyJ${'A'.repeat(40)}`,
    resumed: false,
    peer_port: 1,
    tls: null,
  }
  const body = JSON.parse(buildBody(theft({ ...facts, bindings: { 'tls-exporter': 'x' } }), 0))
  t.match(body, { type: 'theft.suspected', data: { ...facts, client_id: 'alice', bindings: { 'tls-exporter': 'x' } } })
  t.notOk('suppressed' in body.data)
  t.equal(JSON.parse(buildBody(theft(), 3)).data.suppressed, 3)
  t.end()
})

t.test('redacts a token in a fact, in its name or within a text, and its beginning', t => {
  for (const token of [jwt, opaque, paseto, jwt.slice(0, 60), opaque.slice(0, 30), paseto.slice(0, 60)])
    for (const facts of [
      { client_id: token },
      { path: `/a/${token}/b` },
      { act: { sub: [`x ${token}`] } },
      { [token]: 1 },
      { path: 'x'.repeat(500) + token },
    ]) {
      const body = buildBody(theft(facts), 0)
      for (const secret of [
        jwt.slice(21, 50),
        jwt.slice(-40),
        opaque.slice(12, 30),
        paseto.slice(13, 40),
        paseto.slice(-40),
      ])
        t.notOk(body.includes(secret), body)
    }
  t.end()
})

t.test('builds short JSON that identifies the event, whatever the event contains', t => {
  const unit = fc.constantFrom('a', '.', '"', '\u0000', '\u2028', '\ud800', '\u{1f511}', 'eyJ', 'tlsbound_at_')
  const event = fc.record({
    time: fc.constant('2026-11-24T14:00:00.000Z'),
    event: fc.constantFrom(...eventNames),
    outcome: fc.constant('refused'),
    client_id: fc.string({ unit, maxLength: 40 }).map(text => text.repeat(30)),
    other: fc.anything({ maxDepth: 3, withBigInt: true, withDate: true, withNullPrototype: true }),
  }) as fc.Arbitrary<SecurityEvent>
  const check = (one: SecurityEvent) => {
    const body = buildBody(one, 0)
    const { type, data } = JSON.parse(body)
    return body.length <= 16_384 && type === one.event && 'client_id' in data && !body.includes('tlsbound_at_')
  }
  t.doesNotThrow(() => fc.assert(fc.property(event, check), { numRuns: 60 }))
  const huge = Object.fromEntries(
    Array.from({ length: 1000 }, (_, index) => [`fact-${index}`, '\u0000'.repeat(10_000)]),
  )
  t.ok(check(theft(huge)), 'the same for an event that is too large')
  t.match(JSON.parse(buildBody(theft(huge), 2)).data, { client_id: 'alice', jti: 'jti-1', suppressed: 2 })
  const round: { self?: unknown } = {}
  round.self = round
  t.doesNotThrow(() => buildBody(theft({ round }), 0))
  t.end()
})
