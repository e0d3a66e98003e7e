// The server process, a wiring diagram: settings → files → store → server → listen → reload, close.
import './check-node.js'
import './no-debugger.js'
import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { type Logger, pino } from 'pino'
import { openEvents } from '../audit/open.ts'
import { guardedWithLog } from '../core/guard.ts'
import { createNotifier } from '../notify/notifier.ts'
import { createMetrics } from '../ops/metrics/metrics.ts'
import { watchRuntime } from '../ops/metrics/runtime.ts'
import { revoke } from '../ops/revocations.ts'
import { createOpsServer } from '../ops/server.ts'
import { ClientRegistry } from '../server/clients/registry.ts'
import { createOutsideIssuers } from '../server/grants/trusted-issuers.ts'
import { createAudit } from '../server/record-events.ts'
import { createServer } from '../server/server.ts'
import { readSettings } from '../settings/settings.ts'
import { openPostgres } from '../store/postgres.ts'
import { openSqlite } from '../store/sqlite.ts'
import type { Store } from '../store/store.ts'
import { demoRegistrations, describeDemo, ensureDemoPki } from './demo.ts'
import { demoThefts } from './demo-thefts.ts'
import {
  ensureOpsToken,
  openReporterKeys,
  readClientsFile,
  readTlsFiles,
  readTrustedIssuersFile,
  readWebhooksFile,
} from './files.ts'
import { createListener } from './listener.ts'
import { guardSecrets, tellExposures } from './production.ts'
import { createReload, describeRetired } from './reload.ts'
import { ensureKeysFile, loadKeyRing, watchKeysFile } from './signing-keys.ts'
import { readStateRecord, watchState } from './state-record.ts'
import { reportTrust, warningDaysOf } from './trust-report.ts'

/** Milliseconds that requests under way have to end. */
const longestGoodbye = 8000

/**
 * Starts the server with the settings of the environment. `otherVariables` are TLSBOUND_ variables that are no settings.
 * Rejects, before anything listens, with all that is wrong.
 */
