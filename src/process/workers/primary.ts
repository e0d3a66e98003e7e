// The primary process of a server with workers. It accepts connections for them, and owns what exists once: store, files,
// signing keys, ops listener, notifications, and the response to thefts. It answers no request of a client itself.
import type { FastifyBaseLogger } from 'fastify'
import type { SecurityEvent } from '../../audit/event.ts'
import { readLastOf } from '../../audit/last-line.ts'
import { hashLine } from '../../audit/recorder.ts'
import { listOf } from '../../core/client.ts'
import { logError } from '../../core/guard.ts'
import { atOnce } from '../../core/steps.ts'
import type { TokenJwk } from '../../keys/token-keys.ts'
import type { LiveConnections } from '../../ops/live-connections.ts'
import type { Metrics } from '../../ops/metrics/metrics.ts'
import { type ProcessMetrics, sumMetrics, watchWorkers } from '../../ops/metrics/workers.ts'
import type { Use } from '../../ops/use.ts'
import { SecretChecker } from '../../server/clients/client-secret.ts'
import { createContainment } from '../../server/incidents/containment.ts'
import type { Settings } from '../../settings/settings.ts'
import { ensureOpsToken } from '../files.ts'
import { followFiles } from '../follow-files.ts'
import { closeProbes, listenFor, shutdownTimeout } from '../listening.ts'
import { openAll } from '../open-all.ts'
import { beginState, type OnClose } from '../open-state.ts'
import { reportExposures } from '../production.ts'
import { prepareSocket } from '../proxy-socket.ts'
import { createReload, describeRetired } from '../reload.ts'
import { readKeysFile } from '../signing-keys.ts'
import type { Started, StartOptions } from '../start.ts'
import { reportTrust, warningDaysOf } from '../trust-report.ts'
import { fileNames, watchFiles } from '../watched-files.ts'
import { wireServer } from '../wire.ts'
import { countWorkers } from './count.ts'
import { type Content, fromShared, idsOfWorker, type WorkerConfig, type WorkerConnections } from './protocol.ts'
import { shareStore } from './store-server.ts'
import { createSupervisor, type RunningWorker, type Supervisor } from './supervisor.ts'

/** Milliseconds that a worker has to load files again; then it is replaced by one that has. */
const longestReload = 30_000

/** Milliseconds that a worker has to describe itself, for the live page and for metrics. */
const longestDescription = 2000

/** Starts a server with workers, which then listens. Rejects with every problem; then nothing is left open. */
export function startPrimary(options: Omit<StartOptions, 'routes' | 'keys' | 'store'>): Promise<Started> {
  return openAll(options, onClose => listen(options, onClose))
}

