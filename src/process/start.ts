// Starts one server: keys → store → wiring → listeners → reload, close. The program and `tlsbound/server` share it. It installs no
// signal handler, and never ends the process.
import { mkdirSync } from 'node:fs'
import type { Socket } from 'node:net'
import { dirname } from 'node:path'
import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import type { Events } from '../audit/open.ts'
import { createKeyRing, type KeyRing } from '../keys/key-ring.ts'
import { importSigningKeys, readTokenJwk, type TokenJwk } from '../keys/token-keys.ts'
import type { Metrics } from '../ops/metrics/metrics.ts'
import type { OpsOptions } from '../ops/parts.ts'
import { revoke } from '../ops/revocations.ts'
import type { ServerOptions } from '../server/parts.ts'
import { type Audit, createAudit } from '../server/record-events.ts'
import type { Settings } from '../settings/settings.ts'
import { openPostgres } from '../store/postgres.ts'
import { openSqlite } from '../store/sqlite.ts'
import type { Store } from '../store/store.ts'
import type { MutualTls } from '../tls/mutual-tls.ts'
import type { TlsMaterial } from '../tls/options.ts'
import type { Exposure } from './exposures.ts'
import { ensureOpsToken } from './files.ts'
import { tellExposures } from './production.ts'
import { createReload, describeRetired } from './reload.ts'
import { ensureKeysFile, loadKeyRing, watchKeysFile } from './signing-keys.ts'
import { readStateRecord, type StateRecord, watchState } from './state-record.ts'
import { reportTrust, warningDaysOf } from './trust-report.ts'
import { readOptionalFiles, wireServer } from './wire.ts'

/** Milliseconds that requests under way have to end when a server closes. */
export const shutdownTimeout = 8000

export interface StartOptions extends Pick<ServerOptions, 'routes'>, Pick<OpsOptions, 'playThefts'> {
  readonly settings: Settings
  /** Called at the start and with each reload. */
  readonly loadMaterial: () => TlsMaterial
  readonly loadClients: () => readonly object[]
  /** Default: those of the file of the settings. */
  readonly keys?: readonly TokenJwk[] | undefined
  /** Default: the one that the settings name. Closed with the server, and when the start fails. */
  readonly store?: Store | undefined
  readonly events: Events
  readonly log: FastifyBaseLogger
  /** What lets secrets out; each is logged. */
  readonly exposures: readonly Exposure[]
}

export interface Started {
  readonly app: FastifyInstance
  readonly ops: FastifyInstance | undefined
  readonly metrics: Metrics
  /** Loads the files again. Never rejects: what cannot be used is logged, and what was in use stays. */
  reload(): Promise<void>
  /** Stops listening, answers the requests under way, closes the rest after `shutdownTimeout`, and then store and events. */
  close(): Promise<void>
}

/** The file of the signing keys in use; undefined: the keys are in no file. */
export function keysFileOf({ signingKeysFile }: Settings, keys?: readonly TokenJwk[]): string | undefined {
  return keys === undefined ? (signingKeysFile ?? 'data/signing-keys.json') : undefined
}

/** Starts a server, which then listens. Rejects with all that is wrong; then nothing is left open. */
export async function startProcess(options: StartOptions): Promise<Started> {
  const closers: (() => unknown)[] = []
  /** Closes everything, last opened first. Resolves when all is closed; rejects with the first error then. */
  const closeAll = async () => {
    const errors: unknown[] = []
    for (const close of closers.splice(0).reverse())
      try {
        await close()
      } catch (error) {
        errors.push(error)
      }
    if (errors.length > 0) throw errors[0]
  }
  try {
    const started = await open(options, close => void closers.push(close))
    let closing: Promise<void> | undefined
    return {
      ...started,
      close() {
        closing ??= closeAll()
        return closing
      },
    }
  } catch (error) {
    await closeAll().catch(() => {}) // the cause is the first error
    throw error
  }
}

