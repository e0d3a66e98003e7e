// The server process: settings of the environment, log on stderr, demo, signals. start.ts starts the server.
import './check-node.js'
import './no-debugger.js'
import { openEvents } from '../audit/open.ts'
import { guardedWithLog } from '../core/guard.ts'
import { oneStep } from '../core/steps.ts'
import { registerRuntimeMetrics } from '../ops/metrics/runtime.ts'
import { describeServiceLinks } from '../settings/service-links.ts'
import { parseSettings } from '../settings/settings.ts'
import { demoRegistrations, describeDemo, ensureDemoPki, renewDemoPki } from './demo.ts'
import { demoThefts } from './demo-thefts.ts'
import { readClientsInSteps, readTlsFiles } from './files.ts'
import { shutdownTimeout } from './listening.ts'
import { createLog, describeEventFailures } from './log.ts'
import { keysFileOf } from './open-state.ts'
import { enforceProductionMode } from './production.ts'
import { catchSignals, onEndSignal, onReloadSignal } from './signals.ts'
import { startProcess } from './start.ts'
import { countWorkers } from './workers/count.ts'

/**
 * Starts the server with the settings of the environment. `otherVariables` are TLSBOUND_ variables that are no settings.
 * Rejects with every problem before it listens.
 */
export async function main(env: NodeJS.ProcessEnv, otherVariables: readonly string[] = []): Promise<void> {
  const settings = parseSettings(env, otherVariables)
  const log = createLog(settings.logLevel)
  const links = describeServiceLinks(env)
  if (links !== undefined) log.warn(links)
  catchSignals()
  const workers = countWorkers(settings)
  const shared = workers > 1 ? { processes: workers + 1 } : undefined
  const events = openEvents(settings, describeEventFailures(log), shared)
  process.once('exit', events.close) // however it ends, what is only counted so far is written

  const exposures = enforceProductionMode(settings, { env, execArgv: process.execArgv }, keysFileOf(settings))
  if (settings.demo) for (const sentence of ensureDemoPki('certs', Date.now())) log.warn(sentence)
  const { clientsFile } = settings
  // Loaded only where it is used: cluster takes memory and start time.
  const start = workers > 1 ? (await import('./workers/primary.ts')).startPrimary : startProcess
  const server = await start({
    ...{ settings, events, log, exposures },
    loadMaterial: () => readTlsFiles(settings),
    loadClients: () =>
      clientsFile === undefined ? oneStep(() => demoRegistrations) : readClientsInSteps(clientsFile, settings.audience),
    ...(settings.demo && { playThefts: demoThefts(settings) }),
  })
  registerRuntimeMetrics(server.metrics.registry)
  if (settings.demo) {
    process.stderr.write(describeDemo(settings))
    renewDemoPki('certs', { log })
  }

  onReloadSignal(() => void server.reload()) // it never rejects
  const close = async (signal: string) => {
    log.info(`${signal}: answering what is under way, then closing`)
    // The workers have that time; the process that waits for them needs a little more.
    setTimeout(() => process.exit(0), workers > 1 ? shutdownTimeout + 1000 : shutdownTimeout).unref()
    await server.close()
  }
  onEndSignal(guardedWithLog(log, 'unhandled error while the server closes', close))
}
