// The chain of events: every change of a file is found at its line, in each format, and distinguished from what a crash or a
// full disk leaves. LK11, RE07, RE16.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { SecurityEvent } from '../../src/audit/event.ts'
import { openEventFile } from '../../src/audit/file.ts'
import { describeFinding } from '../../src/audit/findings.ts'
import { plain } from '../../src/audit/formats/plain.ts'
import { type Line, readLines } from '../../src/audit/lines.ts'
import { chainStart, createRecorder, hashLine } from '../../src/audit/recorder.ts'
import { type Finding, verifyChain } from '../../src/audit/verify.ts'
import { command } from '../../src/cli/audit.ts'
import { UsageError } from '../../src/cli/command.ts'
import { runTlsbound } from '../helpers/process/process.ts'
import { forms, linesOf } from '../helpers/server/event-schemas.ts'

const time = '2026-11-24T14:00:00.000Z'
const events = Array.from({ length: 9 }, (_, number): SecurityEvent => {
  return {
    time,
    event: 'client.refused',
    outcome: 'refused',
    reason: 'unknown_client',
    status: 401,
    client_id: `n${number}é\u{fffd}`,
  }
})
type Anchors = Parameters<typeof verifyChain>[1]

async function* chunksOf(octets: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let start = 0; start < octets.length; start += size) yield octets.subarray(start, start + size)
}

/** Returns the findings in files of these contents, in short, and the verdict. */
async function verify(contents: readonly (string | Buffer)[], anchors?: Anchors) {
  const files = contents.map((content, index) => ({
    file: 'abc'[index] as string,
    lines: readLines(chunksOf(Buffer.from(content), 1000)),
  }))
  const verification = verifyChain(files, anchors)
  const found: string[] = []
  for (let step = await verification.next(); ; step = await verification.next()) {
    if (step.done) return { found, ...step.value }
    t.equal(typeof describeFinding(step.value), 'string')
    found.push(show(step.value))
  }
}
const show = ({ what, file, line, other }: Finding) =>
  `${what} ${file ?? ''}${line ?? ''}${other === undefined ? '' : ` ${other.file}${other.line}`}`

