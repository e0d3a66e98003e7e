// One worker: accepts connections, and decides on their requests. The primary process owns the store, the files and everything
// that counts for the whole server.

import type { SecurityEvent } from '../../audit/event.ts'
import { openEvents } from '../../audit/open.ts'
import { logError } from '../../core/guard.ts'
import { oneStep } from '../../core/steps.ts'
import { createKeyRing } from '../../keys/key-ring.ts'
import { importSigningKeys, parseTokenJwk, type TokenJwk } from '../../keys/token-keys.ts'
import { describeConnections } from '../../ops/live-connections.ts'
import { registerRuntimeMetrics } from '../../ops/metrics/runtime.ts'
import { createMeasureUse } from '../../ops/use.ts'
import { SecretChecker, type TrySecret } from '../../server/clients/client-secret.ts'
import type { ContainmentParts } from '../../server/incidents/containment.ts'
import { createAudit } from '../../server/record-events.ts'
import { closeInTime, listenForProxies, trackSockets } from '../listening.ts'
import { createLog, describeEventFailures } from '../log.ts'
import { createReload, describeRetired } from '../reload.ts'
import { readOptionalFiles, wireServer } from '../wire.ts'
import type { Handlers, Peer } from './peer.ts'
import { type Content, idsOfWorker, type WorkerCall, type WorkerConfig, type WorkerConnections } from './protocol.ts'
import type { RemoteStore } from './store-client.ts'

/** Milliseconds that the check of a secret may take, behind others of the same client. */
const longestSecret = 30_000

export interface StartedWorker {
  /** What the primary may call from now on. */
  readonly handlers: Pick<Handlers, WorkerCall>
  /** Answers the requests under way. Resolves with the end of its chain of events. */
  close(): Promise<string>
}

/** Starts a worker, which then listens. Rejects when it cannot. */
export async function startWorker(config: WorkerConfig, peer: Peer, remote: RemoteStore): Promise<StartedWorker> {
  const { number, serial, processes, writer } = config
  // The primary notifies, and has the ops listener.
  const settings = { ...config.settings, webhooksFile: undefined, opsPort: 0 }
  const log = createLog(settings.logLevel).child({ worker: number })
  const quietly = log.level === 'info' ? log.child({}, { level: 'warn' }) : log // the primary logs what was loaded
  const describe = describeEventFailures(log)
  const events = openEvents(
    settings,
    error => {
      peer.tell('recording', error === undefined)
      describe(error)
    },
    { processes, writer },
  )
  const audit = createAudit(events.record, log)
  const keys = createKeyRing(await importSigningKeys(config.keys.map(parseTokenJwk)), Date.now() / 1000)
  let content: Content = config
  let closeCertificate: ContainmentParts['closeConnections'] = () => {}
  const trySecret = (...given: Parameters<TrySecret>) => peer.call('trySecret', given, longestSecret) as Promise<string>
  const { app, parts, tls, notifier, metrics } = await wireServer({
    ...{ settings, keys, audit, log, isRecording: events.isRecording, clock: Date.now },
    ...{ material: config.material, registrations: config.registrations, files: readOptionalFiles(settings) },
    store: { ...remote.store, removeExpired: async () => 0 }, // the primary removes them
    secrets: new SecretChecker(Date.now, trySecret),
    keysChecked: true, // by the primary. A key that was removed later must end no worker, nor withhold changes from it
    contain: ({ closeConnections }) => {
      closeCertificate = closeConnections
    },
    tls: { onEnd: retired => log.warn(`an authority or revocation list has ended; ${describeRetired(retired)}`) },
  })
  const hasReceivers = config.settings.webhooksFile !== undefined
  const pass = createRelay(peer)
  audit.observe(event => {
    if (hasReceivers || isIncident(event)) pass(event)
  })
  registerRuntimeMetrics(metrics.registry)
  const connections = describeConnections(tls.connections, serial * idsOfWorker)
  const reload = createReload({
    ...{ ...parts, log: quietly },
    loadMaterial: () => content.material,
    loadClients: () => oneStep(() => content.registrations),
    revokeChanged: false, // by the primary, when every worker has the new registrations
  })
  const sockets = trackSockets(app)
  const handlers: Pick<Handlers, WorkerCall> = {
    async reload(next: Content, only?: readonly string[]) {
      content = next
      events.followRename()
      await reload(only)
    },
    async keys(next: readonly TokenJwk[]) {
      try {
        keys.replace(await importSigningKeys(next.map(parseTokenJwk)), Date.now() / 1000)
      } catch (error) {
        logError(log, error, 'the new signing keys cannot be used')
        throw error
      }
    },
    closeCertificate: (...given: Parameters<ContainmentParts['closeConnections']>) => closeCertificate(...given),
    use: createMeasureUse(tls.connections, () => Date.now() / 1000),
    metrics: () => metrics.registry.getMetricsAsJSON(),
    connections: (most: number, now: number): WorkerConnections => ({
      newest: connections.newest(most, now),
      total: connections.total(),
    }),
  }
  await app.listen({ host: settings.host, port: settings.port })
  const proxies = await listenForProxies(app, tls, settings)
  return {
    handlers,
    async close() {
      await closeInTime(app, tls, sockets, proxies)
      await notifier.close()
      events.close()
      return events.end()
    },
  }
}

/** Events that the primary may have to process at once; and after how many it is asked whether it has. */
const relayed = { most: 10_000, step: 500 }

/** Milliseconds after which that question is given up. */
const longestRelay = 60_000

/**
 * Creates what passes events to the primary. While that is too slow, a flood must not fill the memory: then only events about
 * a token of this server are passed, which may be thefts. The file of events has all of them.
 */
function createRelay(peer: Peer): (event: SecurityEvent) => void {
  let pending = 0
  return event => {
    if (pending >= relayed.most && event.jti === undefined && event.grant === undefined) return
    peer.tell('event', event)
    pending++
    if (pending % relayed.step !== 0) return
    const done = () => {
      pending -= relayed.step
    }
    peer.call('sync', [], longestRelay).then(done, done)
  }
}

/** Whether the primary acts on an event, or shows it. Others are passed on only if a webhook may be for them. */
function isIncident({ outcome }: SecurityEvent): boolean {
  return outcome !== 'success'
}
