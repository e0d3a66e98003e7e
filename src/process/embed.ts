// `import { authorizationServer, startServer } from 'tlsbound/server'`: the authorization server inside a program of others. It
// installs no signal handler, and never ends the process.
import './require-node.js'
import type { FastifyBaseLogger, FastifyInstance, FastifyPluginAsync } from 'fastify'
import fp from 'fastify-plugin'
import type { SecurityEvent } from '../audit/event.ts'
import {
  anyRule,
  findWrongOptions,
  functionRule,
  isObject,
  listRule,
  objectRule,
  type Rules,
} from '../core/check-options.ts'
import { parseClients, type Registrations } from '../core/client.ts'
import type { Steps } from '../core/steps.ts'
import { parseTokenJwk, type TokenJwk } from '../keys/token-keys.ts'
import { embedServer, type RequireOwnToken } from '../server/server.ts'
import { checkSettings, type Settings, SettingsError, type SettingsInput } from '../settings/settings.ts'
import type { Store } from '../store/store.ts'
import type { MutualTls } from '../tls/listener-options.ts'
import { materialRules, optionalMaterialRules, parseMaterial, type TlsMaterial } from '../tls/options.ts'
import { openSink } from './event-sink.ts'
import { readClientsInSteps, readTlsFiles } from './files.ts'
import { createLog } from './log.ts'
import { keysFileOf } from './open-state.ts'
import { enforceProductionMode } from './production.ts'
import { openIssuer, startProcess } from './start.ts'

export { generateTokenKey, type TokenJwk } from '../keys/token-keys.ts'
export type { SettingsInput } from '../settings/settings.ts'
export { openPostgres, type PostgresOptions } from '../store/postgres.ts'
export type { PostgresTarget } from '../store/postgres-password.ts'
export { openSqlite, type SqliteOptions } from '../store/sqlite.ts'
export {
  type Change,
  type ClientRecord,
  type ClientSecret,
  ConflictError,
  type Grant,
  type KnownRefreshToken,
  type KnownServer,
  type Note,
  type Notification,
  type Rebinding,
  type Refresh,
  type RefreshUse,
  type ServerRecord,
  type ServersFound,
  type SpooledNotification,
  type StateIdentity,
  type Store,
  type Successor,
} from '../store/store.ts'

interface IssuerOptions {
  /** Client registrations, in place of `settings.clientsFile`; a function is called again by each reload. */
  readonly clients?: readonly object[] | (() => readonly object[])
  /** Private signing keys, in place of `settings.signingKeysFile`. They are not rotated. */
  readonly keys?: readonly TokenJwk[]
  /** In place of `settings.stateUrl`. The server closes it. */
  readonly store?: Store
  /**
   * Receives each security event before the answer that it belongs to; what it throws makes that answer 503. With
   * `settings.auditFile` the file is written first; without, events are written nowhere else.
   */
  readonly onEvent?: (event: SecurityEvent) => void
}

export interface StartServerOptions extends IssuerOptions {
  /** The settings of `npm start`, as an object: `{ port: 8443, http2: false }`. None is read from the environment. */
  readonly settings: SettingsInput
  /** PEM texts and proxies, in place of the TLS files of the settings; a function is called again by each reload. */
  readonly tls?: TlsMaterial | (() => TlsMaterial)
  /**
   * Your own routes. All of them require a token, of any level, and unmatched paths too; a route's `config.requireToken` demands
   * more.
   */
  readonly routes?: (app: FastifyInstance) => void | Promise<void>
  /** The application log. Default: JSON lines on stderr, from `settings.logLevel` on. */
  readonly logger?: FastifyBaseLogger
}

export interface RunningServer {
  /** Origin of the issuer: `https://HOST:PORT`. */
  readonly origin: string
  readonly app: FastifyInstance
  /** The ops listener; undefined with `settings.opsPort: 0`. */
  readonly ops: FastifyInstance | undefined
  /** Stops listening, answers requests under way, and closes the store. It ends within seconds. */
  close(): Promise<void>
  /** Loads files and functions again, as SIGHUP does for `npm start`. What cannot be used is logged, and what was in use stays. */
  reload(): Promise<void>
}

/**
 * Starts a whole authorization server in this process, with your own routes on the same listener.
 * @throws TypeError (rejects) with every wrong setting and option; Error when a file or the store cannot be used. Nothing that it opened
 * stays open.
 */
