// Starts one server: keys → store → wiring → listeners → reload, close. The program and `tlsbound/server` share it. It installs no
// signal handler, and never ends the process.
import { mkdirSync, statSync } from 'node:fs'
import type { Server } from 'node:http'
import type { Socket } from 'node:net'
import { basename, dirname } from 'node:path'
import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import type { Events } from '../audit/open.ts'
import { requireNoClient } from '../core/certificate-proxy.ts'
import type { Registrations } from '../core/client.ts'
import { OAuthError } from '../core/errors.ts'
import { logError } from '../core/guard.ts'
import { FileProblem, quoteForShell } from '../files/file-problem.ts'
import { createKeyRing, type KeyRing } from '../keys/key-ring.ts'
import { importSigningKeys, parseTokenJwk, type TokenJwk } from '../keys/token-keys.ts'
import type { Metrics } from '../ops/metrics/metrics.ts'
import type { OpsOptions } from '../ops/parts.ts'
import { revoke } from '../ops/revocations.ts'
import { ClientRegistry } from '../server/clients/registry.ts'
import { createOutsideIssuers } from '../server/grants/trusted-issuers.ts'
import type { ServerOptions } from '../server/parts.ts'
import { type Audit, createAudit } from '../server/record-events.ts'
import { dataFile, type Settings } from '../settings/settings.ts'
import { openPostgres } from '../store/postgres.ts'
import { describeExposure } from '../store/postgres-exposure.ts'
import { openSqlite } from '../store/sqlite.ts'
import type { Store } from '../store/store.ts'
import type { MutualTls } from '../tls/mutual-tls.ts'
import type { TlsMaterial } from '../tls/options.ts'
import type { Exposure } from './exposures.ts'
import { ensureOpsToken } from './files.ts'
import { joinServers, type OtherServers } from './other-servers.ts'
import { reportExposures } from './production.ts'
import { listenOnSocket, prepareSocket } from './proxy-socket.ts'
import { createReload, describeRetired, followChanges, type Reload, type Reloaded } from './reload.ts'
import { ensureKeysFile, loadKeyRing, type WatchOptions, watchKeysFile } from './signing-keys.ts'
import { readStateRecord, type StateRecord, watchState } from './state-record.ts'
import { storePasswordOf } from './store-password.ts'
import { reportTrust, warningDaysOf } from './trust-report.ts'
import { fileNames, type WatchedFiles, watchFiles } from './watched-files.ts'
import { type OptionalFiles, readOptionalFiles, wireServer } from './wire.ts'

/** Milliseconds after which open requests are ended when a server closes. */
export const shutdownTimeout = 8000

/** The sources of an issuer, on its own listener or in another app. */
interface Sources {
  readonly settings: Settings
  /** Called at the start and with each reload. */
  readonly loadClients: () => Registrations
  /** Default: those of the file of the settings. */
  readonly keys?: readonly TokenJwk[] | undefined
  /** Default: the one that the settings name. Closed with the server, and when the start fails. */
  readonly store?: Store | undefined
  readonly events: Events
  readonly log: FastifyBaseLogger
  /** Exposures of secrets; each is logged. */
  readonly exposures: readonly Exposure[]
}

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

/** The file of the signing keys in use; undefined: the keys are in no file. */
export function keysFileOf({ signingKeysFile, dataDir }: Settings, keys?: readonly TokenJwk[]): string | undefined {
  return keys === undefined ? (signingKeysFile ?? dataFile('signing-keys.json', dataDir)) : undefined
}

/** Starts a server, which then listens. Rejects with every problem; then nothing is left open. */
export function startProcess(options: StartOptions): Promise<Started> {
  return openAll(options, onClose => listen(options, onClose))
}

