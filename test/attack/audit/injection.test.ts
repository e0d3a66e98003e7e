// Text of clients in names, paths and headers stays inside its JSON string. One event is one line in each format, without
// characters that a terminal or a line reader interprets. LK03.
import { randomBytes } from 'node:crypto'
import t from 'tap'
import type { SecurityEvent } from '../../../src/audit/event.ts'
import { readLines } from '../../../src/audit/lines.ts'
import { verifyChain } from '../../../src/audit/verify.ts'
import { buildOpaqueToken } from '../../../src/core/opaque-token.ts'
import { startTestServer } from '../../../src/testing/server.ts'
import { faultsOf, forms, linesOf, nameOf } from '../../helpers/server/event-schemas.ts'
import { at, callOps, registrationOf } from '../../helpers/server/ops.ts'
import { exchange } from '../../helpers/server/raw-http.ts'
import { post, register } from '../../helpers/tokens/grants.ts'

const forged = '{"event":"token.issued","outcome":"success","client_id":"admin"}'
const poisons = {
  'a line end': `x\n${forged}\ny`,
  'a CRLF line end': `x\r\n${forged}\r\n`,
  'the end of the string': `x","event":"token.issued","chain":"AAAA`,
  'a backslash': 'x\\',
  'a terminal sequence': '\u001b[2J\u001b]0;owned\u0007',
  'a terminal sequence of one octet': '\u009b31m\u0085',
  'Unicode line ends': `x\u2028${forged}\u2029`,
  'a right-to-left override': '\u202eecila\u2066\u200f',
  'invisible characters': '\u200b\ufeff\u00ad',
  NUL: '\u0000',
  'half a surrogate pair': 'x\ud800y\udfff',
  'a surrogate pair that is cut': `${'x'.repeat(127)}\u{1f600}`,
  'very long text': 'x'.repeat(3000),
  'a prototype': '__proto__',
}
/** Characters that no line may contain before its end: controls, Unicode line ends, direction marks, invisible characters. */
const steering = /[\p{Cc}\p{Zl}\p{Zp}\p{Cf}]/u

const server = await startTestServer({ clients: [register('alice')], ops: true, tls: { http2: true } })
t.teardown(() => server.close())
const [alice, h2] = [await server.connect('alice'), await server.connect('alice', { ALPNProtocols: ['h2'] })]

/** Sends the text in every place from which it can reach an event. */
async function inject(poison: string): Promise<void> {
  const token = await alice.token({ token_binding: 'certificate' })
  const encoded = encodeURIComponent(poison.toWellFormed())
  const latin = encodeURIComponent(poison.replace(/[^\x20-\x7e\xa0-\xff]/g, '?'))
  for (const connection of [alice, h2]) {
    await connection.requestToken({ client_id: poison })
    await connection.requestToken({ scope: poison })
    await connection.requestToken({ grant_type: poison, resource: poison })
    await post(connection, '/oauth/introspect', { client_id: poison, token: poison })
    await post(connection, '/oauth/revoke', { client_id: 'alice', token: poison })
    const secret = `Basic ${Buffer.from(`${encoded}:x`).toString('base64')}`
    await post(connection, '/oauth/token', { grant_type: 'client_credentials' }, { authorization: secret })
    await connection.call(`/${encoded}?${encoded}`, { headers: { 'user-agent': latin, 'x-request-id': latin } })
    await connection.get(`/api/${latin}`, token)
  }
  const bare = new URLSearchParams({ grant_type: 'client_credentials' })
  await post(alice, '/oauth/token', `${bare}&client_id=%ed%a0%80%ff`, {})
  await callOps(server, 'PUT', at(poison.toWellFormed().slice(0, 60)), { body: registrationOf(poison) })
  await callOps(server, 'PUT', at('carol'), { body: registrationOf('carol') })
  await callOps(server, 'DELETE', at(poison.toWellFormed().slice(0, 60)), {
    headers: { authorization: `Bearer ${latin}` },
  })
}

for (const [what, poison] of Object.entries(poisons))
  t.test(`writes one line per event with ${what} (LK03)`, async t => {
    const since = server.events.length
    await inject(poison)
    const raw = await server.connect('alice')
    const target = Buffer.from(poison.slice(0, 50)).toString('latin1')
    const rest = 'HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n'
    await exchange(raw, `GET /${target} ${rest}`, { until: 'closed' })
    const events = server.events.slice(since) as SecurityEvent[]
    t.ok(events.length > 10, `${events.length} events`)
    // Names that the operator chooses, and no client.
    const named = { time: '2026-11-24T14:00:00.000Z', outcome: 'success', client_id: poison, chain: poison } as const
    const all: SecurityEvent[] = [
      ...events,
      { ...named, event: 'key.rotated', kid: poison, nbf: 1, sub: poison, jti: { [poison]: poison } },
    ]

    for (const form of forms) {
      const lines = linesOf(form, all)
      const wrong = lines.filter(line => line.indexOf('\n') !== line.length - 1 || steering.test(line.slice(0, -1)))
      t.same(wrong, [], `${form}: one line, without control characters`)
      const read = lines.map(line => JSON.parse(line))
      t.same(
        read.map(nameOf),
        all.map(({ event }) => event),
        `${form}: no other events`,
      )
      for (const line of read.slice(0, events.length)) t.same(faultsOf(form, line), [], `${form}: ${nameOf(line)}`)
      t.match(await verify(lines), { problems: 0, events: all.length })
    }
    t.equal(JSON.parse(linesOf('plain', all).at(-1) as string).kid, poison, 'the original text is recorded')
  })

async function verify(lines: readonly string[]) {
  const octets = (async function* () {
    yield Buffer.from(lines.join(''))
  })()
  const verification = verifyChain([{ file: 'a', lines: readLines(octets) }])
  let step = await verification.next()
  while (step.done !== true) step = await verification.next()
  return step.value
}

t.test('records no token that a client puts in place of a name or a path (LK01)', async t => {
  const rt = buildOpaqueToken('rt', randomBytes(32))
  const jwt = await alice.token()
  const since = server.events.length
  for (const connection of [alice, h2])
    for (const token of [rt, jwt]) {
      for (const path of [`/api/notes/${token}`, `/${'x'.repeat(220)}/${token}`]) await connection.get(path)
      await post(connection, '/oauth/token', { grant_type: 'client_credentials', client_id: token })
      const headers = { authorization: `Basic ${btoa(`${token}:x`)}` }
      await post(connection, '/oauth/token', { grant_type: 'client_credentials' }, headers)
    }
  // Without the thumbprints, which can contain such letters by chance.
  const told = server.events.slice(since).map(({ path, client_id }) => `${path} ${client_id}`)
  t.equal(
    told.filter(text => /tlsbound_rt_\u2026|eyJ\u2026/.test(text)).length,
    16,
    'control: the place of a token is shown',
  )
  t.same(
    told.filter(text => /tlsbound_rt_\w|eyJ[\w-]/.test(text)),
    [],
  )
})