export async function startServer(options: StartServerOptions): Promise<RunningServer> {
  const problems: string[] = []
  const own = { tls: anyRule, routes: functionRule, logger: objectRule }
  problems.push(...findWrongOptions(options, undefined, settingsRule, { ...issuerRules, ...own }))
  const { tls, clients, keys, logger } = options ?? {}
  const input = isObject(options?.settings) ? options.settings : {}
  const settings = checkSettings(input, problems)
  if (settings.workers !== 1)
    problems.push(
      'settings.workers must be 1: workers are processes of `tlsbound serve`, and this server is part of your process',
    )
  checkSources(options ?? {}, input, settings.audience, problems)
  checkTls(tls, input, problems)
  if (logger !== undefined && input.logLevel !== undefined)
    problems.push('logger and settings.logLevel exclude each other')
  const missing = loggerMethods.filter(name => isObject(logger) && typeof logger[name] !== 'function')
  if (missing.length > 0)
    problems.push(`logger must be a logger of Fastify, such as pino(): it has no method ${missing.join(', ')}`)
  if (problems.length > 0) throw new SettingsError(problems)

  const material = tls === undefined ? undefined : load(tls)
  const exposures = enforceProductionMode(settings, process, keysFileOf(settings, keys), material)
  const log = logger ?? createLog(settings.logLevel)
  const { app, ops, reload, close } = await startProcess({
    ...{ settings, log, exposures, keys, store: options.store, events: openSink(settings, options.onEvent, log) },
    loadMaterial: () => (tls === undefined ? readTlsFiles(settings) : load(tls)),
    loadClients: clientsOf(clients, settings),
    ...(options.routes && { routes: options.routes }),
  })
  return { origin: new URL(settings.issuer).origin, app, ops, reload: async () => void (await reload()), close }
}

/** The methods that Fastify requires of a logger. */
const loggerMethods = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'child'] as const

/** The settings that concern the issuer alone; listener, log and process are the app's. */
type IssuerSettings = Pick<SettingsInput, (typeof issuerSettings)[number]>

const issuerSettings = [
  'issuer',
  'audience',
  'clientsFile',
  'dataDir',
  'signingKeysFile',
  'signingAlgorithm',
  'signingKeyMaxAge',
  'stateUrl',
  'statePasswordFile',
  'accessTokenLifetime',
  'refreshTokenLifetime',
  'trustedIssuersFile',
  'auditFile',
  'auditFormat',
  'leakKeysFile',
  'leakKeysUrl',
] as const

export interface AuthorizationServerOptions extends IssuerOptions {
  /** The listener of the app: `Fastify({ serverFactory: tls })`. */
  readonly tls: MutualTls
  /** The settings of `npm start` that concern the issuer. `issuer` is required. */
  readonly settings: IssuerSettings & { readonly issuer: string }
}

/** What `authorizationServer` adds to an app. */
export interface EmbeddedServer {
  /** Plugin that protects the routes of its scope, with the issuer's keys and revocations: every level works. */
  readonly requireToken: RequireOwnToken
  /** Loads the files and functions of the issuer again; that of the listener is `tls.reload`. Never rejects. */
  reload(): Promise<void>
}

declare module 'fastify' {
  interface FastifyInstance {
    /** Present once `authorizationServer` is registered. */
    authorizationServer: EmbeddedServer
  }
}

const plugin: FastifyPluginAsync<AuthorizationServerOptions> = async (app, options) => {
  const problems: string[] = []
  const own = { tls: anyRule, prefix: anyRule }
  problems.push(...findWrongOptions(options, undefined, settingsRule, { ...issuerRules, ...own }))
  const { tls, clients, keys, onEvent } = options
  const input = isObject(options.settings) ? options.settings : ({} as IssuerSettings)
  for (const name of Object.keys(input))
    if (!issuerSettings.includes(name as keyof IssuerSettings))
      problems.push(`settings.${name} is not a setting of the issuer: the app and its mutualTls decide that`)
  if (input.issuer === undefined) problems.push('settings.issuer is required')
  const settings = checkSettings(
    Object.fromEntries(Object.entries(input).filter(([name]) => issuerSettings.includes(name as keyof IssuerSettings))),
    problems,
  )
  checkSources(options, input, settings.audience, problems)
  if (typeof tls?.hasServer !== 'function') problems.push('tls must be the result of mutualTls(…)')
  else if (!tls.hasServer(app.server))
    problems.push('tls is not the listener of this app: create it by Fastify({ serverFactory: tls })')
  if (app.prefix !== '' || 'prefix' in options)
    problems.push(
      'the plugin must be registered without a prefix: the paths of the endpoints follow from settings.issuer',
    )
  if (problems.length > 0) throw new SettingsError(problems)

  const { log } = app
  const material = {
    cert: tls.inUse().chain.map(String).join(''),
    ca: tls
      .inUse()
      .trust.authorities.map(({ x509 }) => x509.toString())
      .join(''),
  }
  const exposures = enforceProductionMode(settings, process, keysFileOf(settings, keys), material)
  const issuer = await openIssuer({
    ...{ settings, log, exposures, keys, store: options.store, events: openSink(settings, onEvent, log) },
    loadClients: clientsOf(clients, settings),
    tls,
  })
  app.addHook('onClose', () => issuer.close())
  try {
    app.decorate('authorizationServer', {
      requireToken: await embedServer(app, issuer.parts),
      reload: async () => void (await issuer.reload()),
    })
  } catch (error) {
    await issuer.close()
    throw error
  }
}

