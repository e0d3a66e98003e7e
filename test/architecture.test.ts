// Compares docs/explanation/architecture.md with the code: its rooms with the folders of src, its import diagram with the
// imports, and its two paths with the files that run when a request is served.
import { globSync, readdirSync, readFileSync } from 'node:fs'
import { Session } from 'node:inspector/promises'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { startTestServer } from '../src/testing/server.ts'

const page = readFileSync('docs/explanation/architecture.md', 'utf8')

/** The imports of each file of src from src. */
const imports = new Map(globSync('src/**/*.{ts,js}').map(path => [path, importsOf(path)]))

function importsOf(path: string): string[] {
  const statements = readFileSync(path, 'utf8').matchAll(/(?:from|\bimport|\bimport\() ?'(\.[^']+)'/g)
  return [...statements]
    .map(([, target = '']) => join(dirname(path), target))
    .filter(target => !/^src\/process\/\w+-node\.js$/.test(target)) // checks the version of Node first in each entry point
}

function section(title: string): string {
  const text = page.split(/^## /m).find(part => part.startsWith(`${title}\n`))
  if (text === undefined) throw new Error(`the page has no section ${title}`)
  return text
}

const roomOf = (path: string) => path.split('/')[1] as string

t.test('describes each folder once', async t => {
  const described = [...section('Folders').matchAll(/^- `(\w+)`: .+\.$/gm)].map(([, room]) => room)
  const folders = readdirSync('src', { withFileTypes: true }).filter(entry => entry.isDirectory())
  t.same(described, folders.map(({ name }) => name).sort())
})

t.test('imports only from lower lines of the diagram', async t => {
  const picture = /```\n(.*?)```/s.exec(section('Import rules'))?.[1] ?? ''
  const lines = picture.split('\n').map(line =>
    line
      .replace(/ {3}.*/, '')
      .trim()
      .split(/ +/),
  )
  const lineOf = new Map(lines.flatMap((rooms, line) => rooms.map(room => [room, line] as const)))
  for (const [path, targets] of imports) {
    const [from = -1, ...to] = [path, ...targets].map(file => lineOf.get(roomOf(file)) ?? -1)
    const wrong = targets.filter((target, at) => roomOf(target) !== roomOf(path) && (to[at] as number) <= from)
    t.same(from > 0 ? wrong : [], [], path)
    t.not(from, -1, `${path} is in the diagram`)
  }
})

/** Returns the files in which a function runs during `work`, with files of the same process that the test server runs. */
async function findExecuted(work: () => Promise<unknown>): Promise<string[]> {
  const session = new Session()
  session.connect()
  await session.post('Profiler.enable')
  await session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: false })
  await session.post('Profiler.takePreciseCoverage')
  await work()
  const { result } = await session.post('Profiler.takePreciseCoverage')
  session.disconnect()
  return result
    .filter(({ url, functions }) => url.startsWith('file:') && functions.some(({ ranges }) => ranges[0]?.count))
    .map(({ url }) => relative('.', fileURLToPath(url)))
    .filter(path => imports.has(path))
}

/** Rooms of the client, which runs in the same process here, and of timers that can fire at any moment. */
const unrelatedRooms = ['testing', 'lab', 'outgoing', 'notify', 'store']

t.test('lists the files that run for a request, each linked to an earlier one', async t => {
  const server = await startTestServer()
  t.teardown(() => server.close())
  const before = await server.connect('alice')
  const token = await before.token({ token_binding: 'certificate' })
  const paths = {
    'The path of `POST /oauth/token`': {
      most: 15,
      work: async () => t.ok(await (await server.connect('bob')).token()),
      ends: ['src/tls/mutual-tls.ts', 'src/server/record-events.ts'],
    },
    'The path of a protected `GET`': {
      most: 10,
      work: async () => t.equal((await (await server.connect('alice')).get('/api/whoami', token)).status, 200),
      ends: ['src/tls/mutual-tls.ts', 'src/server/routes/api.ts'],
    },
  }
  for (const [title, { most, work, ends }] of Object.entries(paths)) {
    const text = section(title)
    const path = [...text.matchAll(/^\d+\. `(src\/[^`]+)`/gm)].map(([, file]) => file as string)
    t.ok(path.length <= most, `${title}: at most ${most} files`)
    t.same([path[0], path.at(-1)], ends, `${title}: from the socket to the last decision`)
    for (const [at, file] of path.entries()) {
      const earlier = path.slice(0, at)
      const isLinked = earlier.some(other => imports.get(other)?.includes(file) || imports.get(file)?.includes(other))
      t.ok(at === 0 || isLinked, `${title}: ${file} imports an earlier one, or is imported by it`)
    }
    const executed = await findExecuted(work)
    t.same(
      path.filter(file => !executed.includes(file)),
      [],
      `${title}: each file runs`,
    )
    const passing = /^Called on the way.*?\n\n/ms.exec(text)?.[0] ?? ''
    const named = [...passing.matchAll(/`(src\/[^`]+)`/g)].map(([, file]) => file as string)
    const rooms = [...passing.matchAll(/`(\w+)`/g)].map(([, room]) => room as string)
    const unnamed = executed.filter(file => ![...path, ...named].includes(file))
    t.same(
      unnamed.filter(file => ![...unrelatedRooms, ...rooms].includes(roomOf(file))),
      [],
      `${title}: each other file that runs is named, or its room is`,
    )
    t.same(
      named.filter(file => !executed.includes(file) || path.includes(file)),
      [],
      `${title}: no other file is named`,
    )
  }
})
