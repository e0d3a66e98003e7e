// Opens what a server needs before it listens: events, signing keys and the store.
import { mkdirSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import type { FastifyBaseLogger } from 'fastify'
import type { Events } from '../audit/open.ts'
import type { Registrations } from '../core/client.ts'
import { OAuthError } from '../core/errors.ts'
import type { Steps } from '../core/steps.ts'
import { FileProblem, quoteForShell } from '../files/file-problem.ts'
import { createKeyRing, type KeyRing } from '../keys/key-ring.ts'
import { importSigningKeys, parseTokenJwk, type TokenJwk } from '../keys/token-keys.ts'
import { revoke } from '../ops/revocations.ts'
import { type Audit, createAudit } from '../server/record-events.ts'
import { dataFile, type Settings } from '../settings/settings.ts'
import { openPostgres } from '../store/postgres.ts'
import { describeExposure } from '../store/postgres-exposure.ts'
import { openLoaded, openSqlite } from '../store/sqlite.ts'
import { beginLoading, type Loading } from '../store/sqlite-loading.ts'
import type { Store } from '../store/store.ts'
import type { Exposure } from './exposures.ts'
import { joinServers, type OtherServers } from './other-servers.ts'
import { ensureKeysFile, loadKeyRing } from './signing-keys.ts'
import { readStateRecord, type StateRecord, watchState } from './state-record.ts'
import { storePasswordOf } from './store-password.ts'
import type { WatchedFiles } from './watched-files.ts'
import { type OptionalFiles, readOptionalFiles } from './wire.ts'

/** The sources of an issuer, on its own listener or in another app. */
export interface Sources {
  readonly settings: Settings
  /** Called at the start and with each reload. */
  readonly loadClients: () => Steps<Registrations>
  /** Default: those of the file of the settings. */
  readonly keys?: readonly TokenJwk[] | undefined
  /** Default: the one that the settings name. Closed with the server, and when the start fails. */
  readonly store?: Store | undefined
  readonly events: Events
  readonly log: FastifyBaseLogger
  /** Exposures of secrets; each is logged. */
  readonly exposures: readonly Exposure[]
}

export type OnClose = (close: () => unknown) => void

/** The file of the signing keys in use; undefined: the keys are in no file. */
export function keysFileOf({ signingKeysFile, dataDir }: Settings, keys?: readonly TokenJwk[]): string | undefined {
  return keys === undefined ? (signingKeysFile ?? dataFile('signing-keys.json', dataDir)) : undefined
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

/**
 * Begins to load a large state, while the caller loads its own files. Returns the function that opens events, keys and store, and
 * checks whether revocations were lost and other servers have the same keys.
 */
export function beginState(options: Sources, onClose: OnClose): (watched: WatchedFiles) => Promise<OpenedState> {
  const keysFile = keysFileOf(options.settings, options.keys)
  const url = options.store === undefined ? options.settings.stateUrl : undefined
  const record = keysFile === undefined ? undefined : readStateRecord(keysFile, url)
  const path = url === undefined ? undefined : sqlitePathOf(url)
  const loading = path === undefined ? undefined : tryLoading(path, record?.isIntact === true, onClose)
  return watched => openState(options, watched, onClose, { keysFile, record, loading })
}

/** Begins to load the file. Undefined also for one that is unusable, or still in use: opening it later explains that. */
function tryLoading(path: string, isIntact: boolean, onClose: OnClose): Loading | undefined {
  try {
    const loading = beginLoading(path, isIntact)
    if (loading !== undefined) onClose(loading.cancel)
    return loading
  } catch {
    return undefined
  }
}

interface Begun {
  readonly keysFile: string | undefined
  readonly record: StateRecord | undefined
  readonly loading: Loading | undefined
}

async function openState(
  options: Sources,
  watched: WatchedFiles,
  onClose: OnClose,
  { keysFile, record, loading }: Begun,
): Promise<OpenedState> {
  const { settings, events, log, store: given } = options
  const audit = createAudit(events.record, log)
  const files = readOptionalFiles(settings, watched)
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
  const store = given ?? (await openStore(settings, record?.isIntact === true, loading))
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

/** Opens the store that the address names. @throws Error with one sentence. */
function openStore(settings: Settings, isIntact: boolean, loading: Loading | undefined): Store | Promise<Store> {
  const { stateUrl: url } = settings
  const path = sqlitePathOf(url)
  if (path !== undefined && loading !== undefined) return openLoaded(path, loading)
  if (path !== undefined && path !== ':memory:') mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  return path === undefined
    ? openPostgres(url, { findPassword: storePasswordOf(settings) })
    : openSqlite(path, { isIntact })
}

function sqlitePathOf(url: string): string | undefined {
  return /^sqlite:(.+)$/s.exec(url)?.[1]
}

/** Returns an error with one sentence that says why the store cannot be used. */
function explainStore(error: Error): Error {
  const reason = error.cause instanceof Error ? error.cause.message : error.message
  return new Error(`the store cannot be used: ${reason}`)
}
