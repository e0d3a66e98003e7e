// The server process, a wiring diagram: settings → files → store → server → listen → reload, close.
import './check-node.js'
import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { pino } from 'pino'
import { demoClients, describeDemo, ensureDemoPki, refuseDemoInProduction } from './demo.ts'
import { readClientsFile, readSigningKeys, readTlsFiles } from './files.ts'
import { createAudit } from './http/audit.ts'
import { mutualTls } from './http/mutual-tls.ts'
import { createServer } from './http/server.ts'
import { readSettings } from './settings.ts'
import { openSqlite } from './store/sqlite.ts'

/** Milliseconds that requests under way have to end. */
const longestGoodbye = 8000

/** Starts the server by the environment. Rejects, before anything listens, with all that is wrong. */
export async function main(env: NodeJS.ProcessEnv): Promise<void> {
  const settings = readSettings(env)
  const log = pino(
    { level: settings.logLevel, base: null, timestamp: pino.stdTimeFunctions.isoTime },
    pino.destination(2),
  )
  const audit = createAudit(pino.destination({ dest: settings.auditFile ?? 1, sync: true, append: true, mkdir: true }))

  if (settings.demo) ensureDemoPki()
  const material = readTlsFiles(settings)
  refuseDemoInProduction(material, env)
  const clients = settings.clientsFile === undefined ? demoClients() : readClientsFile(settings.clientsFile)
  const signingKeys = await readSigningKeys(
    settings.signingKeysFile ?? 'data/signing-keys.json',
    settings.signingKeysFile === undefined,
    settings.signingAlgorithm,
  )
  const database = settings.stateUrl.replace('sqlite:', '')
  if (database !== ':memory:') mkdirSync(dirname(database), { recursive: true, mode: 0o700 })
  const store = openSqlite(database)

  const tls = mutualTls({
    ...material,
    minVersion: settings.tlsMinVersion,
    http2: settings.http2,
    dropUnacceptable: settings.tlsDropUnacceptable,
    maximumAge: settings.connectionMaxAge,
    onDrop: audit.connectionRefused,
  })
  const now = () => Math.floor(Date.now() / 1000)
  const server = await createServer({ settings, tls, clients, signingKeys, store, audit, log, now })
  if (settings.unsafeTokenCookie) {
    log.warn('TLSBOUND_UNSAFE_TOKEN_COOKIE is on: tokens are taken from cookies')
    audit.settingsUnsafe('TLSBOUND_UNSAFE_TOKEN_COOKIE')
  }
  await server.listen({
    host: settings.host,
    port: settings.port,
    listenTextResolver: () => `listening for ${settings.issuer}`,
  })
  if (settings.demo) process.stderr.write(describeDemo(settings))

  process.on('SIGHUP', () => {
    try {
      tls.reload(readTlsFiles(settings))
      log.info('certificates, authorities and revocation lists were loaded again')
    } catch (error) {
      log.error(`nothing was loaded, the old files stay in use: ${(error as Error).message}`)
    }
  })
  for (const signal of ['SIGTERM', 'SIGINT'] as const)
    process.once(signal, () => {
      log.info(`${signal}: answering what is under way, then closing`)
      // Node looks for idle connections once when it closes; one that falls idle later, or never speaks, must not hold us.
      const idle = setInterval(() => server.server.closeIdleConnections(), 100)
      setTimeout(() => process.exit(0), longestGoodbye).unref()
      server.close().then(() => {
        clearInterval(idle)
        store.close()
      })
    })
}
