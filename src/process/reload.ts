// Reloads files while the server runs: TLS, clients, trusted issuers, webhooks, leak reporters' keys, and routes. Each is replaced
// completely or not at all, by a signal, a command, or because its file has changed. The log explains a failure, and the old content
// stays in use.
import type { FastifyBaseLogger } from 'fastify'
import {
  type CertificateProxy,
  requireCertificateProxies,
  requireNoClient,
  requireSocketEntry,
} from '../core/certificate-proxy.ts'
import { parseRegistrationsInSteps, type Registrations } from '../core/client.ts'
import { guarded } from '../core/guard.ts'
import { oneStep, type Steps } from '../core/steps.ts'
import type { Notifier } from '../notify/notifier.ts'
import { revoke } from '../ops/revocations.ts'
import { requireKeys } from '../server/clients/token-format.ts'
import type { OutsideIssuers } from '../server/grants/trusted-issuers.ts'
import type { ServerOptions } from '../server/parts.ts'
import type { TlsMaterial } from '../tls/options.ts'
import type { Retired } from '../tls/retirement.ts'
import { readGatewayFile, readTrustedIssuersFile, readWebhooksFile } from './files.ts'
import { reportTrust, warningDaysOf } from './trust-report.ts'
import { fileNames, pollInterval, type WatchedFiles, watchFiles } from './watched-files.ts'
import { ofIssuer } from './wire.ts'

/** What was loaded and is in use; undefined: what was in use before stays. */
export interface Loaded {
  material: TlsMaterial | undefined
  registrations: Registrations | undefined
}

const nothing: Readonly<Loaded> = { material: undefined, registrations: undefined }

export interface ReloadParts extends ServerOptions {
  /** Default: the listener stays as it is. */
  readonly loadMaterial?: (() => TlsMaterial) | undefined
  /** Default: the clients stay as they are. */
  readonly loadClients?: (() => Steps<Registrations>) | undefined
  /** Called with what is in use, when all files are loaded and before tokens of changed clients are revoked. Never rejects. */
  readonly onLoaded?: ((loaded: Loaded, only: readonly string[] | undefined) => Promise<void>) | undefined
  /** Whether tokens of changed clients are revoked. Default true. */
  readonly revokeChanged?: boolean
  readonly outsideIssuers: OutsideIssuers
  readonly notifier?: Pick<Notifier, 'replace'>
  /** Remembers which files were loaded. */
  readonly watched?: WatchedFiles
}

/** What a reload did with some of the files. */
export interface Reloaded {
  /** Such as `clients`. */
  readonly files: string
  /** Why the old content stays in use; undefined: the new one is in use. */
  readonly problem?: string | undefined
}

/** Reloads the files of these names; undefined: all. Never rejects. */
export type Reload = (only?: readonly string[]) => Promise<readonly Reloaded[]>

/** Describes how many live connections end because the trusted authorities or lists have changed. */
export function describeRetired({ revoked, retired }: Retired): string {
  const others = `${retired} other live connections end within a minute, so that a new handshake verifies their certificate`
  return revoked === 0 ? others : `${revoked} live connections are closed, their certificate was revoked; ${others}`
}

/** Puts certificate, authorities, revocation lists and proxies into use. `check`: another check of the proxies. @throws Error before that */
export function reloadTls(
  material: TlsMaterial,
  { tls, settings, log, clock }: Pick<ReloadParts, 'tls' | 'settings' | 'log' | 'clock'>,
  check: (proxies: readonly CertificateProxy[]) => void = () => {},
): void {
  const proxies = requireCertificateProxies(material.clientCertFrom)
  requireSocketEntry(proxies, settings.proxySocket)
  check(proxies)
  const { revoked, retired } = tls.reload(material)
  reportTrust(log, tls.inUse(), clock(), warningDaysOf(settings))
  if (revoked + retired > 0) log.info(describeRetired({ revoked, retired }))
}

/** Returns a function that loads the files of some names, or all, and logs what it does. `work`: what loads the files of each name. */
export function createLoader(
  work: ReadonlyMap<string, () => Steps<void>>,
  watched: WatchedFiles,
  log: FastifyBaseLogger,
): Reload {
  const problems = new Map<string, string>()
  async function load(files: string, isWatched: boolean): Promise<Reloaded> {
    try {
      await watched.loadInSteps(files, (work.get(files) as () => Steps<void>)())
      problems.delete(files)
      log.info(`${files} were loaded again`)
      return { files }
    } catch (error) {
      const problem = (error as Error).message
      if (!isWatched || problems.get(files) !== problem) log.error(`${files} stay as they were: ${problem}`)
      problems.set(files, problem)
      return { files, problem }
    }
  }
  return async only => {
    const names = [...work.keys()].filter(files => only?.includes(files) !== false)
    const reloaded: Reloaded[] = []
    for (const files of names) reloaded.push(await load(files, only !== undefined))
    return reloaded
  }
}

