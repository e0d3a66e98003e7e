// Checks which room of src imports from which other one, by the source text; docs/explanation/architecture.md draws them.
// Part of `npm run check`.
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'

/** Each room of src → the rooms, or single files of them, that it may import from. A room may always import from itself. */
const rooms: Readonly<Record<string, readonly string[]>> = {
  core: [],
  text: ['core'],
  files: ['core'],
  outgoing: ['core'],
  audit: ['core'],
  store: ['core', 'outgoing'],
  scan: ['core', 'text', 'outgoing', 'files'],
  pki: [],
  page: [],
  client: ['core', 'outgoing', 'files', 'process/require-node.js'],
  relay: ['core', 'client/connection/answer-framing.ts'],
  sidecar: ['core', 'outgoing', 'client', 'relay'],
  lab: ['core', 'text', 'outgoing', 'client'],
  notify: ['core', 'outgoing', 'audit/event.ts', 'store/store.ts', 'client/backoff.ts'],
  settings: ['core'],
  tls: ['core', 'files'],
  keys: ['core', 'outgoing'],
  verify: ['core', 'keys', 'tls', 'store/store.ts'],
  plugins: ['core', 'tls', 'verify', 'process/require-node.js'],
  gateway: ['core', 'outgoing', 'relay', 'tls', 'keys', 'verify', 'plugins'],
  server: [
    ...['core', 'text', 'tls', 'keys', 'verify', 'plugins', 'gateway'],
    ...['audit/event.ts', 'store/store.ts', 'settings/settings.ts', 'page/glyph.js'],
  ],
  ops: [
    ...['core', 'tls', 'verify', 'plugins', 'gateway', 'server'],
    ...['audit/event.ts', 'store/store.ts', 'settings/settings.ts'],
  ],
  'index.ts': ['core', 'tls', 'keys', 'verify', 'plugins', 'process/require-node.js'],
  // These wire the rooms above together.
  process: ['*'],
  doctor: ['*'],
  testing: ['*'],
  cli: ['*'],
}

/**
 * Rooms that may use the process: its environment, signals and exit code. `files` compares the owner of a file with its user.
 */
const touchesProcess: ReadonlySet<string> = new Set(['process', 'doctor', 'testing', 'cli', 'files'])

/** Packages and parts of Node, by the room that may use them. A room that is not listed may use all of Node. */
const packages: Readonly<Record<string, RegExp>> = {
  core: /^node:(crypto|net)$|^structured-headers$/,
  text: /^$/,
  page: /^$/,
  settings: /^node:net$/,
  pki: /^node:|^node-forge/,
  store: /^node:|^pg$/,
  client: /^node:|^undici$/,
  keys: /^node:|^(fastify|jose|@fastify\/jwt|@noble\/hashes\/blake2\.js)$/,
  verify: /^node:|^jose$/,
  plugins: /^node:|^fastify(-plugin)?$/,
  relay: /^node:|^undici$/,
  sidecar: /^node:|^undici$/,
  gateway: /^node:|^(undici|fastify)$/,
  server: /^node:|^(fastify(-plugin)?|jose)$/,
  ops: /^node:|^(fastify|prom-client|pino)$/,
}

/** Rooms that only the listed ones may import: code that answers clients must not import the administration. */
const reserved: Readonly<Record<string, readonly string[]>> = { ops: ['ops', 'process', 'testing'] }

const problems: string[] = []
const imports = new Map<string, string[]>()
/** Files whose imports were followed: without this, the time grows exponentially with the depth of the imports. */
const explored = new Set<string>()
const paths = readdirSync('src', { recursive: true, encoding: 'utf8' }).filter(name => /\.[tj]s$/.test(name))

for (const path of paths) {
  const source = readFileSync(join('src', path), 'utf8')
  const statements = source.matchAll(
    /^(?:import|export)( type)?(?:[\s\w{},*]* from)? '([^']+)'|\bimport\('([^']+)'\)/gm,
  )
  const targets = [...statements]
    .map(([, type, from, dynamic]) => ({ type, target: (from ?? dynamic) as string }))
    .filter(({ type, target }) => !(type && target === 'node:tls')) // types of node:tls are allowed everywhere
    .map(({ target }) => (target.startsWith('.') ? relative('.', join(dirname(path), target)) : target))
  imports.set(path, targets)

  const room = roomOf(path)
  const known = rooms[room]
  if (known === undefined) {
    problems.push(`${path} is in no known room`)
    continue
  }
  if (known[0] === '*') {
    for (const target of targets)
      if (reserved[roomOf(target)]?.includes(room) === false) problems.push(`${path} must not import ${target}`)
    continue
  }
  for (const target of targets) if (!mayImport(room, known, target)) problems.push(`${path} must not import ${target}`)
  if (!touchesProcess.has(room) && /\bprocess\.(?!emitWarning)/.test(source))
    problems.push(`${path} must not touch the process`)
}
for (const path of imports.keys()) findCycle(path, [])

for (const problem of new Set(problems)) console.error(problem)
console.error(`import directions: ${imports.size} files, ${new Set(problems).size} problems`)
process.exitCode = problems.length > 0 ? 1 : 0

function roomOf(path: string): string {
  return path.split('/')[0] as string
}

function mayImport(room: string, known: readonly string[], target: string): boolean {
  if (!paths.includes(target)) return (packages[room] ?? /^node:/).test(target)
  return roomOf(target) === room || known.includes(target) || known.includes(roomOf(target))
}

/** Reports cycles, each from its alphabetically first file. */
function findCycle(path: string, trail: readonly string[]): void {
  const start = trail.indexOf(path)
  if (start !== -1) {
    const cycle = trail.slice(start)
    const first = cycle.indexOf([...cycle].sort()[0] as string)
    const turned = [...cycle.slice(first), ...cycle.slice(0, first)]
    problems.push(`cycle: ${[...turned, turned[0]].join(' → ')}`)
    return
  }
  if (explored.has(path)) return // through it no cycle is found that was not found before
  for (const target of imports.get(path) ?? []) findCycle(target, [...trail, path])
  explored.add(path)
}