for (const form of forms)
  t.test(`finds and names lines that were changed, removed, inserted or moved: ${form}`, async t => {
    const whole = linesOf(form, events)
    const other = linesOf(form, [{ ...(events[0] as SecurityEvent), client_id: 'mallory' }])[0] as string
    const fitting = (place: number) => other.replace(chainStart, hashLine(whole[place - 1]?.slice(0, -1) as string))
    const end = hashLine(whole.at(-1)?.slice(0, -1) as string)
    t.same(await verify([whole.join('')]), { found: ['new_chain a1'], events: 9, problems: 0, end }, 'control')

    const tampered: Record<string, [(lines: string[]) => unknown, string[]]> = {
      'a changed value': [lines => (lines[3] = lines[3]?.replace('n3', 'n4') as string), ['broken a5 a4']],
      'an additional space': [lines => (lines[3] = lines[3]?.replace('{', '{ ') as string), ['broken a5 a4']],
      'another line end': [lines => (lines[3] = lines[3]?.replace('\n', '\r\n') as string), ['broken a5 a4']],
      'a changed chain': [
        lines => (lines[3] = lines[3]?.replace(/"chain":"...../, '"chain":"AAAAA') as string),
        ['broken a4 a3', 'broken a5 a4'],
      ],
      'a missing line': [lines => lines.splice(3, 1), ['broken a4 a3']],
      'missing lines': [lines => lines.splice(3, 3), ['broken a4 a3']],
      'an inserted line of another chain': [lines => lines.splice(3, 0, other), ['inserted a4']],
      'an inserted line that refers to the one before': [lines => lines.splice(3, 0, fitting(3)), ['bypassed a5 a3']],
      'a repeated line': [lines => lines.splice(3, 0, lines[3] as string), ['inserted a5']],
      'a line moved up': [lines => lines.splice(2, 0, ...lines.splice(6, 1)), ['inserted a3', 'broken a8 a7']],
      'two lines swapped': [lines => lines.splice(3, 2, lines[4] as string, lines[3] as string), ['swapped a4 a5']],
      'the first two swapped': [
        lines => lines.splice(0, 2, lines[1] as string, lines[0] as string),
        ['later_chain a1', 'inserted a2'],
      ],
      'an inserted line without a chain': [lines => lines.splice(3, 0, '{"event":"token.issued"}\n'), ['foreign a4']],
      'another JSON object': [
        lines => lines.splice(3, 0, 'nothing\n', '[]\n', '\u{feff}\n'),
        ['foreign a4', 'foreign a5', 'foreign a6'],
      ],
      'a damaged line': [lines => (lines[3] = lines[3]?.replace('}', '') as string), ['torn a4', 'broken a5 a3']],
    }
    for (const [how, [change, expected]] of Object.entries(tampered)) {
      const lines = [...whole]
      change(lines)
      const { found, problems } = await verify([lines.join('')])
      t.same(
        found.filter(one => one !== 'new_chain a1'),
        expected,
        how,
      )
      t.ok(problems > 0, `${how} is a problem`)
    }
  })

const lines = linesOf('plain', events)
const hashOf = (place: number) => hashLine(lines[place - 1]?.slice(0, -1) as string)
const slice = (from: number, to = lines.length) => lines.slice(from - 1, to).join('')

t.test('verifies octets, not their decoded text', async t => {
  const octets = Buffer.from(slice(1))
  const at = octets.indexOf('\u{fffd}', octets.indexOf('n3'))
  const changed = Buffer.concat([octets.subarray(0, at), Buffer.from([0xff]), octets.subarray(at + 3)])
  t.equal(changed.toString(), octets.toString(), 'control: they look alike')
  t.match(await verify([changed]), { found: ['new_chain a1', 'broken a5 a4'], problems: 1 })
})

t.test('continues a chain from file to file, in their order only', async t => {
  const files = [slice(1, 4), slice(5, 5), slice(6)]
  t.match(await verify(files), { found: ['new_chain a1'], events: 9, problems: 0, end: hashOf(9) }, 'control')
  t.match(await verify([slice(1, 4), slice(6)]), { found: ['new_chain a1', 'broken b1 a4'] }, 'a missing file')
  t.match(
    await verify([slice(1, 3), slice(5, 5), slice(6)]),
    { found: ['new_chain a1', 'broken b1 a3'] },
    'a missing end',
  )
  t.match(await verify([slice(1, 4), slice(6), slice(5, 5)]), { problems: 2 }, 'another order')
  t.match(
    await verify([slice(3)]),
    { found: ['later_chain a1'], problems: 0, end: hashOf(9) },
    'earlier files are missing',
  )
  t.match(await verify([slice(1, 4), '', slice(5)]), { problems: 0 }, 'an empty one')
})

t.test('reports a new chain at the beginning of a file, and a break within one', async t => {
  const anew = linesOf('plain', events.slice(0, 3)).join('')
  t.match(await verify([slice(1), anew]), { found: ['new_chain a1', 'new_chain b1'], problems: 0, events: 12 })
  t.match(await verify([slice(1) + anew]), { problems: 1, found: ['new_chain a1', 'broken a10 a9'] })
})

t.test('detects a missing beginning or end, or a rewritten file, with a hash stored elsewhere', async t => {
  t.match(await verify([slice(4)], { after: hashOf(3) }), { found: [], problems: 0 }, 'control')
  t.match(await verify([slice(5)], { after: hashOf(3) }), { found: ['broken a1'], problems: 1 })
  t.match(
    await verify([slice(1)], { after: hashOf(3) }),
    { found: ['broken a1'], problems: 1 },
    'not even by a new chain',
  )
  t.match(await verify([slice(1)], { after: chainStart }), { found: [], problems: 0 }, 'the start of the chain')

  for (const place of [1, 5, 9])
    t.match(await verify([slice(1)], { expect: hashOf(place) }), { problems: 0 }, 'the hash is found')
  t.match(await verify([slice(1, 5)]), { problems: 0 }, 'without it, a missing end is not detected')
  t.match(await verify([slice(1, 5)], { expect: hashOf(9) }), { found: ['new_chain a1', 'cut_off a5'], problems: 1 })
  t.match(await verify([slice(1, 8)], { expect: hashOf(9) }), { problems: 1 })
  const forged = linesOf(
    'plain',
    events.map(event => ({ ...event, client_id: 'mallory' })),
  ).join('')
  t.match(await verify([forged]), { problems: 0 }, 'nor is a rewritten one')
  t.match(await verify([forged], { expect: hashOf(9) }), { problems: 1 })
  t.match(await verify([''], { expect: hashOf(9) }), { found: ['cut_off '], events: 0, end: chainStart })
  t.match(
    await verify([''], { after: hashOf(9), expect: hashOf(9) }),
    { problems: 0, end: hashOf(9) },
    'no line since then',
  )
})

t.test('reports an incomplete line, and accepts the lines after it', async t => {
  const torn = lines[8]?.slice(0, 40) as string
  t.match(await verify([slice(1, 8) + torn]), {
    found: ['new_chain a1', 'torn a9'],
    problems: 0,
    end: hashOf(8),
    events: 8,
  })
  t.match(await verify([`${slice(1, 4)}${torn}\n${slice(5)}`]), {
    found: ['new_chain a1', 'torn a5'],
    problems: 0,
    events: 9,
  })
  t.match(
    await verify([`${slice(1, 4)}\n${slice(5)}`]),
    { found: ['new_chain a1'], problems: 0 },
    'ignores an empty line',
  )
  t.match(
    await verify([slice(1).trimEnd()]),
    { problems: 0, end: hashOf(9), events: 9 },
    'only the line end is missing',
  )
  t.match(
    await verify([`${slice(1, 4)}{${'x'.repeat(3_000_000)}\n${slice(5)}`]),
    { problems: 0, events: 9 },
    'a very long one',
  )
})

t.test('refers to the last complete line after a crash or a full disk', async t => {
  const ends: Record<string, [string, string[]]> = {
    'a line with its end': ['', []],
    'a line without its end': [(lines[4] as string).trimEnd(), []],
    'an incomplete line': [lines[4]?.slice(0, 40) as string, ['torn a5']],
    'an incomplete line that ends with a brace': ['{"a":{"b":1}', ['torn a5']],
    pieces: ['{"a":{"b":1}\n{"c', ['torn a5', 'torn a6']],
  }
  for (const [how, [end, found]] of Object.entries(ends)) {
    const path = join(t.testdir(), 'audit.jsonl')
    writeFileSync(path, slice(1, 4) + end)
    for (let start = 0; start < 2; start++) {
      const record = createRecorder(
        openEventFile(path, () => t.fail()),
        plain,
      )
      for (const event of events.slice(0, 2)) record(event)
    }
    t.match(await verify([readFileSync(path)]), { found: ['new_chain a1', ...found], problems: 0 }, how)
  }
})

t.test('splits lines at line ends only, wherever the stream is cut', async t => {
  const text = Buffer.from('one\n\ntwo é\u2028\r\nlast')
  for (let size = 1; size <= text.length; size++) {
    const read: Line[] = []
    for await (const line of readLines(chunksOf(text, size))) read.push(line)
    t.same(
      read.map(({ octets }) => octets.toString()),
      ['one', '', 'two é\u2028\r', 'last'],
    )
    t.same(
      read.map(({ isEnded }) => isEnded),
      [true, true, true, false],
    )
  }
})

t.test('reports for people and programs, with an exit code for scripts', async t => {
  const folder = t.testdir({
    'a.jsonl': slice(1, 5),
    'b.jsonl': slice(6),
    'cut.jsonl': slice(7),
    'odd\u001b.jsonl': '\u001b\n',
  })
  const run = (...args: string[]) => runTlsbound(['audit', 'verify', ...args], folder)
  const [good, json, bad, cut, missing, steering] = await Promise.all([
    run('a.jsonl', 'b.jsonl'),
    run('--json', 'a.jsonl', 'b.jsonl', '--expect', hashOf(7)),
    run('a.jsonl', 'cut.jsonl'),
    run('a.jsonl', '--expect', hashOf(9), '--json'),
    run('none.jsonl'),
    run('odd\u001b.jsonl'),
  ])
  t.match(good, { code: 0, stderr: '', stdout: `valid: 9 events\nthe next line refers to ${hashOf(9)}\n` })
  t.match(JSON.parse(json.stdout), {
    good: true,
    events: 9,
    problems: 0,
    end: hashOf(9),
    findings: [{ what: 'new_chain' }],
  })
  t.match(bad, { code: 1, stdout: /^cut\.jsonl:1: does not refer to a\.jsonl:5 before it[\s\S]*^1 problem$/m })
  t.match(cut.code, 1)
  t.match(JSON.parse(cut.stdout), {
    good: false,
    findings: [{}, { what: 'cut_off', isProblem: true, words: /cut off/ }],
  })
  t.match(missing, { code: 1, stdout: '', stderr: 'tlsbound: none.jsonl cannot be read (ENOENT)\n' })
  t.equal(steering.stdout.includes('\u001b'), false, 'escapes terminal sequences')
  const wrong = [
    [{}, []],
    [{}, ['verify']],
    [{}, ['sign', 'a.jsonl']],
    [{ after: 'x' }, ['verify', 'a.jsonl']],
  ] as const
  for (const [values, words] of wrong)
    t.ok((await Promise.resolve(command.run(values, [...words])).catch(error => error)) instanceof UsageError)
})
