// Wires the parts of one server: registry, notifier, listener, metrics, routes and ops listener. Opens nothing, listens nowhere.
import type { Server } from 'node:http'
import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import { requireNoClient } from '../core/certificate-proxy.ts'
import type { Registrations } from '../core/client.ts'
import { tokenBindings } from '../core/confirmation.ts'
import type { KeyRing } from '../keys/key-ring.ts'
import { createNotifier, type Notifier } from '../notify/notifier.ts'
import { createMetrics, type Metrics } from '../ops/metrics/metrics.ts'
import type { OpsOptions } from '../ops/parts.ts'
import { createProbeServer } from '../ops/probes.ts'
import { createOpsServer } from '../ops/server.ts'
import { ClientRegistry } from '../server/clients/registry.ts'
import {
  createOutsideIssuers,
  type OutsideIssuers,
  type OutsideIssuersOptions,
} from '../server/grants/trusted-issuers.ts'
import type { ServerOptions } from '../server/parts.ts'
import type { Audit } from '../server/record-events.ts'
import { createServer } from '../server/server.ts'
import type { Settings } from '../settings/settings.ts'
import type { Store } from '../store/store.ts'
import type { MutualTls, MutualTlsOptions } from '../tls/listener-options.ts'
import type { TlsMaterial } from '../tls/options.ts'
import { openReporterKeys, readGatewayFile, readTrustedIssuersFile, readWebhooksFile } from './files.ts'
import { createListener } from './listener.ts'
import { warningDaysOf } from './trust-report.ts'
import { fileNames, type WatchedFiles, watchFiles } from './watched-files.ts'

/** Every level works on the listener of the issuer. */
export const ofIssuer = { levels: tokenBindings }

/** The content of the optional files of the settings. */
export type OptionalFiles = ReturnType<typeof readOptionalFiles>

/** Reads trusted issuers, webhooks, keys of leak reporters and routes of the gateway, where the settings name any. @throws Error with every problem of a file. */
export function readOptionalFiles(settings: Settings, watched: WatchedFiles = watchFiles()) {
  const { trustedIssuersFile, issuer, webhooksFile, gatewayFile } = settings
  const { load } = watched
  return {
    trustedIssuers: load(fileNames.issuers, () =>
      trustedIssuersFile === undefined ? [] : readTrustedIssuersFile(trustedIssuersFile, issuer),
    ),
    webhooks: load(fileNames.webhooks, () => readWebhooksFile(webhooksFile)),
    leakKeys: load(fileNames.leakKeys, () => openReporterKeys(settings)),
    gatewayRoutes: load(fileNames.gateway, () =>
      gatewayFile === undefined ? undefined : readGatewayFile(gatewayFile, ofIssuer),
    ),
  }
}

export interface WireOptions
  extends Pick<ServerOptions, 'closeAfter' | 'routes' | 'secrets' | 'contain' | 'keysChecked'> {
  readonly settings: Settings
  readonly material: TlsMaterial
  readonly registrations: Registrations
  readonly keys: KeyRing
  readonly store: Store
  readonly files: OptionalFiles
  readonly audit: Audit
  /** Whether security events can be written. */
  readonly isRecording: () => boolean
  readonly log: FastifyBaseLogger
  /** Milliseconds since 1970. */
  readonly clock: () => number
  /** Takes precedence over the settings. */
  readonly tls?: Partial<MutualTlsOptions>
  /** Clock and timeout for the keys of trusted issuers. */
  readonly issuers?: OutsideIssuersOptions
}

export interface Wired {
  readonly app: FastifyInstance
  /** The parts of `app`. */
  readonly parts: ServerOptions & { readonly outsideIssuers: OutsideIssuers; readonly notifier: Notifier }
  readonly tls: MutualTls
  readonly notifier: Notifier
  readonly metrics: Metrics
  /** Builds the ops listener. */
  createOps(options: MoreOpsOptions): FastifyInstance
  /** Builds the probe listener. */
  createProbes(options?: Partial<Pick<OpsOptions, 'isServing' | 'writeMetrics'>>): Server
}

/** What the ops listener does not get from the parts of the server. */
export type MoreOpsOptions = Pick<OpsOptions, 'token' | 'playThefts' | 'reload'> &
  Partial<Pick<OpsOptions, 'isServing' | 'connections' | 'measureUse' | 'writeMetrics'>>

/** Wires a server. Rejects when a route or the store fails; then it has closed the notifier, and nothing else is open. */
export async function wireServer(options: WireOptions): Promise<Wired> {
  const { settings, material, registrations, files, store, audit, isRecording, log, clock } = options
  const clients = new ClientRegistry(registrations, settings.audience)
  const tls = createListener(
    settings,
    { material, clients, audit, log },
    {
      onError: error => log.error({ err: error }, 'an unexpected exception has ended a connection'),
      ...options.tls,
    },
  )
  requireNoClient(tls.inUse().proxies, clients.known)
  // Loaded only where it is used: undici takes memory and start time.
  const gateway = files.gatewayRoutes && (await import('../gateway/gateway.ts')).createGateway(files.gatewayRoutes)
  const metrics = createMetrics({
    tls,
    gateway: gateway?.counts,
    store,
    isRecording,
    expiryWarning: warningDaysOf(settings) * 86_400,
  })
  const notifier = createNotifier(files.webhooks, {
    store,
    clock,
    report: audit.notificationFailed,
    onError: error => log.error({ err: error }, 'notifications could not be sent; the next attempt follows'),
  })
  audit.observe(notifier.observe)
  audit.observe(metrics.observe, 'own') // each worker has metrics of its own
  const parts = {
    ...{
      settings,
      tls,
      clients,
      keys: options.keys,
      store: metrics.store,
      leakKeys: files.leakKeys,
      audit,
      log,
      clock,
      gateway,
    },
    ...(options.closeAfter !== undefined && { closeAfter: options.closeAfter }),
    ...(options.routes && { routes: options.routes }),
    ...(options.secrets && { secrets: options.secrets }),
    ...(options.contain && { contain: options.contain }),
    ...(options.keysChecked && { keysChecked: options.keysChecked }),
    outsideIssuers: createOutsideIssuers(files.trustedIssuers, {
      onWarning: message => options.log.warn(message),
      ...options.issuers,
    }),
    notifier,
  }
  const app = await createServer(parts).catch(async error => {
    await notifier.close()
    throw error
  })
  const observed = { store: parts.store, metrics, isRecording, isServing: () => app.server.listening }
  return {
    ...{ app, parts, tls, notifier, metrics },
    createOps: more => createOpsServer({ ...{ ...parts, ...observed, log: quietly(log) }, ...more }),
    createProbes: more => createProbeServer({ ...observed, log, ...more }),
  }
}

/** Returns the log without Fastify's line about the address, which would precede a failed start. */
function quietly(log: FastifyBaseLogger): FastifyBaseLogger {
  return /^(trace|debug|info)$/.test(log.level) ? log.child({}, { level: 'warn' }) : log
}
