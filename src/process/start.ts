// Starts one server: keys → store → wiring → listeners → reload, close. The program and `tlsbound/server` share it. It installs no
// signal handler, and never ends the process.
import type { Server } from 'node:http'
import type { FastifyInstance } from 'fastify'
import { requireNoClient } from '../core/certificate-proxy.ts'
import { atOnce } from '../core/steps.ts'
import type { Metrics } from '../ops/metrics/metrics.ts'
import type { OpsOptions } from '../ops/parts.ts'
import { ClientRegistry } from '../server/clients/registry.ts'
import { createOutsideIssuers } from '../server/grants/trusted-issuers.ts'
import type { ServerOptions } from '../server/parts.ts'
import type { MutualTls } from '../tls/listener-options.ts'
import type { TlsMaterial } from '../tls/options.ts'
import { ensureOpsToken } from './files.ts'
import { followFiles } from './follow-files.ts'
import { closeInTime, closeProbes, listenFor, listenForProxies, trackSockets } from './listening.ts'
import { openAll } from './open-all.ts'
import { beginState, type OnClose, type Sources } from './open-state.ts'
import { reportExposures } from './production.ts'
import { prepareSocket } from './proxy-socket.ts'
import { createReload, describeRetired, type Reloaded } from './reload.ts'
import { reportTrust, warningDaysOf } from './trust-report.ts'
import { fileNames, watchFiles } from './watched-files.ts'
import { wireServer } from './wire.ts'

export interface StartOptions extends Sources, Pick<ServerOptions, 'routes'>, Pick<OpsOptions, 'playThefts'> {
  /** Called at the start and with each reload. */
  readonly loadMaterial: () => TlsMaterial
}

export interface Started {
  readonly app: FastifyInstance
  readonly ops: FastifyInstance | undefined
  readonly metrics: Metrics
  /** Reloads the files. Never rejects: an invalid file is logged, and the old content stays in use. */
  reload(): Promise<readonly Reloaded[]>
  /** Stops listening, answers the requests under way, closes the rest after `shutdownTimeout`, and then store and events. */
  close(): Promise<void>
}

/** An issuer without a listener. */
export interface OpenedIssuer {
  readonly parts: ServerOptions
  reload(): Promise<readonly Reloaded[]>
  /** Closes store and events. */
  close(): Promise<void>
}

/** Starts a server, which then listens. Rejects with every problem; then nothing is left open. */
export function startProcess(options: StartOptions): Promise<Started> {
  return openAll(options, onClose => listen(options, onClose))
}

/** Opens an issuer on a listener that exists. Rejects with every problem; then nothing is left open. */
export function openIssuer(options: Sources & { readonly tls: MutualTls }): Promise<OpenedIssuer> {
  return openAll(options, async onClose => {
    const { settings, events, log, tls, loadClients } = options
    const openState = beginState(options, onClose)
    const watched = watchFiles()
    const clients = new ClientRegistry(
      watched.load(fileNames.clients, () => atOnce(loadClients())),
      settings.audience,
    )
    requireNoClient(tls.inUse().proxies, clients.known)
    const opened = await openState(watched)
    const { audit, keys, store, files } = opened
    const outsideIssuers = createOutsideIssuers(files.trustedIssuers, { onWarning: message => log.warn(message) })
    const shared = { settings, tls, clients, keys, store, leakKeys: files.leakKeys, audit, log, clock: Date.now }
    const parts = { ...shared, outsideIssuers }
    reportExposures(options.exposures, parts)
    return {
      parts,
      reload: followFiles(opened, events, createReload({ ...parts, loadClients, watched }), onClose, log),
    }
  })
}

async function listen(options: StartOptions, onClose: OnClose): Promise<Omit<Started, 'close'>> {
  const { settings, loadMaterial, loadClients, events, log, exposures, routes, playThefts } = options
  const openState = beginState(options, onClose)
  const watched = watchFiles()
  const material = watched.load(fileNames.tls, loadMaterial)
  const registrations = watched.load(fileNames.clients, () => atOnce(loadClients()))
  const opsToken = settings.opsPort === 0 ? undefined : ensureOpsToken(settings.opsTokenFile)
  const opened = await openState(watched)
  const warningDays = warningDaysOf(settings)
  const { app, parts, tls, notifier, metrics, createOps, createProbes } = await wireServer({
    ...{ ...opened, material, registrations, isRecording: events.isRecording, log, clock: Date.now },
    ...(routes && { routes }),
    tls: {
      onEnd: retired => {
        log.warn(`an authority or revocation list has ended; ${describeRetired(retired)}`)
        reportTrust(log, tls.inUse(), Date.now(), warningDays)
      },
    },
  })
  onClose(() => notifier.close())
  reportExposures(exposures, parts)
  let reload: Started['reload'] = async () => [] // until it listens
  const opsOptions = { reload: () => reload(), ...(playThefts && { playThefts }) }
  const ops = opsToken === undefined ? undefined : createOps({ token: opsToken, ...opsOptions })
  if (ops !== undefined) onClose(() => ops.close())
  const probes = settings.probePort === 0 ? undefined : createProbes()
  if (probes !== undefined) onClose(() => closeProbes(probes)) // after the app, so that it reports the end
  const sockets = trackSockets(app)
  if (settings.proxySocket !== undefined) await prepareSocket(settings.proxySocket)
  let proxies: Server | undefined
  onClose(() => closeInTime(app, tls, sockets, proxies))
  await ops?.listen({ host: '127.0.0.1', port: settings.opsPort })
  if (probes !== undefined) await listenFor(probes, settings)
  await app.listen({ host: settings.host, port: settings.port })
  proxies = await listenForProxies(app, tls, settings)
  log.info(`listening for ${settings.issuer}`)
  reportTrust(log, tls.inUse(), Date.now(), warningDays)
  const reloadFiles = createReload({ ...parts, loadMaterial, loadClients, watched })
  reload = followFiles(opened, events, reloadFiles, onClose, log)
  return { app, ops, metrics, reload }
}