async function listen(options: StartOptions, onClose: OnClose): Promise<Omit<Started, 'close'>> {
  const { settings, loadMaterial, loadClients, events, log, exposures, playThefts } = options
  const openState = beginState(options, onClose)
  const watched = watchFiles()
  const material = watched.load(fileNames.tls, loadMaterial)
  const registrations = watched.load(fileNames.clients, () => atOnce(loadClients()))
  let content: Content = { material, registrations: listOf(registrations) }
  const opsToken = settings.opsPort === 0 ? undefined : ensureOpsToken(settings.opsTokenFile)
  const opened = await openState(watched)
  const { audit } = opened
  let keys: readonly TokenJwk[] = readKeysFile(opened.keysFile as string)
  const shared = shareStore(opened.store, fromShared)
  const secrets = new SecretChecker(Date.now)
  /** The workers whose events cannot be written. */
  const failing = new Set<RunningWorker>()
  const sum = sumMetrics()

  const count = countWorkers(settings)
  const supervisor = createSupervisor({
    count,
    log,
    announce(number, writer) {
      audit.workerChanged('started', number, writer)
      return events.end()
    },
    onEnd(worker, change, last) {
      shared.remove(worker.peer)
      failing.delete(worker)
      sum.end(worker.serial)
      try {
        audit.workerChanged(change, worker.number, worker.writer, last ?? findLast(settings, worker.writer, log))
      } catch (error) {
        logError(log, error, 'the end of a worker could not be recorded', { worker: worker.number })
      }
    },
    configure: worker => ({ ...worker, ...content, settings, processes: count + 1, keys }) satisfies WorkerConfig,
    handlersFor: getWorker => ({
      ...shared.serve(() => getWorker().peer),
      event: (event: SecurityEvent) => audit.relay(event),
      trySecret: secrets.trySecret,
      recording: (isRecording: boolean) => void (isRecording ? failing.delete(getWorker()) : failing.add(getWorker())),
    }),
  })
  const isRecording = () => events.isRecording() && failing.size === 0

  const warningDays = warningDaysOf(settings)
  const { app, parts, tls, notifier, metrics, createOps, createProbes } = await wireServer({
    ...{ ...opened, material, registrations, store: shared.store, isRecording, log, clock: Date.now, secrets },
    contain: own =>
      audit.observe(
        createContainment({
          ...own,
          closeConnections: (...given) => supervisor.tellAll('closeCertificate', ...given),
        }),
      ),
    tls: {
      onEnd: retired => {
        log.warn(`an authority or revocation list has ended; ${describeRetired(retired)}`)
        reportTrust(log, tls.inUse(), Date.now(), warningDays)
      },
    },
  })
  onClose(() => app.close()) // it never listens; it follows the store
  onClose(() => notifier.close())
  reportExposures(exposures, parts)
  watchWorkers(metrics.registry, () => ({ running: countListening(supervisor), crashed: supervisor.crashed() }))
  const ofWorkers = {
    isServing: () => countListening(supervisor) > 0,
    async writeMetrics(registry: Metrics['registry']) {
      const own = await registry.getMetricsAsJSON()
      const answers = (await askAll(supervisor, 'metrics', [])) as Map<number, ProcessMetrics>
      // One that has ended meanwhile is in the sum already.
      const running = [...supervisor.workers].flatMap(({ serial }) => {
        const metrics = answers.get(serial)
        return metrics === undefined ? [] : [[serial, metrics] as const]
      })
      return sum.write(own, new Map(running))
    },
  }
  let reload: Started['reload'] = async () => [] // until it listens
  const ops =
    opsToken === undefined
      ? undefined
      : createOps({
          ...ofWorkers,
          token: opsToken,
          connections: connectionsOf(supervisor, log),
          measureUse: async revocation => [...(await askAll(supervisor, 'use', [revocation])).values()] as Use[],
          reload: () => reload(),
          ...(playThefts && { playThefts }),
        })
  if (ops !== undefined) onClose(() => ops.close())
  const probes = settings.probePort === 0 ? undefined : createProbes(ofWorkers)
  if (probes !== undefined) onClose(() => closeProbes(probes))
  onClose(() => supervisor.close(shutdownTimeout + 500)) // a worker ends its connections after shutdownTimeout
  await ops?.listen({ host: '127.0.0.1', port: settings.opsPort })
  if (probes !== undefined) await listenFor(probes, settings)
  if (settings.proxySocket !== undefined) await prepareSocket(settings.proxySocket)
  await supervisor.start()
  log.info(`listening for ${settings.issuer} with ${count} workers`)
  reportTrust(log, tls.inUse(), Date.now(), warningDays)

  const reloadFiles = createReload({
    ...{ ...parts, loadMaterial, loadClients, watched },
    async onLoaded({ material = content.material, registrations = content.registrations }, only) {
      content = { material, registrations: listOf(registrations) }
      await supervisor.require('reload', [content, only], longestReload)
    },
  })
  // Awaited before the files are loaded: they may have clients whose tokens only a new key can sign.
  const onReplace = (next: readonly TokenJwk[]) => {
    keys = next
    return supervisor.require('keys', [keys], longestReload)
  }
  reload = followFiles(opened, events, reloadFiles, onClose, log, onReplace)
  return { app, ops, metrics, reload }
}

/** Returns the end of the chain of a worker that has died; undefined if the events are in no file, or its lines not in this one. */
function findLast({ auditFile }: Settings, writer: string, log: FastifyBaseLogger): string | undefined {
  try {
    const line = auditFile === undefined ? undefined : readLastOf(auditFile, writer)
    return line === undefined ? undefined : hashLine(line)
  } catch (error) {
    logError(log, error, 'the last event of a worker cannot be read')
    return undefined
  }
}

function countListening({ workers }: Supervisor): number {
  return [...workers].filter(({ isListening }) => isListening).length
}

/** Asks all workers. Resolves with the answers by the serial number of the worker; one that does not answer is left out. */
async function askAll(
  { workers }: Supervisor,
  name: string,
  parameters: readonly unknown[],
): Promise<Map<number, unknown>> {
  const answers = await Promise.all(
    [...workers]
      .filter(({ isListening }) => isListening)
      .map(async ({ serial, peer }) => {
        try {
          return [[serial, await peer.call(name, parameters, longestDescription)] as const]
        } catch {
          return []
        }
      }),
  )
  return new Map(answers.flat())
}

/** The connections of all workers, as of the last time that they were read. The live page reads them each second. */
function connectionsOf(supervisor: Supervisor, log: FastifyBaseLogger): LiveConnections {
  let latest = new Map<number, WorkerConnections>()
  let isAsking = false
  let most = 0

  async function ask(now: number): Promise<void> {
    isAsking = true
    try {
      latest = (await askAll(supervisor, 'connections', [most, now])) as typeof latest
    } catch (error) {
      logError(log, error, 'the connections of the workers cannot be shown')
    }
    isAsking = false
  }

  return {
    total: () => [...latest.values()].reduce((sum, { total }) => sum + total, 0),
    newest(limit, now) {
      most = limit
      if (!isAsking) void ask(now)
      const all = [...latest.values()].flatMap(({ newest }) => newest)
      return all.sort((one, other) => (one.opened < other.opened ? -1 : Number(one.opened > other.opened))).slice(-most)
    },
    /** One that is older than all that its worker describes is still open, if there was no room for more. */
    isOpen(id) {
      const { newest = [] } = latest.get(Math.floor(id / idsOfWorker)) ?? {}
      return newest.some(one => one.id === id) || (newest.length === most && id < (newest[0]?.id ?? 0))
    },
  }
}