/** Opens one part after the other; `onClose` receives what closes each. */
async function open(
  { settings, loadMaterial, loadClients, events, log, exposures, ...options }: StartOptions,
  onClose: (close: () => unknown) => void,
): Promise<Omit<Started, 'close'>> {
  onClose(events.close)
  const given = options.store
  if (given !== undefined) onClose(() => given.close())
  const audit = createAudit(events.record, log)
  const material = loadMaterial()
  const registrations = loadClients()
  const files = readOptionalFiles(settings)
  const keysFile = keysFileOf(settings, options.keys)
  const ownKeys = settings.signingKeysFile === undefined
  const keysAreNew = keysFile !== undefined && ownKeys && (await ensureKeysFile(keysFile, settings.signingAlgorithm))
  const keys = await loadKeys(options.keys, keysFile)
  const opsToken = settings.opsPort === 0 ? undefined : ensureOpsToken(settings.opsTokenFile)
  const record =
    keysFile === undefined ? undefined : readStateRecord(keysFile, given === undefined ? settings.stateUrl : undefined)
  const store = given ?? openStore(settings.stateUrl, record?.isIntact === true)
  if (record !== undefined) onClose(() => record.seal())
  if (given === undefined) onClose(() => store.close())
  await checkState(store, record, { keysAreNew, audit, log }).catch(error => {
    throw explainStore(error)
  })

  const warningDays = warningDaysOf(settings)
  const { app, parts, tls, notifier, metrics, createOps } = await wireServer({
    ...{ settings, material, registrations, keys, store, files, audit, isRecording: events.isRecording, log },
    clock: Date.now,
    ...(options.routes && { routes: options.routes }),
    tls: {
      onEnd: retired => {
        log.warn(`an authority or revocation list has ended; ${describeRetired(retired)}`)
        reportTrust(log, tls.inUse(), Date.now(), warningDays)
      },
    },
  })
  onClose(() => notifier.close())
  tellExposures(exposures, parts)
  const { playThefts } = options
  const ops = opsToken === undefined ? undefined : createOps({ token: opsToken, ...(playThefts && { playThefts }) })
  if (ops !== undefined) onClose(() => ops.close())
  const sockets = trackSockets(app)
  onClose(() => closeInTime(app, tls, sockets))
  await ops?.listen({ host: '127.0.0.1', port: settings.opsPort })
  await app.listen({ host: settings.host, port: settings.port })
  log.info(`listening for ${settings.issuer}`)
  reportTrust(log, tls.inUse(), Date.now(), warningDays)

  const watch = keysFile === undefined ? undefined : watchKeys(keysFile, keys, { settings, ownKeys, audit, log })
  if (watch !== undefined) onClose(watch.stop)
  const reloadFiles = createReload({ ...parts, loadMaterial, loadClients })
  const reload = async () => {
    for (const step of [events.followRename, watch?.look, reloadFiles])
      try {
        await step?.()
      } catch (error) {
        log.error({ err: error }, 'unhandled error while files are loaded again')
      }
  }
  return { app, ops, metrics, reload }
}

async function loadKeys(given: readonly TokenJwk[] | undefined, file: string | undefined): Promise<KeyRing> {
  const now = Date.now() / 1000
  if (file !== undefined) return loadKeyRing(file, now)
  return createKeyRing(await importSigningKeys((given ?? []).map(readTokenJwk)), now)
}

/** Finds out whether revocations of before were lost, and whether the store can be used. Rejects as the store does. */
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

function watchKeys(
  file: string,
  ring: KeyRing,
  { settings, ownKeys, audit, log }: { settings: Settings; ownKeys: boolean; audit: Audit; log: FastifyBaseLogger },
) {
  return watchKeysFile(file, ring, {
    clock: Date.now,
    maximumAge: ownKeys && settings.signingKeyMaxAge > 0 ? settings.signingKeyMaxAge : undefined,
    algorithm: settings.signingAlgorithm,
    report: problem => log.error(problem),
    onChange(key, change) {
      audit.keyRotated(key, change)
      const isExpected = change !== 'removed' && change !== 'changed'
      log[isExpected ? 'info' : 'warn'](`signing key ${key.kid}: ${change}`)
    },
  })
}

/** The TCP connections of a server, those in their handshake too. */
function trackSockets({ server }: FastifyInstance): ReadonlySet<Socket> {
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  return sockets
}

/** Closes a server: requests under way are answered, and what is open after `shutdownTimeout` is destroyed. */
async function closeInTime(app: FastifyInstance, tls: MutualTls, sockets: ReadonlySet<Socket>): Promise<void> {
  // Node closes idle connections once when it closes; one that becomes idle later must not delay the end.
  const idle = setInterval(() => app.server.closeIdleConnections(), 100)
  const deadline = setTimeout(() => {
    for (const { socket } of tls.connections) socket.destroy()
    for (const socket of sockets) socket.destroy()
  }, shutdownTimeout)
  try {
    await app.close()
  } finally {
    clearInterval(idle)
    clearTimeout(deadline)
  }
}

/** Opens the store that the address names. @throws Error with one sentence. */
function openStore(url: string, isIntact: boolean): Store {
  const path = /^sqlite:(.+)$/s.exec(url)?.[1]
  if (path !== undefined && path !== ':memory:') mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  return path === undefined ? openPostgres(url) : openSqlite(path, { isIntact })
}

/** Returns an error with one sentence that says why the store cannot be used. */
function explainStore(error: Error): Error {
  const reason = error.cause instanceof Error ? error.cause.message : error.message
  return new Error(`the store cannot be used: ${reason}`)
}
