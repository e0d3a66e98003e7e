// Runs scenarios one after another, each on a new stage, and reports each finding at once.
import { NotTried } from './attempt.ts'
import { type Finding, judge } from './judge.ts'
import type { Scenario } from './scenario.ts'
import { Stage, type StageOptions } from './stage.ts'

export interface Report {
  readonly findings: readonly Finding[]
  /** The number of opened connections. */
  readonly connections: number
  /** In milliseconds. */
  readonly duration: number
}

/** Milliseconds that one scenario may take. */
const scenarioTimeout = 20_000

/** Runs `scenarios`. `onFinding` receives each finding. */
export async function runLab(
  scenarios: readonly Scenario[],
  options: StageOptions,
  onFinding: (finding: Finding) => void = () => {},
): Promise<Report> {
  const begun = performance.now()
  const findings: Finding[] = []
  let connections = 0
  for (const scenario of scenarios) {
    const stage = new Stage(options)
    const finding = await play(scenario, stage)
    stage.clear()
    connections += stage.connections
    findings.push(finding)
    onFinding(finding)
  }
  return { findings, connections, duration: performance.now() - begun }
}

async function play(scenario: Scenario, stage: Stage): Promise<Finding> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new NotTried(`the scenario took more than ${scenarioTimeout / 1000} s`)),
      scenarioTimeout,
    )
  })
  try {
    return judge(scenario, await Promise.race([scenario.run(stage), late]), stage.level)
  } catch (error) {
    const { message } = error as Error
    const evidence = error instanceof NotTried ? message : `the scenario could not run: ${message}`
    return { scenario, outcome: 'not tried', evidence, controls: [], thefts: [] }
  } finally {
    clearTimeout(timer)
  }
}
