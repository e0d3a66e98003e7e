// tlsbound lab: tests from outside whether a server rejects stolen tokens.
import { writeFileSync } from 'node:fs'
import { parseHttpsUrl } from '../core/https-url.ts'
import { scenarios } from '../lab/catalog.ts'
import type { Finding, Outcome } from '../lab/judge.ts'
import { describeSetting, type Matrix, runMatrix, type Setting } from '../lab/matrix.ts'
import { writeHtml } from '../lab/report/html.ts'
import { writeJson } from '../lab/report/json.ts'
import { writeJunit } from '../lab/report/junit.ts'
import { describeCast, type LabReport, sumUp } from '../lab/report/report.ts'
import { writeTable } from '../lab/report/table.ts'
import type { Scenario } from '../lab/scenario.ts'
import { type Command, showArgument, suggest, UsageError, type Values } from './command.ts'
import { readCast, readCastOptions } from './lab/cast.ts'
import { explain, list } from './lab/explain.ts'
import { chooseMatrix } from './lab/matrix.ts'
import { labOptions, readLabOptions } from './lab/options.ts'
import { clearProgress, paint, type Style, showProgress, writeMessage } from './output.ts'

export const command: Command = {
  usage: ['URL --pki FOLDER [OPTIONS]', '--list [--json]', '--explain ID'],
  description: [
    'Tests whether the server at URL rejects stolen tokens. The lab requests tokens of the client alice in the regular way, uses them in every way that a thief could, and reports what the server did.',
    'Run it only against servers that you are allowed to test.',
  ],
  positionals: { value: 'URL' },
  options: labOptions,
  groupNotes: { Reports: 'The variable of a switch is on or off, such as TLSBOUND_LAB_STRICT=on.' },
  failure:
    'a stolen token was accepted that should be rejected, no scenario could run, or with --strict some scenario could not run',
  examples: [
    'tlsbound lab https://localhost:8443 --pki certs',
    'tlsbound lab https://localhost:8443 --pki certs --tls 1.2 --html report.html --junit report.xml',
    'tlsbound lab --explain stolen-ticket',
  ],
  async run(given, positionals) {
    const values = readLabOptions(given, process.env)
    if (values.list === true) return void process.stdout.write(list(scenarios, values.json === true))
    if (values.explain !== undefined) return void process.stdout.write(explain(findScenario(String(values.explain))))
    await play(readServer(positionals), chooseScenarios(values), values)
  },
}

async function play(server: URL, chosen: readonly Scenario[], values: Values): Promise<void> {
  if (values.pki === undefined) throw new UsageError('--pki FOLDER (TLSBOUND_LAB_PKI) is missing')
  const cast = readCast(String(values.pki), readCastOptions(values))
  const matrix = await chooseMatrix(server, cast, values)
  const { profile } = matrix
  const date = new Date()
  const runs = await runMatrix(chosen, matrix, createReporter(chosen.length * countSettings(matrix)))
  clearProgress()
  const report: LabReport = {
    server: server.href,
    resource: profile.resource.href,
    profile: profile.name,
    date,
    identities: describeCast(cast),
    scenarios: chosen,
    runs,
  }
  process.stdout.write(values.json === true ? writeJson(report) : writeTable(report, paintOutcome))
  if (values.junit !== undefined) write(String(values.junit), writeJunit(report))
  if (values.html !== undefined) write(String(values.html), writeHtml(report))
  const sums = sumUp(runs)
  const nothing = sums.passed + sums.failed + sums['accepted, not promised'] === 0
  if (nothing) writeMessage('No scenario could run.')
  if (values.strict === true && sums['not tried'] > 0)
    writeMessage(`${sums['not tried']} not tried, which --strict counts as a failure.`)
  if (sums.failed > 0 || nothing || (values.strict === true && sums['not tried'] > 0)) process.exitCode = 1
}

const outcomeStyles: Readonly<Record<Outcome, Style>> = {
  passed: 'green',
  failed: 'red',
  'accepted, not promised': 'yellow',
  'not tried': 'dim',
}

function paintOutcome(text: string, outcome: Outcome | undefined): string {
  return outcome === undefined ? text : paint(outcomeStyles[outcome], text)
}

function readServer([url, ...more]: readonly string[]): URL {
  if (url === undefined) throw new UsageError('the URL of the server is missing')
  if (more.length > 0) throw new UsageError(`unexpected argument ${showArgument(String(more[0]))}; expected one server`)
  const server = parseHttpsUrl(url)
  if (server === undefined)
    throw new UsageError(`expected an https URL without user information, such as https://localhost:8443`)
  return server
}

/** Returns the chosen scenarios in the order of the catalog. */
function chooseScenarios({ only }: Values): readonly Scenario[] {
  const chosen = only === undefined ? scenarios : String(only).split(',').map(findScenario)
  return scenarios.filter(scenario => chosen.includes(scenario))
}

function findScenario(id: string): Scenario {
  const found = scenarios.find(scenario => scenario.id === id)
  if (found === undefined) {
    const ids = scenarios.map(scenario => scenario.id)
    throw new UsageError(
      `there is no scenario ${showArgument(id)}${suggest(id, ids) || '; tlsbound lab --list shows all'}`,
    )
  }
  return found
}

function write(path: string, content: string): void {
  try {
    writeFileSync(path, content)
  } catch (error) {
    throw new Error(`${path} cannot be written (${(error as NodeJS.ErrnoException).code})`)
  }
}

/** Reports progress: a message for each setting that begins, and for each failure at once. */
function createReporter(total: number): (finding: Finding, setting: Setting) => void {
  let current: Setting | undefined
  let done = 0
  return ({ scenario, outcome, evidence }, setting) => {
    if (current !== setting) writeMessage(`running at ${describeSetting(setting)} …`)
    current = setting
    done++
    if (outcome === 'failed') writeMessage(`  FAILED ${scenario.id}: ${evidence}`)
    showProgress(`  ${done} of ${total}: ${scenario.id}`)
  }
}

function countSettings({ levels, tls, http }: Matrix): number {
  return levels.length * tls.length * http.length
}
