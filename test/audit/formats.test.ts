// Security events as ECS and OCSF: every event, produced by a real server, matches the published schema of each format, which
// rejects changed ones. N-65, N-66.
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import t from 'tap'
import { eventNames, type SecurityEvent } from '../../src/audit/event.ts'
import { collectEvents } from '../helpers/server/all-events.ts'
import { findEcsFaults } from '../helpers/server/ecs-definitions.ts'
import { type Form, faultsOf, forms, linesOf, nameOf } from '../helpers/server/event-schemas.ts'

const events = await collectEvents(t)
const refusal = events.find(({ event }) => event === 'token.refused') as SecurityEvent
events.push({ ...refusal, count: 7, since: '2026-11-24T14:00:00.123Z' })
const documents = (form: Form) => linesOf(form, events).map(line => JSON.parse(line))
const ours = {
  plain: (line: Members) => line,
  ecs: ({ tlsbound }: Members) => tlsbound,
  ocsf: ({ unmapped }: Members) => unmapped,
}
// biome-ignore lint/suspicious/noExplicitAny: each form has its own members
type Members = Record<string, any>

/** Optional members that the events of a server have: without a request, there are none about a request. */
const optional = /^(count|since|actor|tls|user|source|status_code|activity_name)$/
const optionalOf: Readonly<Record<string, RegExp>> = {
  'token.revoked': /^(http|url|http_request|request_id|method|path)$/,
  'theft.suspected': /^(reason|status_detail)$/,
}

for (const form of forms)
  t.test(`produces every event, valid by the schema, which rejects changed ones: ${form}`, async t => {
    const lines = documents(form)
    t.same([...new Set(lines.map(nameOf))].sort(), [...eventNames].sort())
    for (const line of lines) t.same(faultsOf(form, line), [], nameOf(line))
    for (const name of eventNames) {
      const line = lines.find(line => nameOf(line) === name)
      const refused = (change: (copy: Members) => void, how: string) => {
        const copy = structuredClone(line)
        change(copy)
        t.not(faultsOf(form, copy).length, 0, `${name} ${how}`)
      }
      refused(copy => (copy.more = 1), 'with an unknown member')
      refused(copy => (ours[form](copy).more = 1), 'with an unknown member of tlsbound')
      refused(copy => delete ours[form](copy).chain, 'without its chain')
      refused(copy => (ours[form](copy).chain = 'short'), 'with an invalid chain')
      const other = name === 'token.issued' ? 'key.rotated' : 'token.issued'
      if (form === 'plain') refused(copy => (copy.event = other), 'under another name')
      if (form === 'ecs') refused(copy => (copy.event.action = other), 'under another name')
      if (form === 'ocsf') refused(copy => (copy.metadata.event_code = other), 'under another name')
      const demanded =
        form === 'plain' ? ['time', 'event', 'outcome', 'reason', 'method', 'path', 'kid'] : Object.keys(line)
      for (const member of demanded.filter(member => member in line && !optional.test(member)))
        if (!optionalOf[name]?.test(member)) refused(copy => delete copy[member], `without ${member}`)
    }
  })

t.test('documents every event in docs/reference/events.md, with valid lines as examples', async t => {
  const text = readFileSync('docs/reference/events.md', 'utf8')
  const lines = text.split('\n').filter(line => line.startsWith('{'))
  t.equal(lines.length, forms.length)
  for (const [index, form] of forms.entries()) t.same(faultsOf(form, JSON.parse(lines[index] as string)), [], form)
  const rows = [...text.matchAll(/^\| `([a-z]+\.[a-z]+)` \| (\w+) \|/gm)].map(([, name, outcome]) => ({
    name,
    outcome,
  }))
  t.same(rows.map(({ name }) => name).sort(), [...eventNames].sort())
  for (const { name = '', outcome } of rows) t.equal(events.find(({ event }) => event === name)?.outcome, outcome, name)
})

t.test('loses no fact of an event in another format', async t => {
  const shown = { ecs: documents('ecs'), ocsf: documents('ocsf') }
  const outcomes: Record<string, string[]> = {
    success: ['"status_id":1'],
    refused: ['"outcome":"failure"', '"status_id":2'],
    unknown: ['"status_id":0'],
  }
  for (const [index, event] of events.entries()) {
    const facts = Object.entries(event).filter(([, value]) => value !== undefined)
    for (const form of ['ecs', 'ocsf'] as const) {
      const text = JSON.stringify(shown[form][index])
      const lost = facts.filter(([name, value]) => !spellings(name, value).some(one => text.includes(one)))
      t.same(lost, [], `${form} ${event.event}`)
    }
  }

  function spellings(name: string, value: unknown): string[] {
    const text = String(value)
    if (name === 'x5t#S256') return [text, Buffer.from(text, 'base64url').toString('hex').toUpperCase()]
    if (name === 'time' || name === 'since') return [text, String(Date.parse(text))]
    if (name === 'outcome') return [`"outcome":"${text}"`, ...(outcomes[text] ?? [])]
    if (name === 'tls') return [text, text.replace('TLSv', '')]
    return [JSON.stringify(value).replace(/^"|"$/g, '')]
  }
})