export async function main(env: NodeJS.ProcessEnv, otherVariables: readonly string[] = []): Promise<void> {
  const settings = readSettings(env, otherVariables)
  const stderr = pino.destination({ dest: 2, sync: true, maxLength: 65_536 })
  stderr.on('error', () => {}) // a log that cannot be written keeps nobody from being served
  const log = pino({ level: settings.logLevel, base: null, timestamp: pino.stdTimeFunctions.isoTime }, stderr)
  // From the start on: a SIGHUP that nothing listens for ends a process.
  let isReloadDue = false
  let reloadFiles = (): void => {
    isReloadDue = true
  }
  process.on('SIGHUP', () => reloadFiles())
  const events = openEvents(settings, error => {
    if (error === undefined) log.info('security events are written again')
    else log.error({ err: error }, 'security events cannot be written: whatever would make one is refused')
  })
  const audit = createAudit(events.record, log)
  process.once('exit', events.close) // however it ends, what is only counted so far is written

  const keysFile = settings.signingKeysFile ?? 'data/signing-keys.json'
  const exposures = guardSecrets(settings, { env, execArgv: process.execArgv }, keysFile)
  if (settings.demo) for (const sentence of ensureDemoPki('certs', Date.now())) log.warn(sentence)
  const material = readTlsFiles(settings)
  const clients = settings.clientsFile === undefined ? demoRegistrations : readClientsFile(settings.clientsFile)
  const { trustedIssuersFile } = settings
  const outsideIssuers = createOutsideIssuers(
    trustedIssuersFile === undefined ? [] : readTrustedIssuersFile(trustedIssuersFile, settings.issuer),
    { onWarning: message => log.warn(message) },
  )
  const ownKeys = settings.signingKeysFile === undefined
  const keysAreNew = ownKeys && (await ensureKeysFile(keysFile, settings.signingAlgorithm))
  const keys = await loadKeyRing(keysFile, Date.now() / 1000)
  const leakKeys = openReporterKeys(settings)
  const opsToken = settings.opsPort === 0 ? undefined : ensureOpsToken(settings.opsTokenFile)
  const webhooks = readWebhooksFile(settings.webhooksFile)
  const record = readStateRecord(keysFile, settings.stateUrl)
  const store = openStore(settings.stateUrl, record.isIntact)
  // Before anything is written to it, the check too: its position must still be that of the last run.
  const watching = watchState(record, store, {
    keysAreNew,
    async onLoss(sentence) {
      log.warn(`${sentence}. Revoked tokens could be accepted again, so all tokens issued before now are revoked`)
      await revoke(undefined, 'all', '', { store, audit, now: () => Math.floor(Date.now() / 1000) }, 'state')
    },
    report: problem =>
      log.warn(`${problem}: a state that is lost is noticed only when it is new, a key that was added is not`),
  })
  await watching
    .then(() => store.check())
    .catch(async error => {
      await store.close() // its connections would keep the process alive
      throw explainStore(error)
    })
  const notifier = createNotifier(webhooks, {
    store,
    clock: Date.now,
    report: audit.notificationFailed,
    onError: error => log.error({ err: error }, 'notifications could not be sent; the next attempt follows'),
  })
  audit.observe(notifier.observe)
  const registry = new ClientRegistry(clients)

  const warningDays = warningDaysOf(settings)
  const tls = createListener(
    settings,
    { material, clients: registry, audit, log },
    {
      onEnd: retired => {
        log.warn(`an authority or revocation list has ended; ${describeRetired(retired)}`)
        reportTrust(log, tls.inUse(), Date.now(), warningDays)
      },
      onError: error => log.error({ err: error }, 'an unexpected exception has ended a connection'),
    },
  )
  const { isRecording } = events
  const metrics = createMetrics({ tls, store, isRecording, expiryWarning: warningDays * 86_400 })
  watchRuntime(metrics.registry)
  audit.observe(metrics.observe)
  const parts = {
    settings,
    tls,
    clients: registry,
    keys,
    store: metrics.store,
    outsideIssuers,
    leakKeys,
    audit,
    log,
    clock: Date.now,
    notifier,
  }
  const server = await createServer(parts)
  tellExposures(exposures, parts)
  const thefts = settings.demo ? { playThefts: demoThefts(settings) } : {}
  const opsParts = {
    ...parts,
    ...thefts,
    log: quietly(log),
    metrics,
    isRecording,
    isServing: () => server.server.listening,
  }
  const ops = opsToken === undefined ? undefined : createOpsServer({ ...opsParts, token: opsToken })
  try {
    await ops?.listen({ host: '127.0.0.1', port: settings.opsPort })
    await server.listen({ host: settings.host, port: settings.port })
    log.info(`listening for ${settings.issuer}`)
    reportTrust(log, tls.inUse(), Date.now(), warningDays)
  } catch (error) {
    for (const part of [ops, server, notifier, store]) await part?.close() // any of them would keep the process alive
    record.seal()
    throw error
  }
  if (settings.demo) process.stderr.write(describeDemo(settings))

  const lookForKeys = watchKeysFile(keysFile, keys, {
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
  const reload = createReload(parts)
  const steps = [events.followRename, lookForKeys, reload].map(step =>
    guardedWithLog(log, 'unhandled error after SIGHUP', step),
  )
  reloadFiles = () => {
    for (const step of steps) step()
  }
  if (isReloadDue) reloadFiles()
  const close = async (signal: string) => {
    log.info(`${signal}: answering what is under way, then closing`)
    // Node looks for idle connections once when it closes; one that falls idle later, or never speaks, must not hold us.
    const idle = setInterval(() => server.server.closeIdleConnections(), 100)
    setTimeout(() => process.exit(0), longestGoodbye).unref()
    await server.close()
    await ops?.close()
    await notifier.close()
    clearInterval(idle)
    await store.close()
    record.seal()
  }
  for (const signal of ['SIGTERM', 'SIGINT'] as const)
    process.once(signal, guardedWithLog(log, 'unhandled error while the server closes', close))
}

/** Without the line about where it listens, which would come before we know that the server can start. */
function quietly(log: Logger): Logger {
  return log.isLevelEnabled('warn') ? log.child({}, { level: 'warn' }) : log
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