/** Returns a function that reloads, and logs what it does. A failure of files that is known already is not logged again if `only` has them. */
export function createReload(parts: ReloadParts): Reload {
  const { settings, tls, clients, outsideIssuers, notifier, gateway, leakKeys, log, clock } = parts
  const { loadMaterial, loadClients, watched = watchFiles() } = parts
  const { trustedIssuersFile, webhooksFile, gatewayFile, issuer } = settings
  const now = () => Math.floor(clock() / 1000)
  /** Clients whose registration has changed, so that their earlier tokens must be revoked. */
  const changed = new Set<string>()
  let loaded: Loaded = { ...nothing }

  const work = new Map<string, () => Steps<void>>()
  const add = (files: string, load: () => void) => void work.set(files, () => oneStep(load))
  if (loadMaterial !== undefined)
    add(fileNames.tls, () => {
      const material = loadMaterial()
      reloadTls(material, parts, proxies => requireNoClient(proxies, clients.known))
      loaded.material = material
    })
  if (loadClients !== undefined)
    work.set(fileNames.clients, function* () {
      const registrations = yield* parseRegistrationsInSteps(yield* loadClients(), settings.audience)
      yield
      requireNoClient(tls.inUse().proxies, registrations.clients.values())
      yield
      if (parts.keysChecked !== true) requireKeys(findNew(registrations.list), parts.keys, now())
      for (const id of yield* clients.replaceInSteps(registrations)) changed.add(id)
      loaded.registrations = registrations
    })
  if (trustedIssuersFile !== undefined)
    add(fileNames.issuers, () => outsideIssuers.replace(readTrustedIssuersFile(trustedIssuersFile, issuer)))
  if (leakKeys?.reload !== undefined) add(fileNames.leakKeys, leakKeys.reload)
  if (webhooksFile !== undefined) add(fileNames.webhooks, () => notifier?.replace(readWebhooksFile(webhooksFile)))
  if (gatewayFile !== undefined) add(fileNames.gateway, () => gateway?.replace(readGatewayFile(gatewayFile, ofIssuer)))

  /**
   * Returns the registrations whose format needs a key and did not before. That a key was removed must not prevent that another client
   * is removed too.
   */
  function findNew(list: readonly object[]): object[] {
    const issued = new Set(clients.known.filter(({ format }) => format === 'paseto').map(({ id }) => id))
    return list.filter(entry => !issued.has((entry as { readonly client_id: string }).client_id))
  }

  /** Revokes the tokens of these clients. A failed revocation is retried with the next reload. */
  async function revokeChanged(): Promise<void> {
    for (const id of changed)
      try {
        await revoke(undefined, 'client', id, { ...parts, now })
        changed.delete(id)
        log.info(`client ${id} has changed or was removed: its tokens are revoked`)
      } catch {
        log.error(`the tokens of client ${id} could not be revoked: send SIGHUP again when the store responds`)
      }
  }

  const loadAgain = createLoader(work, watched, log)
  async function reload(only: readonly string[] | undefined): Promise<readonly Reloaded[]> {
    loaded = { ...nothing }
    const reloaded = await loadAgain(only)
    await parts.onLoaded?.(loaded, only)
    loaded = nothing
    return reloaded
  }

  /** One after the other: a later one must not be overtaken by an earlier one, which has read older files. None waits for the store. */
  let last: Promise<unknown> = Promise.resolve()
  return async only => {
    const next = last.then(() => reload(only))
    last = next.catch(() => {})
    const reloaded = await next
    if (parts.revokeChanged !== false) await revokeChanged()
    return reloaded
  }
}

/** Reloads changed files at intervals, by the same path as a reload of all. Returns the function that stops it. */
export function followChanges(watched: WatchedFiles, reload: Reload, onError: (error: unknown) => void): () => void {
  let isBusy = false
  const look = async () => {
    const due = isBusy ? [] : watched.poll()
    if (due.length === 0) return
    isBusy = true
    await reload(due).finally(() => {
      isBusy = false
    })
  }
  const timer = setInterval(guarded(look, onError), pollInterval).unref()
  return () => clearInterval(timer)
}
