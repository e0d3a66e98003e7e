// The comparison in docs/reference/replay-lab.md: run against this server at each level and against another one, over TLS 1.3
// and 1.2 and every HTTP version of the server, with one result for each scenario.
import { generateTokenKey } from '../../../src/keys/token-keys.ts'
import { scenarios } from '../../../src/lab/catalog.ts'
import type { Run } from '../../../src/lab/matrix.ts'
import type { Scenario } from '../../../src/lab/scenario.ts'
import { startTestServer } from '../../../src/testing/server.ts'
import { startForeignServer } from '../lab/foreign-server.ts'
import { labClients, makePasetoKeys, playLab } from '../lab/lab.ts'

export const headings = [
  'tlsbound, connection',
  'tlsbound, proof',
  'tlsbound, certificate',
  'node-oidc-provider, certificate',
] as const

export type Heading = (typeof headings)[number]

const tls = ['TLSv1.3', 'TLSv1.2'] as const

/** Runs everything against this server, in twelve runs. */
export async function playOurs(): Promise<Run[]> {
  const [signingKey, pasetoKeys] = [await generateTokenKey('ES256'), await makePasetoKeys()]
  const env = { TLSBOUND_TLS_MIN_VERSION: 'TLSv1.2' }
  const server = await startTestServer({
    env,
    clients: labClients,
    signingKeys: [signingKey, ...Object.values(pasetoKeys)],
  })
  try {
    return await playLab(server, scenarios, { signingKey, pasetoKeys, tls, http: ['http/1.1', 'h2'] })
  } finally {
    await server.close()
  }
}

/** Runs everything against the other server, in two runs. */
export async function playForeign(): Promise<Run[]> {
  const server = await startForeignServer()
  const { resource, signingKey } = server
  try {
    return await playLab(server, scenarios, { signingKey, tls, profile: { resource, scope: 'notes:read' } })
  } finally {
    await server.close()
  }
}

/** The worst result of each scenario, by its id. */
export type Column = Readonly<Record<string, string>>

export function judgeColumn(runs: readonly Run[]): Column {
  return Object.fromEntries(scenarios.map(scenario => [scenario.id, judgeCell(scenario, runs)]))
}

function judgeCell(scenario: Scenario, runs: readonly Run[]): string {
  const found = runs.map(({ findings }) => findings.find(finding => finding.scenario === scenario)?.outcome)
  if (found.includes('failed')) return '**accepted against its promise**'
  if (found.includes('accepted, not promised')) return 'accepted'
  return found.includes('passed') ? 'refused' : '–'
}

/** Returns the columns of this server. */
export function judgeOurs(runs: readonly Run[]): Partial<Record<Heading, Column>> {
  const at = (level: Run['level']) => judgeColumn(runs.filter(run => run.level === level))
  return {
    'tlsbound, connection': at('connection'),
    'tlsbound, proof': at('proof'),
    'tlsbound, certificate': at('certificate'),
  }
}

/** Renders the table of docs/reference/replay-lab.md. */
export function writeComparison(columns: Readonly<Record<Heading, Column>>): string {
  const row = (cells: readonly string[]) => `| ${cells.join(' | ')} |\n`
  return [
    row(['scenario', ...headings]),
    row(['---', ...headings.map(() => '---')]),
    ...scenarios.map(({ id }) => row([`\`${id}\``, ...headings.map(heading => columns[heading][id] ?? '–')])),
  ].join('')
}

/** Parses a column of the table in a page. */
export function readColumn(page: string, heading: Heading): Column {
  const rows = [...page.matchAll(/^\| `([\w-]+)` \| (.*) \|$/gm)].filter(
    ([, , cells = '']) => cells.split(' | ').length === headings.length, // other tables have fewer
  )
  const at = headings.indexOf(heading)
  return Object.fromEntries(rows.map(([, id = '', cells = '']) => [id, cells.split(' | ')[at] ?? '']))
}