/** Opens an issuer on a listener that exists. Rejects with every problem; then nothing is left open. */
export function openIssuer(options: Sources & { readonly tls: MutualTls }): Promise<OpenedIssuer> {
  return openAll(options, async onClose => {
    const { settings, events, log, tls, loadClients } = options
    const watched = watchFiles()
    const clients = new ClientRegistry(watched.load(fileNames.clients, loadClients), settings.audience)
    requireNoClient(tls.inUse().proxies, clients.known)
    const opened = await openState(options, watched, onClose)
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

export type OnClose = (close: () => unknown) => void

/** Opens one part after the other. When that rejects, and by `close`, what was opened is closed, the last one first. */
export async function openAll<T extends object>(
  { events, store }: Sources,
  open: (onClose: OnClose) => Promise<T>,
): Promise<T & { close: () => Promise<void> }> {
  const closers: (() => unknown)[] = [events.close, () => store?.close()]
  /** Resolves when all is closed; rejects with the first error then. */
  const closeAll = async () => {
    const errors: unknown[] = []
    for (const close of closers.reverse())
      try {
        await close()
      } catch (error) {
        errors.push(error)
      }
    if (errors.length > 0) throw errors[0]
  }
  try {
    const opened = await open(close => void closers.push(close))
    let closing: Promise<void> | undefined
    return {
      ...opened,
      close() {
        closing ??= closeAll()
        return closing
      },
    }
  } catch (error) {
    await closeAll().catch(() => {}) // the first error is the cause
    throw error
  }
}

export interface OpenedState {
  readonly settings: Settings
  readonly audit: Audit
  readonly keys: KeyRing
  readonly keysFile: string | undefined
  readonly store: Store
  readonly servers: OtherServers
  readonly files: OptionalFiles
  readonly watched: WatchedFiles
}

/** Opens events, keys and store, and checks whether revocations were lost and other servers have the same keys. */
export async function openState(options: Sources, watched: WatchedFiles, onClose: OnClose): Promise<OpenedState> {
  const { settings, events, log, store: given } = options
  const audit = createAudit(events.record, log)
  const files = readOptionalFiles(settings, watched)
  const keysFile = keysFileOf(settings, options.keys)
  const keysAreNew =
    keysFile !== undefined &&
    settings.signingKeysFile === undefined &&
    (await ensureKeysFile(keysFile, settings.signingAlgorithm))
  if (settings.signingKeysFile !== undefined && options.keys === undefined) requireKeysFile(settings.signingKeysFile)
  const keys = await loadKeys(options.keys, keysFile)
  if (keysFile === undefined)
    try {
      for (const key of keys.all) audit.keyRotated(key, 'present')
    } catch (error) {
      log.error(`the signing keys are not recorded: ${(error as Error).message}`) // until events can be written, nothing is issued
    }
  const record =
    keysFile === undefined ? undefined : readStateRecord(keysFile, given === undefined ? settings.stateUrl : undefined)
  const store = given ?? openStore(settings, record?.isIntact === true)
  const exposure = given === undefined ? describeExposure(settings.stateUrl) : undefined
  if (exposure !== undefined) log.warn(exposure)
  if (record !== undefined) onClose(() => record.seal())
  if (given === undefined) onClose(() => store.close())
  await checkState(store, record, { keysAreNew, audit, log }).catch(error => {
    throw explainStore(error)
  })
  const servers = await joinServers(store, { keys, keysFile, log }).catch(error => {
    throw error instanceof OAuthError ? explainStore(error) : error
  })
  onClose(servers.leave)
  return { settings, audit, keys, keysFile, store, servers, files, watched }
}

async function listen(options: StartOptions, onClose: OnClose): Promise<Omit<Started, 'close'>> {
  const { settings, loadMaterial, loadClients, events, log, exposures, routes, playThefts } = options
  const watched = watchFiles()
  const material = watched.load(fileNames.tls, loadMaterial)
  const registrations = watched.load(fileNames.clients, loadClients)
  const opsToken = settings.opsPort === 0 ? undefined : ensureOpsToken(settings.opsTokenFile)
  const opened = await openState(options, watched, onClose)
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

export function listenFor(probes: Server, { probeHost: host, probePort: port }: Settings): Promise<void> {
  return new Promise((resolve, reject) => void probes.once('error', reject).listen({ host, port }, resolve))
}

export function closeProbes(probes: Server): Promise<void> {
  return new Promise(resolve => {
    probes.close(() => resolve())
    probes.closeAllConnections()
  })
}

/** Follows the file of the signing keys and all other files. Returns the function that reloads them. */
export function followFiles(
  { settings, keysFile, keys, audit, servers, watched }: OpenedState,
  events: Events,
  reloadFiles: Reload,
  onClose: OnClose,
  log: FastifyBaseLogger,
  onReplace?: WatchOptions['onReplace'],
): () => Promise<readonly Reloaded[]> {
  const watch =
    keysFile === undefined ? undefined : watchKeys(keysFile, keys, { settings, audit, servers, log, onReplace })
  if (watch !== undefined) onClose(watch.stop)
  const fail = (error: unknown) => logError(log, error, 'unhandled error while files are loaded again')
  onClose(followChanges(watched, reloadFiles, fail))
  return async () => {
    let reloaded: readonly Reloaded[] = []
    const load = async () => {
      reloaded = await reloadFiles()
    }
    for (const step of [events.followRename, watch?.poll, load])
      try {
        await step?.()
      } catch (error) {
        fail(error)
      }
    return reloaded
  }
}

/** @throws FileProblem that names the setting if the file does not exist: only the default file is created. */
function requireKeysFile(path: string): void {
  if (!isMissing(path)) return
  throw new FileProblem(path, {
    found: 'there is no such file (ENOENT)',
    remedy:
      `copy the file of another server here, or create it: tlsbound keys create ${quoteForShell(path)} ` +
      '(TLSBOUND_SIGNING_KEYS_FILE, settings.signingKeysFile)',
  })
}

function isMissing(path: string): boolean {
  try {
    return statSync(path, { throwIfNoEntry: false }) === undefined
  } catch {
    return false // its reader explains why it cannot be read
  }
}

async function loadKeys(given: readonly TokenJwk[] | undefined, file: string | undefined): Promise<KeyRing> {
  const now = Date.now() / 1000
  if (file !== undefined) return loadKeyRing(file, now)
  return createKeyRing(await importSigningKeys((given ?? []).map(parseTokenJwk)), now)
}

/** Checks whether earlier revocations were lost, and whether the store works. Rejects as the store does. */
async function checkState(
  store: Store,
  record: StateRecord | undefined,
  { keysAreNew, audit, log }: { keysAreNew: boolean; audit: Audit; log: FastifyBaseLogger },
): Promise<void> {
  // Before anything is written to it, the check too: its position must still be that of the last run.
  if (record !== undefined)
    await watchState(record, store, {
      keysAreNew,
      async onLoss(sentence) {
        log.warn(`${sentence}. Revoked tokens could be accepted again, so all tokens issued before now are revoked`)
        await revoke(undefined, 'all', '', { store, audit, now: () => Math.floor(Date.now() / 1000) }, 'state')
      },
      report: problem =>
        log.warn(`${problem}: a state that is lost is noticed only when it is new, a key that was added is not`),
    })
  await store.check()
}

interface WatchParts extends Pick<WatchOptions, 'onReplace'> {
  readonly settings: Settings
  readonly audit: Audit
  /** Default: no other server uses the keys. */
  readonly servers?: OtherServers
  readonly log: FastifyBaseLogger
}

/** Follows the file of the signing keys: reads it again when it changes, and rotates keys that were generated. */
export function watchKeys(file: string, ring: KeyRing, { settings, audit, servers, log, onReplace }: WatchParts) {
  const isOwn = settings.signingKeysFile === undefined
  return watchKeysFile(file, ring, {
    // A file of the settings may be that of several servers, one of which may be down when another one rotates its keys.
    ...(!isOwn && { record: dataFile(`${basename(file)}.seen-${settings.port}`, settings.dataDir) }),
    clock: Date.now,
    maximumAge: isOwn && settings.signingKeyMaxAge > 0 ? settings.signingKeyMaxAge : undefined,
    mayRotate: servers?.shareKeysFile,
    algorithm: settings.signingAlgorithm,
    report: problem => log.error(problem),
    onReplace,
    onChange(key, change) {
      audit.keyRotated(key, change)
      const isExpected = change !== 'removed' && change !== 'changed'
      log[isExpected ? 'info' : 'warn'](`signing key ${key.kid}: ${change}`)
    },
  })
}

/** Returns the TCP connections of a server, including those in their handshake. */
export function trackSockets({ server }: FastifyInstance): ReadonlySet<Socket> {
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  return sockets
}

/** Listens on the socket of the settings, if there is one, which was prepared. */
export async function listenForProxies(
  app: FastifyInstance,
  tls: MutualTls,
  { proxySocket }: Settings,
): Promise<Server | undefined> {
  if (proxySocket === undefined) return undefined
  const server = tls.createProxyServer(app.server)
  await listenOnSocket(server, proxySocket)
  return server
}

/** Closes a server: open requests are answered; connections still open after `shutdownTimeout` are destroyed. `proxies`: also this one. */
export async function closeInTime(
  app: FastifyInstance,
  tls: MutualTls,
  sockets: ReadonlySet<Socket>,
  proxies?: Server,
): Promise<void> {
  // Node closes idle connections once when it closes; one that becomes idle later must not delay the end.
  const idle = setInterval(() => {
    app.server.closeIdleConnections()
    proxies?.closeIdleConnections()
  }, 100)
  const deadline = setTimeout(() => {
    for (const { socket } of tls.connections) socket.destroy()
    for (const socket of sockets) socket.destroy()
    proxies?.closeAllConnections()
  }, shutdownTimeout)
  const proxiesClosed = new Promise<void>(resolve =>
    proxies === undefined ? resolve() : proxies.close(() => resolve()),
  )
  try {
    await app.close()
    await proxiesClosed
  } finally {
    clearInterval(idle)
    clearTimeout(deadline)
  }
}

/** Opens the store that the address names. @throws Error with one sentence. */
function openStore(settings: Settings, isIntact: boolean): Store {
  const { stateUrl: url } = settings
  const path = /^sqlite:(.+)$/s.exec(url)?.[1]
  if (path !== undefined && path !== ':memory:') mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  return path === undefined
    ? openPostgres(url, { findPassword: storePasswordOf(settings) })
    : openSqlite(path, { isIntact })
}

/** Returns an error with one sentence that says why the store cannot be used. */
function explainStore(error: Error): Error {
  const reason = error.cause instanceof Error ? error.cause.message : error.message
  return new Error(`the store cannot be used: ${reason}`)
}
