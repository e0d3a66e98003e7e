// The file of events: whole lines in order, whatever happens to the file before and meanwhile. RE07, RE16, RE21.
import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, renameSync, rmdirSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { openEventFile } from '../../src/audit/file.ts'

function open(t: Test, content?: string) {
  const path = join(t.testdir(), 'logs/audit.jsonl')
  mkdirSync(join(path, '..'))
  if (content !== undefined) writeFileSync(path, content)
  const changes: unknown[] = []
  return {
    path,
    changes,
    file: openEventFile(path, error => void changes.push((error as NodeJS.ErrnoException)?.code)),
  }
}
const read = (path: string) => readFileSync(path, 'utf8')

t.test('appends to a file after its last line, or after an incomplete one', t => {
  for (const [content, expected] of [
    ['', '{"n":1}\n'],
    ['{"a":1}\n', '{"a":1}\n{"n":1}\n'],
    ['{"a":1}', '{"a":1}\n{"n":1}\n'],
    ['{"a":1}\n{"b', '{"a":1}\n{"b\n{"n":1}\n'],
  ] as const) {
    const { path, file } = open(t, content)
    file.write('{"n":1}\n')
    t.equal(read(path), expected)
  }
  const { path } = open(t)
  t.equal(statSync(path).mode & 0o027, 0, 'no other user reads it')
  t.end()
})

t.test('writes no empty line when the file is emptied after an incomplete line', t => {
  const { path, file } = open(t, '{"a":1}\n{"b')
  truncateSync(path)
  file.write('{"n":1}\n')
  t.equal(read(path), '{"n":1}\n')
  t.end()
})

t.test('opens a new file after a rename or removal, once that is noticed', t => {
  for (const [how, take] of [
    ['renamed', (path: string) => renameSync(path, `${path}.1`)],
    ['removed', rmSync],
    ['removed with its folder', (path: string) => rmSync(join(path, '..'), { recursive: true })],
  ] as const) {
    const { path, file, changes } = open(t)
    file.write('{"n":1}\n')
    take(path)
    file.write('{"n":2}\n')
    file.followRename()
    file.write('{"n":3}\n')
    file.followRename()
    file.write('{"n":4}\n')
    t.equal(read(path), '{"n":3}\n{"n":4}\n', how)
    if (how === 'renamed')
      t.equal(read(`${path}.1`), '{"n":1}\n{"n":2}\n', 'lines written meanwhile are in the old file')
    t.same(changes, [])
  }
  t.end()
})

t.test('fails every line while the file cannot be reopened', t => {
  const { path, file, changes } = open(t)
  file.write('{"n":1}\n')
  renameSync(path, `${path}.1`)
  mkdirSync(path) // a folder in place of the file
  file.followRename()
  for (let attempt = 0; attempt < 2; attempt++) t.throws(() => file.write('{"n":2}\n'), { code: 'EISDIR' })
  file.retry()
  t.same(changes, ['EISDIR'], 'reported once')
  rmdirSync(path)
  file.retry()
  t.same(changes, ['EISDIR', undefined], 'retry() notices it without another failed line')
  file.write('{"n":3}\n')
  t.equal(read(path), '{"n":3}\n')
  t.end()
})

t.test('survives a disk that is full within a line, or just before its end', async t => {
  // The limit on the size of a file needs a process of its own: the test covers every octet at which a line can be cut.
  const program = `
    import { openEventFile } from ${JSON.stringify(join(process.cwd(), 'src/audit/file.ts'))}
    import { spawnSync } from 'node:child_process'
    import { rmSync, readFileSync } from 'node:fs'
    process.on('SIGXFSZ', () => {})
    const limit = size => {
      const { status } = spawnSync('prlimit', ['--pid=' + process.pid, '--fsize=' + size + ':'])
      if (status !== 0) throw new Error('prlimit of the Debian package util-linux failed')
    }
    const results = []
    for (const size of [8, 9, 12, 15, 16]) {
      rmSync('f', { force: true })
      const file = openEventFile('f', () => {})
      const write = n => { try { file.write('{"n":' + n + '}\\n'); return 'kept' } catch { return 'refused' } }
      const kept = [write(1)]
      limit(size)
      kept.push(write(2), write(3))
      limit('unlimited')
      file.retry()
      kept.push(write(4))
      results.push({ size, kept, text: readFileSync('f', 'utf8') })
    }
    console.log(JSON.stringify(results))`
  const folder = t.testdir({ 'p.ts': program })
  const { stdout, stderr } = spawnSync(process.execPath, ['p.ts'], { cwd: folder, encoding: 'utf8' })
  t.equal(stderr, '')
  const expected = {
    8: [['kept', 'refused', 'refused', 'kept'], '{"n":1}\n\n{"n":4}\n'],
    9: [['kept', 'refused', 'refused', 'kept'], '{"n":1}\n{\n{"n":4}\n'],
    12: [['kept', 'refused', 'refused', 'kept'], '{"n":1}\n{"n"\n{"n":4}\n'],
    15: [['kept', 'kept', 'refused', 'kept'], '{"n":1}\n{"n":2}\n{"n":4}\n'],
    16: [['kept', 'kept', 'refused', 'kept'], '{"n":1}\n{"n":2}\n\n{"n":4}\n'],
  } as Record<number, [string[], string]>
  for (const { size, kept, text } of JSON.parse(stdout))
    t.same([kept, text], expected[size], `full after ${size} octets`)
})
