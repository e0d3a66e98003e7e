// tlsbound lab: plays the thief against a server, from outside. The report on stdout, talk on stderr; exit 1 when something
// was accepted that should have been refused, or when nothing could be tried; with --strict when anything was not tried.
import { writeFileSync } from 'node:fs'
import { printable } from '../core/printable.ts'
import { scenarios } from '../lab/catalog.ts'
import type { Finding } from '../lab/judge.ts'
import { describeSetting, runMatrix, type Setting } from '../lab/matrix.ts'
import { writeHtml } from '../lab/report/html.ts'
import { writeJson } from '../lab/report/json.ts'
import { writeJunit } from '../lab/report/junit.ts'
import { describeCast, type LabReport, sumUp } from '../lab/report/report.ts'
import { writeTable } from '../lab/report/table.ts'
import type { Scenario } from '../lab/scenario.ts'
import { type Command, UsageError, type Values } from './command.ts'
import { readCast, readCastOptions } from './lab/cast.ts'
import { explain, list } from './lab/explain.ts'
import { chooseMatrix } from './lab/matrix.ts'
import { labOptions, readLabOptions } from './lab/options.ts'

export const command: Command = {
  help: `Usage: tlsbound lab URL --pki FOLDER [OPTIONS]

Steals tokens of alice in every way it knows and uses them against the server at URL, which should refuse. Gets them the
honest way first. Only against servers that are yours to test.

  --pki FOLDER            ca.crt, alice.crt, alice.key; as thieves bob (another client), mallory (no client) and stranger
                          (another authority); with ca.key it issues further certificates itself
  --victim NAME           whose files are there in the place of alice's, and so with
  --thief, --nobody, --stranger NAME    those of bob, mallory and stranger
  --level LEVEL           certificate, proof, connection or all (all that the server offers)
  --tls VERSION           1.3 or 1.2 (1.3)
  --http VERSION          1.1 or 2 (both, where the server speaks both)
  --only IDS              scenarios, with commas between them (all)
  --list                  all scenarios, in a line each
  --explain ID            one scenario in words
  --profile NAME          tlsbound, or rfc8705 for any server with certificate-bound tokens (by the server's metadata)
  --token-endpoint URL    where tokens come from (the server's metadata)
  --resource URL          where tokens are used, with GET (/api/whoami, with profile tlsbound)
  --client-id ID          alice's client_id (the common name of her certificate)
  --client-auth METHOD    tls_client_auth, self_signed_tls_client_auth, or beside the certificate client_secret_basic or
                          client_secret_post (tls_client_auth)
  --client-secret-file FILE             alice's secret (alice.secret in the folder, where bob's is bob.secret)
  --scope SCOPE           what tokens are asked for (nothing)
  --signing-key FILE      a private key that the server takes tokens of, JWK or JWKS: for a test server
  --gentle                for production: a quarter of a second before each connection, at most 10 in each scenario
  --strict                exit 1 too when a control did not work, or when anything could not be tried
  --json                  the report as JSON
  --junit FILE            writes it as JUnit XML too
  --html FILE             writes it as a page for an auditor too

Each option but --list and --explain has an environment variable, such as TLSBOUND_LAB_TOKEN_ENDPOINT; switches are on or off.
`,
  options: labOptions,
  takesWords: true,
  async run(given, words) {
    const values = readLabOptions(given, process.env)
    if (values.list === true) return void process.stdout.write(list(scenarios, values.json === true))
    if (values.explain !== undefined) return void process.stdout.write(explain(findScenario(String(values.explain))))
    await play(readServer(words), chooseScenarios(values), values)
  },
}

async function play(server: URL, chosen: readonly Scenario[], values: Values): Promise<void> {
  if (values.pki === undefined) throw new UsageError('--pki is missing: a folder like certs/')
  const cast = readCast(String(values.pki), readCastOptions(values))
  const matrix = await chooseMatrix(server, cast, values)
  const { profile } = matrix
  const date = new Date()
  const runs = await runMatrix(chosen, matrix, createTeller())
  const report: LabReport = {
    server: server.href,
    resource: profile.resource.href,
    profile: profile.name,
    date,
    identities: describeCast(cast),
    scenarios: chosen,
    runs,
  }
  process.stdout.write(values.json === true ? writeJson(report) : writeTable(report))
  if (values.junit !== undefined) write(String(values.junit), writeJunit(report))
  if (values.html !== undefined) write(String(values.html), writeHtml(report))
  const sums = sumUp(runs)
  const nothing = sums.passed + sums.failed + sums['not applicable'] === 0
  if (nothing) tell('Nothing could be tried.')
  if (values.strict === true && sums['not tried'] > 0)
    tell(`${sums['not tried']} not tried, which --strict does not take.`)
  if (sums.failed > 0 || nothing || (values.strict === true && sums['not tried'] > 0)) process.exitCode = 1
}

function readServer([url, ...more]: readonly string[]): URL {
  if (url === undefined) throw new UsageError('the address of the server is missing')
  if (more.length > 0) throw new UsageError('one server at a time')
  if (!URL.canParse(url) || new URL(url).protocol !== 'https:') throw new UsageError(`${url} is no https address`)
  return new URL(url)
}

/** In the order of the catalog. */
function chooseScenarios({ only }: Values): readonly Scenario[] {
  const chosen = only === undefined ? scenarios : String(only).split(',').map(findScenario)
  return scenarios.filter(scenario => chosen.includes(scenario))
}

function findScenario(id: string): Scenario {
  const found = scenarios.find(scenario => scenario.id === id)
  if (found === undefined) throw new UsageError(`there is no scenario ${id}; tlsbound lab --list shows all`)
  return found
}

function write(path: string, content: string): void {
  try {
    writeFileSync(path, content)
  } catch (error) {
    throw new Error(`${path} cannot be written (${(error as NodeJS.ErrnoException).code})`)
  }
}

/** Says what is being played, and at once what should not have been accepted. */
function createTeller(): (finding: Finding, setting: Setting) => void {
  let playing: Setting | undefined
  return ({ scenario, outcome, evidence }, setting) => {
    if (playing !== setting) tell(`playing at ${describeSetting(setting)} …`)
    playing = setting
    if (outcome === 'failed') tell(`  FAILED ${scenario.id}: ${printable(evidence)}`)
  }
}

function tell(words: string): void {
  process.stderr.write(`${words}\n`)
}
