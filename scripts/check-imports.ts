// Who may import whom: the directions of the house, checked on the source text. Part of `npm run check`.
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'

/** Folder or file below src → what it may import: our own files by their path below src, others by their name. */
const allowed: Readonly<Record<string, readonly RegExp[]>> = {
  core: [/^core\//, /^node:(crypto|net)$/],
  audit: [/^(audit|core)\//, /^node:/],
  store: [/^(store|outgoing|core)\//, /^node:/, /^pg$/],
  outgoing: [/^(outgoing|core)\//, /^node:/],
  client: [/^(client|outgoing|core)\//, /^pem-files\.ts$/, /^node:/, /^undici$/],
  lab: [/^(lab|client|outgoing|core)\//, /^node:/],
  scan: [/^(scan|outgoing|core)\//, /^node:/],
  pki: [/^pki\//, /^node:/, /^node-forge/],
  page: [/^page\//],
  http: [
    ...[/^(http|outgoing|core)\//, /^page\/glyph\.js$/, /^audit\/event\.ts$/, /^store\/store\.ts$/, /^settings\.ts$/],
    /^(?!.*\.[tj]s$)/,
  ],
  notify: [/^(notify|outgoing|core)\//, /^audit\/event\.ts$/, /^store\/store\.ts$/, /^client\/backoff\.ts$/, /^node:/],
  ops: [/^(ops|http|core)\//, /^audit\/event\.ts$/, /^store\/store\.ts$/, /^settings\.ts$/, /^(?!.*\.[tj]s$)/],
  'settings.ts': [/^setting-forms\.ts$/, /^core\/similar-name\.ts$/],
  'setting-forms.ts': [/^node:net$/],
  'index.ts': [/^(core|http)\//],
}
/** What only these may import: nothing that answers clients may reach for the administration. */
const reserved: Readonly<Record<string, readonly string[]>> = { ops: ['ops', 'main.ts', 'reload.ts', 'testing'] }
/** Only these touch the process and choose a store, a clock, a logger. They may import anything. */
const wiring = [
  ...[
    'main.ts',
    'reload.ts',
    'demo.ts',
    'demo-thefts.ts',
    'files.ts',
    'pem-files.ts',
    'file-access.ts',
    'file-lock.ts',
  ],
  ...[
    'signing-keys.ts',
    'state-record.ts',
    'check-node.js',
    'no-debugger.js',
    'doors.ts',
    'listener.ts',
    'production.ts',
    'trust-report.ts',
    'doctor',
    'testing',
    'cli',
  ],
]

const problems: string[] = []
const imports = new Map<string, string[]>()

for (const path of readdirSync('src', { recursive: true, encoding: 'utf8' }).filter(name => /\.[tj]s$/.test(name))) {
  const source = readFileSync(join('src', path), 'utf8')
  const statements = source.matchAll(
    /^(?:import|export)( type)?(?:[\s\w{},*]* from)? '([^']+)'|\bimport\('([^']+)'\)/gm,
  )
  const targets = [...statements]
    .map(([, type, from, dynamic]) => ({ type, target: (from ?? dynamic) as string }))
    .filter(({ type, target }) => !(type && target === 'node:tls')) // types of node:tls are fine everywhere
    .map(({ target }) => (target.startsWith('.') ? relative('.', join(dirname(path), target)) : target))
  imports.set(path, targets)

  const area = path.split('/')[0] as string
  for (const target of targets)
    if (reserved[target.split('/')[0] as string]?.includes(area) === false)
      problems.push(`${path} must not import ${target}`)
  const rules = allowed[area]
  if (rules === undefined) {
    if (!wiring.includes(area)) problems.push(`${path} is in no known part of the house`)
    continue
  }
  for (const target of targets)
    if (!rules.some(rule => rule.test(target))) problems.push(`${path} must not import ${target}`)
  if (/\bprocess\./.test(source)) problems.push(`${path} must not touch the process`)
}
for (const path of imports.keys()) findCycle(path, [])

for (const problem of new Set(problems)) console.error(problem)
console.error(`import directions: ${imports.size} files, ${new Set(problems).size} problems`)
process.exitCode = problems.length > 0 ? 1 : 0

/** Reports each cycle once, from its alphabetically first file. */
function findCycle(path: string, trail: readonly string[]): void {
  const start = trail.indexOf(path)
  if (start !== -1) {
    const cycle = trail.slice(start)
    if (path === [...cycle].sort()[0]) problems.push(`cycle: ${[...cycle, path].join(' → ')}`)
    return
  }
  for (const target of imports.get(path) ?? []) findCycle(target, [...trail, path])
}
