// Reloads files while the server runs: TLS, clients, trusted issuers, webhooks, leak reporters' keys, and routes. Each is replaced
// completely or not at all. The log explains a failure, and the old content stays in use.
import type { Notifier } from '../notify/notifier.ts'
import { revoke } from '../ops/revocations.ts'
import type { OutsideIssuers } from '../server/grants/trusted-issuers.ts'
import type { ServerOptions } from '../server/parts.ts'
import type { TlsMaterial } from '../tls/options.ts'
import type { Retired } from '../tls/retirement.ts'
import { readGatewayFile, readTrustedIssuersFile, readWebhooksFile } from './files.ts'
import { reportTrust, warningDaysOf } from './trust-report.ts'
import { ofIssuer } from './wire.ts'

/** What was loaded and is in use; undefined: what was in use before stays. */
export interface Loaded {
  material: TlsMaterial | undefined
  registrations: readonly object[] | undefined
}

export interface ReloadParts extends ServerOptions {
  /** Default: the listener stays as it is. */
  readonly loadMaterial?: (() => TlsMaterial) | undefined
  /** Default: the clients stay as they are. */
  readonly loadClients?: (() => readonly object[]) | undefined
  /** Called with what is in use, when all files are loaded and before tokens of changed clients are revoked. Never rejects. */
  readonly onLoaded?: ((loaded: Loaded) => Promise<void>) | undefined
  /** Whether tokens of changed clients are revoked. Default true. */
  readonly revokeChanged?: boolean
  readonly outsideIssuers: OutsideIssuers
  readonly notifier?: Pick<Notifier, 'replace'>
}

/** Describes how many live connections end because the trusted authorities or lists have changed. */
export function describeRetired({ revoked, retired }: Retired): string {
  const others = `${retired} other live connections end within a minute, so that a new handshake verifies their certificate`
  return revoked === 0 ? others : `${revoked} live connections are closed, their certificate was revoked; ${others}`
}

/** Returns a function that reloads once and never rejects. */
export function createReload(parts: ReloadParts): () => Promise<void> {
  const { settings, tls, clients, outsideIssuers, notifier, gateway, leakKeys, log, clock } = parts
  const { loadMaterial, loadClients } = parts
  const { trustedIssuersFile, webhooksFile, gatewayFile, issuer } = settings
  const now = () => Math.floor(clock() / 1000)
  /** Clients whose registration has changed, so that their earlier tokens must be revoked. */
  const changed = new Set<string>()

  function load(what: string, files: () => void): void {
    try {
      files()
      log.info(`${what} were loaded again`)
    } catch (error) {
      log.error(`${what} stay as they were: ${(error as Error).message}`)
    }
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

  return async () => {
    const loaded: Loaded = { material: undefined, registrations: undefined }
    if (loadMaterial !== undefined)
      load('certificates, authorities and revocation lists', () => {
        const material = loadMaterial()
        const { revoked, retired } = tls.reload(material)
        loaded.material = material
        reportTrust(log, tls.inUse(), clock(), warningDaysOf(settings))
        if (revoked + retired > 0) log.info(describeRetired({ revoked, retired }))
      })
    if (loadClients !== undefined)
      load('clients', () => {
        const registrations = loadClients()
        for (const id of clients.replaceFile(registrations)) changed.add(id)
        loaded.registrations = registrations
      })
    if (trustedIssuersFile !== undefined)
      load('trusted issuers', () => outsideIssuers.replace(readTrustedIssuersFile(trustedIssuersFile, issuer)))
    if (leakKeys?.reload !== undefined) load('keys of leak reporters', leakKeys.reload)
    if (webhooksFile !== undefined) load('webhooks', () => notifier?.replace(readWebhooksFile(webhooksFile)))
    if (gatewayFile !== undefined)
      load('routes of the gateway', () => gateway?.replace(readGatewayFile(gatewayFile, ofIssuer)))
    await parts.onLoaded?.(loaded)
    if (parts.revokeChanged !== false) await revokeChanged()
  }
}
