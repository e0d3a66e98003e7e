// The demo's notes over HTTP: a client reads what it posts, and cannot fill the disk.
import { statSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { notesLimit } from '../../src/store/notes.ts'
import { openSqlite } from '../../src/store/sqlite.ts'
import { startTestServer } from '../../src/testing/server.ts'

t.test('keeps the newest notes of a client that posts endlessly, and the state file stops growing', async t => {
  const file = join(t.testdir(), 'state.db')
  const server = await startTestServer({ store: openSqlite(file) })
  t.teardown(() => server.close())
  const [alice, bob] = await Promise.all([server.connect('alice', { ALPNProtocols: ['h2'] }), server.connect('bob')])
  const [hers, his] = await Promise.all([alice.token(), bob.token()])
  const headers = { 'content-type': 'application/json' }
  const post = async (text: string) => {
    const body = JSON.stringify({ text })
    t.match(await alice.call('/api/notes', { method: 'POST', token: hers, headers, body }), { status: 201 })
  }
  const body = '{"text":"of bob"}'
  t.match(await bob.call('/api/notes', { method: 'POST', token: his, headers, body }), { status: 201 })
  for (let count = 0; count < notesLimit.count; count++) await post('\u0000'.repeat(2000))
  const octets = () => statSync(file).size + statSync(`${file}-wal`).size
  const full = octets()
  for (let count = 0; count < 4 * notesLimit.count; count++) await post(`${count}${'\u0000'.repeat(1990)}`)
  t.ok(octets() < full + 4_500_000, `${octets() - full} octets more, of the write-ahead log`)
  const { notes } = (await alice.get('/api/notes', hers)).body
  t.match(notes[0].text, /^399\0/, 'newest first')
  t.ok(notes.length > 10 && notes.length < notesLimit.count, `${notes.length} long ones`)
  for (let count = 1; count <= notesLimit.count + 1; count++) await post(`short ${count}`)
  const texts = (await alice.get('/api/notes', hers)).body.notes.map(({ text }: { text: string }) => text)
  t.same([texts.length, texts[0], texts.at(-1)], [100, 'short 101', 'short 2'])
  t.match((await bob.get('/api/notes', his)).body, { notes: [{ text: 'of bob' }] }, 'notes of another client')
})