t.test('has the fields that a SIEM correlates by, in the form of ECS (N-66)', async t => {
  const [line] = documents('ecs').filter(
    line => nameOf(line) === 'theft.suspected' && line.event.reason === 'certificate_mismatch',
  )
  const { 'x5t#S256': thief } =
    events.find(({ event, reason }) => event === 'theft.suspected' && reason === 'certificate_mismatch') ?? {}
  t.match(line, {
    event: { kind: 'alert', outcome: 'unknown', reason: 'certificate_mismatch', dataset: 'tlsbound.audit' },
    user: { id: undefined, target: { id: 'alice' } }, // the owner of the token is not the client that presented it
    source: { ip: '127.0.0.1', port: Number },
    tls: { version: '1.3', version_protocol: 'tls', cipher: /^TLS_/, resumed: false },
    http: { request: { method: 'GET', id: String }, response: { status_code: 401 } },
    url: { path: '/api/whoami' },
    tlsbound: { signal: 'token.refused', response: 'close', suspicion: 'certain', jti: String, grant: String },
  })
  t.equal(line.tls.client.hash.sha256, Buffer.from(String(thief), 'base64url').toString('hex').toUpperCase())
  t.equal(line.tls.client.hash.sha256.length, createHash('sha256').digest('hex').length)
  const [counted] = documents('ecs').filter(({ tlsbound }) => tlsbound.count === 7)
  t.match(counted.event, { start: '2026-11-24T14:00:00.123Z', end: refusal.time })
  t.match(documents('ecs').find(line => nameOf(line) === 'token.issued').event.outcome, 'success')
  t.match(documents('ecs').find(line => nameOf(line) === 'client.refused').event.outcome, 'failure')
})

t.test(
  'produces events that are valid by the official definitions of ECS, which reject changed ones (N-66)',
  async t => {
    const lines = documents('ecs')
    for (const line of lines) t.same(findEcsFaults(line, 'tlsbound'), [], nameOf(line))
    const refused = (change: (copy: Members) => void, fault: string) => {
      const copy = structuredClone(lines.find(line => line.event.reason === 'certificate_mismatch')) as Members
      change(copy)
      t.match(findEcsFaults(copy, 'tlsbound'), [fault], fault)
    }
    refused(copy => (copy.user.owner = 'alice'), 'user.owner: no field of ECS')
    refused(copy => (copy.source.port = '1'), 'source.port: "1" is no long')
    refused(copy => (copy.event.kind = 'alarm'), 'event.kind: "alarm" is no keyword allowed')
    refused(copy => (copy.event.category = 'authentication'), 'event.category: an array is needed')
    refused(copy => (copy.event.type = ['protocol']), 'event.type: protocol')
  },
)

t.test('has consistent classes, types and times, and a unique id for each event of OCSF (N-65)', async t => {
  const lines = documents('ocsf')
  for (const { class_uid, category_uid, activity_id, type_uid, time } of lines) {
    t.equal(type_uid, class_uid * 100 + activity_id)
    t.equal(category_uid, Math.floor(class_uid / 1000))
    t.ok(Number.isInteger(time))
  }
  t.equal(new Set(lines.map(({ metadata }) => metadata.uid)).size, lines.length)
  const classes = Object.fromEntries(lines.map(line => [nameOf(line), line.class_uid]))
  t.match(classes, { 'token.issued': 3002, 'client.refused': 3002, 'token.revoked': 3002, 'refresh.rotated': 3002 })
  t.match(classes, {
    'token.introspected': 6003,
    'client.changed': 6003,
    'admin.refused': 6003,
    'connection.refused': 4001,
  })
  t.match(classes, { 'theft.suspected': 2004, 'token.leaked': 2004, 'refresh.reused': 2004, 'key.rotated': 0 })
  const refused = lines.filter(line => nameOf(line) === 'token.refused')
  const classOf = (path: string) => refused.find(({ http_request }) => http_request.url.path === path).class_uid
  t.equal(classOf('/oauth/token'), 3002, 'an issued token')
  t.equal(classOf('/api/whoami'), 6003, 'a presented token')
  t.match(lines.at(-1), {
    count: 7,
    time: 1795528800123,
    start_time: 1795528800123,
    end_time: Date.parse(refusal.time),
  })
})
