// A gateway without an issuer of its own: settings of the environment, log on stderr, signals.
import './check-node.js'
import './no-debugger.js'
import type { Server } from 'node:http'
import type { FastifyBaseLogger } from 'fastify'
import { type Events, openEvents } from '../audit/open.ts'
import { guardedWithLog } from '../core/guard.ts'
import { oneStep, type Steps } from '../core/steps.ts'
import { createGateway } from '../gateway/gateway.ts'
import { createIntrospection } from '../gateway/introspection.ts'
import type { LoadedRoute, UpstreamMaterial } from '../gateway/upstream.ts'
import { createListenerMetrics } from '../ops/metrics/metrics.ts'
import { registerRuntimeMetrics } from '../ops/metrics/runtime.ts'
import { createProbeServer } from '../ops/probes.ts'
import { createGatewayServer } from '../server/gateway-server.ts'
import { createAudit } from '../server/record-events.ts'
import { describeServiceLinks } from '../settings/service-links.ts'
import { dataFile, parseSettings, type Settings, type settingsTable } from '../settings/settings.ts'
import type { VerifierOptions } from '../verify/token-check.ts'
import { ensureDemoPki } from './demo.ts'
import { readTlsFiles } from './files.ts'
import { followFiles } from './follow-files.ts'
import { createListener } from './listener.ts'
import { closeInTime, closeProbes, listenFor, listenForProxies, shutdownTimeout, trackSockets } from './listening.ts'
import { createLog, describeEventFailures } from './log.ts'
import { openAll } from './open-all.ts'
import type { OnClose } from './open-state.ts'
import { enforceProductionMode } from './production.ts'
import { prepareSocket } from './proxy-socket.ts'
import { createLoader, reloadTls } from './reload.ts'
import { catchSignals, onEndSignal, onReloadSignal } from './signals.ts'
import { ensureKeysFile, loadKeyRing } from './signing-keys.ts'
import { reportTrust, warningDaysOf } from './trust-report.ts'
import { fileNames, watchFiles } from './watched-files.ts'

export interface GatewayProcessOptions {
  /** The variables of `gatewaySettings`, and NODE_ENV. */
  readonly env: NodeJS.ProcessEnv
  readonly port: number
  /** Default: https://localhost:PORT. */
  readonly url: string | undefined
  readonly issuer: string
  readonly audience: string
  readonly verifier: VerifierOptions
  /** How to ask the issuer for revocations. Default: a token is accepted until it expires. */
  readonly introspection?: IntrospectionSettings | undefined
  /** Called at the start, with SIGHUP, and when a file has changed. @throws Error with every problem. */
  readonly loadRoutes: () => readonly LoadedRoute[]
}

interface IntrospectionSettings {
  readonly clientId: string
  /** How long an answer is used. */
  readonly seconds: number
  /** Loads certificate, key and authorities. Called at the start, with SIGHUP, and when a file has changed. @throws FileProblem */
  readonly loadMaterial: () => UpstreamMaterial
}

/** The settings of a server that a gateway has too: its listener, its log and its events. */
export const gatewaySettings = [
  ...([
    'host',
    'probeHost',
    'probePort',
    'proxyProtocolFrom',
    'clientCertFrom',
    'proxySocket',
    'tlsCertFile',
    'tlsKeyFile',
    'tlsKeyPassphraseFile',
  ] as const),
  ...(['tlsClientCaFile', 'tlsClientCrlFile', 'tlsMinVersion', 'tlsDropUnacceptable'] as const),
  ...(['connectionMaxAge', 'expiryWarningDays', 'http2', 'dataDir', 'signingKeysFile', 'signingAlgorithm'] as const),
  ...(['signingKeyMaxAge', 'logLevel', 'auditFile', 'auditFormat'] as const),
] satisfies readonly (keyof typeof settingsTable)[]

/** The keys of assertions, by default: a file in the data folder. */
export const ownKeysFile = 'gateway-keys.json'

/** Whether the certificates of the demo are used: without any TLS file in the environment. */
export function isDemoOf(env: NodeJS.ProcessEnv): boolean {
  return !['CERT', 'KEY', 'CLIENT_CA'].some(name => env[`TLSBOUND_TLS_${name}_FILE`])
}

/** Creates the certificates of the demo where they are missing, before a command reads them. */
export function prepareDemo(env: NodeJS.ProcessEnv): string[] {
  return isDemoOf(env) && env.NODE_ENV !== 'production' ? ensureDemoPki('certs', Date.now()) : []
}

