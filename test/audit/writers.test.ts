// Several processes that write events to one file: a chain for each of them, whole lines only, and every change found. LK11, RE07.
import { spawn, spawnSync } from 'node:child_process'
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { SecurityEvent } from '../../src/audit/event.ts'
import { openEventFile } from '../../src/audit/file.ts'
import { describeFinding } from '../../src/audit/findings.ts'
import { createFloodGate } from '../../src/audit/flood.ts'
import { readEnd, readLastOf } from '../../src/audit/last-line.ts'
import { readLines } from '../../src/audit/lines.ts'
import { openEvents } from '../../src/audit/open.ts'
import { hashLine } from '../../src/audit/recorder.ts'
import { verifyChain } from '../../src/audit/verify.ts'
import { createAudit } from '../../src/server/record-events.ts'
import { runTlsbound } from '../helpers/process/process.ts'

const refusal = (more: Partial<SecurityEvent> = {}): SecurityEvent => ({
  time: '2026-11-24T14:00:00.000Z',
  event: 'token.refused',
  outcome: 'refused',
  reason: 'no_token',
  ...more,
})
const forms = ['plain', 'ecs', 'ocsf'] as const

/** Writes a file as a server does: the main chain, and two workers whose lines are mixed. One of them has ended. */
function write(path: string, auditFormat: (typeof forms)[number] = 'plain'): string[] {
  writeFileSync(path, '')
  const settings = { auditFile: path, auditFormat }
  const main = openEvents(settings, () => {}, { processes: 1 })
  const audit = createAudit(main.record)
  const start = (number: number, id: string) => {
    audit.workerChanged('started', number, id)
    return openEvents(settings, () => {}, { processes: 1, writer: { id, chain: main.end() } })
  }
  const [one, two] = [start(1, 'AAAAAAAAAAAA'), start(2, 'BBBBBBBBBBBB')]
  for (let round = 0; round < 3; round++)
    for (const events of [one, two]) events.record(refusal({ client_id: `n${round}` }))
  audit.settingsUnsafe('TLSBOUND_X')
  audit.workerChanged('stopped', 1, 'AAAAAAAAAAAA', one.end())
  two.record(refusal())
  for (const events of [one, two, main]) events.close()
  return readFileSync(path, 'utf8').trimEnd().split('\n')
}

async function verify(lines: readonly string[], anchors: Parameters<typeof verifyChain>[1] = {}) {
  async function* octets() {
    yield Buffer.from(lines.map(line => `${line}\n`).join(''))
  }
  const verification = verifyChain([{ file: 'a', lines: readLines(octets()) }], anchors)
  const found: string[] = []
  for (let step = await verification.next(); ; step = await verification.next()) {
    if (step.done) return { found, ...step.value }
    t.equal(typeof describeFinding(step.value), 'string')
    found.push(`${step.value.what} ${step.value.line ?? ''}`)
  }
}

const folder = t.testdir()
const path = join(folder, 'audit.jsonl')

for (const form of forms)
  t.test(`follows the chain of each writer, and finds each line that was removed or changed: ${form}`, async t => {
    const lines = write(path, form)
    t.equal(lines.length, 11)
    const whole = await verify(lines)
    const ends = `${hashLine(lines[9] as string)},BBBBBBBBBBBB:${hashLine(lines[10] as string)}`
    t.match(whole, { found: ['new_chain 1'], events: 11, problems: 0, end: ends })
    for (let index = 1; index < lines.length; index++) {
      const without = await verify(lines.filter((_, other) => other !== index))
      // The last line of a chain whose writer has not ended: only its hash shows that it was there.
      const isLast = index === 9 || index === 10
      t.equal(without.problems > 0, !isLast, `without line ${index + 1}: ${without.found}`)
      t.ok(
        (
          await verify(
            lines.filter((_, other) => other !== index),
            { expect: ends },
          )
        ).problems > 0,
      )
      const changed = lines.with(index, (lines[index] as string).replace('2026', '2025').replace('T', 'T'))
      if (changed[index] !== lines[index] && !isLast) t.ok((await verify(changed)).problems > 0, `${index + 1} changed`)
    }
  })