/**
 * Fastify plugin: an authorization server in your own app on `mutualTls`. It adds the endpoints for tokens, introspection,
 * revocation, leak reports, metadata, keys and `/binding`, and `app.authorizationServer.requireToken` for your own routes.
 * @throws TypeError (rejects the registration) with every wrong setting and option; Error when a file or the store cannot be used.
 */
export const authorizationServer = fp(plugin, { name: 'tlsbound-authorization-server', fastify: '5.x' })

const settingsRule: Rules = { settings: objectRule }

/** The options of `IssuerOptions`. */
const issuerRules: Rules = { clients: anyRule, keys: listRule, store: objectRule, onEvent: functionRule }

/** Pushes what is wrong with clients, keys and store, each of which comes from memory or from a setting. */
function checkSources(
  { clients, keys, store }: IssuerOptions,
  input: SettingsInput,
  audience: string,
  problems: string[],
): void {
  const given = { clients, keys, store }
  const settings = { clients: 'clientsFile', keys: 'signingKeysFile', store: 'stateUrl' } as const
  for (const name of ['clients', 'keys', 'store'] as const)
    if (given[name] !== undefined && input[settings[name]] !== undefined)
      problems.push(`${name} and settings.${settings[name]} exclude each other`)
  if (clients === undefined && input.clientsFile === undefined)
    problems.push('clients or settings.clientsFile is required')
  if (clients !== undefined) {
    const found: string[] = []
    collect(found, () => {
      const list: unknown = load(clients)
      if (Array.isArray(list)) parseClients(list, found, audience)
      else found.push('must be an array of registrations')
    })
    problems.push(...found.map(problem => `clients: ${problem}`))
  }
  if (Array.isArray(keys)) {
    if (keys.length === 0) problems.push('keys must have at least one private key')
    const found: string[] = []
    for (const key of keys) collect(found, () => void parseTokenJwk(key))
    problems.push(...found.map(problem => `keys: ${problem}`))
  }
}

const tlsSettings = [
  'tlsCertFile',
  'tlsKeyFile',
  'tlsKeyPassphraseFile',
  'tlsClientCaFile',
  'tlsClientCrlFile',
  'clientCertFrom',
] as const

/** Pushes what is wrong with the TLS material, which comes from memory or from files. */
function checkTls(tls: StartServerOptions['tls'], input: SettingsInput, problems: string[]): void {
  const files = tlsSettings.filter(name => input[name] !== undefined)
  if (tls === undefined) {
    const missing = (['tlsCertFile', 'tlsKeyFile', 'tlsClientCaFile'] as const).filter(
      name => input[name] === undefined,
    )
    if (missing.length > 0)
      problems.push(
        `${missing.map(name => `settings.${name}`).join(', ')}: required, unless tls has certificate, key and authorities`,
      )
    return
  }
  if (files.length > 0) problems.push(`tls and ${files.map(name => `settings.${name}`).join(', ')} exclude each other`)
  if ('hasServer' in tls)
    return void problems.push(
      'tls must be an object with cert, key, ca, or a function that returns one: startServer calls mutualTls itself',
    )
  const found: string[] = []
  collect(found, () => {
    const material = load(tls)
    const wrong = findWrongOptions(material, 'tls', materialRules, optionalMaterialRules)
    problems.push(...wrong)
    if (wrong.length === 0) parseMaterial(material)
  })
  problems.push(...found.map(problem => `tls: ${problem}`))
}

function collect(found: string[], check: () => void): void {
  try {
    check()
  } catch (error) {
    found.push((error as Error).message)
  }
}

function load<T extends object>(given: T | (() => T)): T {
  return typeof given === 'function' ? given() : given
}

/** Registrations that are copied in one step. */
const portion = 1024

function clientsOf(clients: IssuerOptions['clients'], { clientsFile, audience }: Settings): () => Steps<Registrations> {
  return function* () {
    if (clients === undefined) return yield* readClientsInSteps(clientsFile ?? '', audience)
    const list: unknown = load(clients)
    // Not something that looks like registrations that are parsed already.
    if (!Array.isArray(list)) throw new TypeError('clients must be an array of registrations')
    const copies: object[] = [] // the app can change the list and its entries between two steps
    for (const entry of [...list]) {
      copies.push(structuredClone(entry))
      if (copies.length % portion === 0) yield
    }
    return copies
  }
}