/** Starts a gateway. Rejects with every problem before it listens; then nothing is left open. Resolves with its origin. */
export async function startGateway(options: GatewayProcessOptions): Promise<string> {
  catchSignals()
  const { env, port } = options
  const url = options.url ?? `https://localhost:${port}`
  const settings = parseSettings({ ...env, TLSBOUND_PORT: String(port), TLSBOUND_ISSUER: url }, [], false)
  const log = createLog(settings.logLevel)
  const links = describeServiceLinks(env)
  if (links !== undefined) log.warn(links)
  // Not the file of an issuer in the same folder: an assertion is no token of it.
  const keysFile = settings.signingKeysFile ?? dataFile(ownKeysFile, settings.dataDir)
  const exposures = enforceProductionMode(settings, { env, execArgv: process.execArgv }, keysFile)
  for (const { sentence } of exposures) log.warn(sentence)
  const events = openEvents(settings, describeEventFailures(log))
  process.once('exit', events.close) // however it ends, what is only counted so far is written
  const gateway = await openAll({ events }, onClose =>
    listen({ ...options, url, settings, keysFile, events, log }, onClose),
  )
  onReloadSignal(() => void gateway.reload()) // it never rejects
  const close = async (signal: string) => {
    log.info(`${signal}: answering what is under way, then closing`)
    setTimeout(() => process.exit(0), shutdownTimeout).unref()
    await gateway.close()
  }
  onEndSignal(guardedWithLog(log, 'unhandled error while the gateway closes', close))
  return url
}

interface Opened extends GatewayProcessOptions {
  readonly url: string
  readonly settings: Settings
  readonly keysFile: string
  readonly events: Events
  readonly log: FastifyBaseLogger
}

async function listen(options: Opened, onClose: OnClose): Promise<{ readonly reload: () => Promise<unknown> }> {
  const { url, settings, keysFile, events, log, port, loadRoutes, introspection: asked } = options
  const watched = watchFiles()
  const gateway = createGateway(watched.load(fileNames.gateway, loadRoutes))
  const material = watched.load(fileNames.tls, () => readTlsFiles(settings))
  if (settings.signingKeysFile === undefined) await ensureKeysFile(keysFile, settings.signingAlgorithm)
  const keys = await loadKeyRing(keysFile, Date.now() / 1000)
  const audit = createAudit(events.record, log)
  const tls = createListener(settings, { material, clients: { isPinned: () => false }, audit, log })
  const introspection =
    asked &&
    createIntrospection({
      ...{ issuer: options.issuer, clientId: asked.clientId, clock: () => performance.now() },
      ...{ lifetime: asked.seconds * 1000, material: watched.load(fileNames.introspection, asked.loadMaterial) },
    })
  onClose(() => introspection?.close())
  const app = createGatewayServer({ ...options, introspection, tls, gateway, keys, audit, log })
  const isRecording = events.isRecording
  const metrics = createListenerMetrics({
    ...{ tls, gateway: gateway.counts, store: undefined, isRecording },
    expiryWarning: warningDaysOf(settings) * 86_400,
  })
  audit.observe(metrics.observe)
  registerRuntimeMetrics(metrics.registry)
  const isServing = () => app.server.listening
  const probes =
    settings.probePort === 0 ? undefined : createProbeServer({ store: undefined, isServing, isRecording, metrics, log })
  if (probes !== undefined) onClose(() => closeProbes(probes)) // after the app, so that it reports the end
  const sockets = trackSockets(app)
  let proxies: Server | undefined
  onClose(() => closeInTime(app, tls, sockets, proxies))
  if (probes !== undefined) await listenFor(probes, settings)
  if (settings.proxySocket !== undefined) await prepareSocket(settings.proxySocket)
  await app.listen({ host: settings.host, port })
  proxies = await listenForProxies(app, tls, settings)
  log.info(`listening for ${url}`)
  reportTrust(log, tls.inUse(), Date.now(), warningDaysOf(settings))
  const work = new Map<string, () => Steps<void>>()
  const add = (files: string, load: () => void) => void work.set(files, () => oneStep(load))
  add(fileNames.tls, () => reloadTls(readTlsFiles(settings), { tls, settings, log, clock: Date.now }))
  if (asked !== undefined) add(fileNames.introspection, () => introspection?.replace(asked.loadMaterial()))
  add(fileNames.gateway, () => gateway.replace(loadRoutes()))
  const loadAgain = createLoader(work, watched, log)
  const followed = { settings, keysFile, keys, audit, watched }
  return { reload: followFiles(followed, events, loadAgain, onClose, log) }
}