t.test('finds lines that were inserted: of a new writer, of one that has ended, twice, or swapped', async t => {
  const lines = write(path)
  const forge = (writer: string, chain: string) => JSON.stringify({ ...refusal(), writer, chain })
  const insert = (at: number, ...more: string[]) => verify(lines.toSpliced(at, 0, ...more))
  t.match(await insert(5, forge('CCCCCCCCCCCC', hashLine(lines[0] as string))), {
    found: ['new_chain 1', 'unannounced 6'],
  })
  t.match(await insert(11, forge('AAAAAAAAAAAA', hashLine(lines[6] as string))), {
    found: ['new_chain 1', 'inserted 12'],
  })
  t.match(await insert(5, lines[4] as string), { problems: 1 })
  t.match(await verify([...lines.slice(0, 3), lines[4], lines[2], ...lines.slice(5)] as string[]), { problems: 2 })
  const announcement = JSON.stringify({
    ...{ time: refusal().time, event: 'worker.changed', outcome: 'success', change: 'started', worker: 3 },
    ...{ chain_of: 'CCCCCCCCCCCC', chain: hashLine(lines[1] as string) },
  })
  t.match((await insert(5, announcement, forge('CCCCCCCCCCCC', hashLine(announcement)))).found, ['new_chain 1', /./])
})

t.test('continues over several files, from the ends that were stored, and from a file in the middle', async t => {
  const lines = write(path)
  const first = await verify(lines.slice(0, 6))
  t.equal(first.end.split(',').length, 3)
  t.match(await verify(lines.slice(6), { after: first.end }), { found: [], problems: 0 })
  t.match(await verify(lines.slice(7), { after: first.end }), { problems: 1 }, 'the first line of a worker is missing')
  t.match(await verify(lines.slice(6)), { problems: 0, found: ['later_chain 1', 'later_chain 2', 'later_chain 3'] })
  t.match(await verify(lines, { expect: first.end }), { problems: 0 })

  const options = ['--after', first.end, '--expect', first.end]
  writeFileSync(join(folder, 'rest.jsonl'), `${lines.slice(6).join('\n')}\n`)
  t.match(await runTlsbound(['audit', 'verify', 'rest.jsonl', ...options], folder), { code: 0 })
  t.match(await runTlsbound(['audit', 'verify', 'rest.jsonl', '--after', `${first.end},x`], folder), { code: 2 })
})

t.test('continues the main chain, however many lines workers have written after it', async t => {
  const lines = write(path)
  const main = lines[9] as string
  t.equal(readEnd(path).lastLine, main)
  const many = Array.from({ length: 2000 }, () => lines[10])
  writeFileSync(path, `${[...lines, ...many].join('\n')}\n${'x'.repeat(300_000)}\n`)
  t.equal(readEnd(path).lastLine, main)
  t.equal(readLastOf(path, 'AAAAAAAAAAAA'), main, 'the line that has the end of its chain')
  t.equal(readLastOf(path, 'CCCCCCCCCCCC'), undefined)
})

t.test('does not append to the incomplete line of another process', async t => {
  writeFileSync(path, '')
  const file = openEventFile(path, () => t.fail(), true)
  file.write('{"n":1}\n')
  writeFileSync(path, '{"n":2', { flag: 'a' }) // as after a full disk, or a process that was killed
  file.write('{"n":3}\n')
  t.equal(readFileSync(path, 'utf8'), '{"n":1}\n{"n":2\n{"n":3}\n')
})

t.test('writes whole lines only to a pipe that processes share, and none that the pipe would cut', async t => {
  const pipe = join(folder, 'pipe')
  spawnSync('mkfifo', [pipe])
  const reader = spawn('cat', [pipe])
  let text = ''
  reader.stdout.on('data', chunk => (text += chunk))
  const keepOpen = openSync(pipe, 'r+')
  const events = openEvents({ auditFile: pipe, auditFormat: 'plain' }, () => {}, { processes: 2 })
  events.record(refusal({ facts: { found: 'short' } }))
  events.record(refusal({ facts: { found: '\u0001'.repeat(1000) }, path: '/'.repeat(256) }))
  t.throws(() => events.record(refusal({ scope: 'x'.repeat(5000) })), /more than 4096 octets/, 'not by a client')
  events.record(refusal({ path: '/last' }))
  events.close()
  closeSync(keepOpen)
  await new Promise(closed => setTimeout(closed, 500))
  reader.kill()
  const lines = text
    .trimEnd()
    .split('\n')
    .map(line => JSON.parse(line))
  t.match(lines, [{ facts: { found: 'short' } }, { path: /^\/{256}$/, facts: undefined }, { path: '/last' }])
  t.match(await verify(text.trimEnd().split('\n')), { problems: 0 })
})

t.test('processes share the limits of a flood', async t => {
  for (const [processes, most] of [
    [1, 20],
    [3, 6],
    [65, 1],
  ] as const) {
    const lines: SecurityEvent[] = []
    const gate = createFloodGate(event => void lines.push(event), processes)
    for (let count = 0; count < 100; count++) gate.record(refusal())
    t.equal(lines.length, most)
    gate.flush()
    t.equal(
      lines.reduce((sum, { count = 1 }) => sum + count, 0),
      100,
    )
  }
})
