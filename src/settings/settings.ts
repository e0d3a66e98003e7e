// Every setting: name, form, default, meaning. parseSettings and checkSettings are pure; all problems are reported at once.
// docs/reference/settings.md is generated from this table. Secrets are given as files, never as values.
import { findSimilarName } from '../core/similar-name.ts'
import { address, addressRanges, days, describeWrongText, type Form, hasPassfile, hasPassword, httpsUrl, oneOf, onOff, path, port, portOrOff, processes, seconds, secondsOrOff, secretPath, storeUrl } from './forms.ts'
import { isServiceLink } from './service-links.ts'

interface Setting<T> {
  readonly name: string
  readonly form: Form<T>
  /** Used when the variable is absent or empty. */
  readonly fallback: T | undefined
  /** The default in the documentation. */
  readonly shown: string
  readonly meaning: string
}

function setting<T>(name: string, form: Form<T>, fallback: T, meaning: string): Setting<T> {
  const shown = typeof fallback === 'boolean' ? (fallback ? 'on' : 'off') : String(fallback)
  return { name: `TLSBOUND_${name}`, form, fallback, shown, meaning }
}

/** A setting whose default is computed or absent; `shown` describes it. */
function optional<T>(name: string, form: Form<T>, shown: string, meaning: string): Setting<T | undefined> {
  return { name: `TLSBOUND_${name}`, form, fallback: undefined, shown, meaning }
}

/** All settings, in the order of their documentation. */
export const settingsTable = {
  host: setting('HOST', address, '127.0.0.1', 'address that the mutual-TLS listener binds to'),
  port: setting('PORT', port, 8443, 'port of the mutual-TLS listener'),
  workers: setting<number | 'auto'>('WORKERS', processes(64), 1, 'processes that answer requests; auto: one for each core; from 2 on, one more process owns store and ops listener'),
  proxyProtocolFrom: optional('PROXY_PROTOCOL_FROM', addressRanges, 'none', 'load balancers whose connections must begin with a PROXY protocol header; all others must not send one'),
  opsPort: setting('OPS_PORT', portOrOff, 9443, 'port of the ops listener: plain HTTP on 127.0.0.1; 0 disables it'),
  opsTokenFile: optional('OPS_TOKEN_FILE', secretPath, 'ops-token in the data folder', 'file with the ops token, mode 0600; created if missing'),
  probeHost: setting('PROBE_HOST', address, '127.0.0.1', 'address that the probe listener binds to'),
  probePort: setting('PROBE_PORT', portOrOff, 0, 'port of the probe listener: `/health`, `/healthz`, `/ready`, `/readyz` and `/metrics` in plain HTTP, for any host and without a token; 0 disables it'),
  issuer: optional('ISSUER', httpsUrl, 'https://localhost:PORT', 'issuer of the tokens (`iss`), and base of the endpoints’ addresses'),
  audience: optional('AUDIENCE', httpsUrl, 'the issuer', 'audience of the tokens (`aud`)'),
  tlsCertFile: optional('TLS_CERT_FILE', path, 'certs/server.crt in the demo, else required', 'PEM: certificate of the server, then intermediate certificates'),
  tlsKeyFile: optional('TLS_KEY_FILE', secretPath, 'certs/server.key in the demo, else required', 'PEM: private key of that certificate, mode 0600'),
  tlsKeyPassphraseFile: optional('TLS_KEY_PASSPHRASE_FILE', secretPath, 'none', 'passphrase of an encrypted key: one line, mode 0600'),
  tlsClientCaFile: optional('TLS_CLIENT_CA_FILE', path, 'certs/ca.crt in the demo, else required', 'PEM: the authorities that may issue client certificates; no others are trusted'),
  tlsClientCrlFile: optional('TLS_CLIENT_CRL_FILE', path, 'none', 'PEM: revocation lists, one for each of these authorities'),
  clientCertFrom: optional('CLIENT_CERT_FROM', path, 'none: such header fields are ignored', 'JSON list of the proxies that end TLS for their clients and forward the client certificate; each is known by its own certificate'),
  proxySocket: optional('PROXY_SOCKET', path, 'none', 'socket file for a proxy on this machine that ends TLS: plain HTTP/1.1; its folder decides who can open it; the list of proxies has its entry'),
  tlsMinVersion: setting('TLS_MIN_VERSION', oneOf('TLSv1.3', 'TLSv1.2'), 'TLSv1.3', 'lowest version of TLS; on TLS 1.2, connection-bound tokens need the extended master secret'),
  tlsDropUnacceptable: setting('TLS_DROP_UNACCEPTABLE', onOff, false, 'close connections without an acceptable client certificate, instead of sending an error response'),
  connectionMaxAge: setting('CONNECTION_MAX_AGE', seconds(1, 604_800), 3600, 'seconds after which a connection is closed with its next response'),
  expiryWarningDays: setting('EXPIRY_WARNING_DAYS', days(1, 3650), 30, 'days before the expiry of a certificate, an authority or a revocation list from which start and reload log a warning'),
  http2: setting('HTTP2', onOff, true, 'offer HTTP/2 beside HTTP/1.1 on the same port'),
  clientsFile: optional('CLIENTS_FILE', path, 'the demo clients in the demo, else required', 'JSON list of client registrations'),
  dataDir: setting('DATA_DIR', path, 'data', 'the data folder: for the files that the server creates; created if missing'),
  signingKeysFile: optional('SIGNING_KEYS_FILE', secretPath, 'signing-keys.json in the data folder, generated', 'JWKS with private keys, mode 0600; the key with the latest `nbf` in the past signs, and all verify'),
  signingAlgorithm: setting('SIGNING_ALGORITHM', oneOf('ES256', 'EdDSA', 'RS256'), 'ES256', 'algorithm of a generated signing key'),
  signingKeyMaxAge: setting('SIGNING_KEY_MAX_AGE', secondsOrOff(3600, 315_360_000), 7_776_000, 'seconds after which a generated signing key is rotated; 0: only by `tlsbound keys rotate`'),
  stateUrl: optional('STATE_URL', storeUrl, 'sqlite:tlsbound.db in the data folder', 'store: an SQLite file of one server, or a PostgreSQL database that several servers share'),
  statePasswordFile: optional('STATE_PASSWORD_FILE', secretPath, 'none', 'password for the PostgreSQL database: one line, mode 0600; read again for each connection'),
  accessTokenLifetime: setting('ACCESS_TOKEN_LIFETIME', seconds(1, 86_400), 300, 'lifetime of an access token in seconds'),
  refreshTokenLifetime: setting('REFRESH_TOKEN_LIFETIME', seconds(1, 31_536_000), 86_400, 'lifetime of a grant in seconds, from its first token; refreshing does not extend it'),
  trustedIssuersFile: optional('TRUSTED_ISSUERS_FILE', path, 'none', 'JSON list of other issuers whose tokens are exchanged; without keys, an issuer is discovered'),
  gatewayFile: optional('GATEWAY_FILE', path, 'none', 'JSON list of routes: requests that are forwarded to other services'),
  webhooksFile: optional('WEBHOOKS_FILE', secretPath, 'none', 'JSON list of the receivers of notifications, mode 0600'),
  logLevel: setting('LOG_LEVEL', oneOf('fatal', 'error', 'warn', 'info', 'debug', 'silent'), 'info', 'lowest level of the application log on stderr'),
  auditFile: optional('AUDIT_FILE', path, 'stdout', 'file that security events are appended to, one JSON line each'),
  auditFormat: setting('AUDIT_FORMAT', oneOf('plain', 'ecs', 'ocsf'), 'plain', 'format of the security events: plain, Elastic Common Schema (ecs) or OCSF (ocsf)'),
  leakKeysFile: optional('LEAK_KEYS_FILE', path, 'none: signed reports are refused', 'public keys of the reporters of leaked tokens, in the format of GitHub’s `public_keys` document'),
  leakKeysUrl: optional('LEAK_KEYS_URL', httpsUrl, 'none', 'https address of such a document, fetched when needed; excludes the file'),
  unsafeTokenCookie: setting('UNSAFE_TOKEN_COOKIE', onOff, false, 'demo only: `GET /demo/token-cookie` sets a token as a cookie, which is accepted in place of an Authorization header'),
}

type Values = {
  readonly [key in keyof typeof settingsTable]: (typeof settingsTable)[key] extends Setting<infer T> ? T : never
}

export interface Settings extends Values {
  readonly issuer: string
  readonly audience: string
  readonly opsTokenFile: string
  readonly stateUrl: string
  readonly tlsCertFile: string
  readonly tlsKeyFile: string
  readonly tlsClientCaFile: string
  /** No TLS files are configured: create and use the demo certificates. */
  readonly demo: boolean
}

/** The settings as an object: the members of `settingsTable`, with numbers and booleans as such. */
export type SettingsInput = { readonly [key in keyof Values]?: Values[key] | undefined }

/** Invalid settings. The message lists every problem. */
export class SettingsError extends TypeError {
  override readonly name = 'SettingsError'
  readonly problems: readonly string[]

  constructor(problems: readonly string[]) {
    super(`invalid configuration:\n${problems.map(problem => `- ${problem}`).join('\n')}`)
    this.problems = problems
  }
}

/**
 * Parses the settings from environment variables. An unknown TLSBOUND_ variable is an error unless `otherVariables`
 * contains it: client commands have variables of their own. Service links of Kubernetes are ignored. `hasClients`: whether the server has registered clients.
 * @throws SettingsError
 */
export function parseSettings(variables: Readonly<Record<string, string | undefined>>, otherVariables: readonly string[] = [], hasClients = true): Settings {
  const problems: string[] = []
  const env = Object.fromEntries(Object.entries(variables).filter(([name, value]) => !isServiceLink(name, value)))
  const names = new Set([...Object.values(settingsTable).map(({ name }) => name), ...otherVariables])
  for (const name of Object.keys(env)) if (name.startsWith('TLSBOUND_') && !names.has(name)) problems.push(describeUnknown(name, [...names]))

  const entries = Object.entries(settingsTable).map(([key, { name, form, fallback }]) => {
    const text = env[name]
    if (text === undefined || text === '') return [key, fallback]
    const value = form.parse(text)
    if (value === undefined) problems.push(`${name} must be ${form.words}${describeWrongText(text, form)}`)
    return [key, value]
  })
  const values = Object.fromEntries(entries) as Values
  const isGiven = (key: Key) => env[settingsTable[key].name] !== undefined && env[settingsTable[key].name] !== ''
  const nameOf = (key: Key) => settingsTable[key].name
  const demo = findDemo(env, isGiven, problems, hasClients)
  problems.push(...findContradictions(values, nameOf))
  if (problems.length > 0) throw new SettingsError(problems)
  return complete(values, demo)
}

/**
 * Checks settings that a program gives as an object. Pushes each problem to `problems`; the result is to be used only
 * when there is none. It is never the demo.
 */
export function checkSettings(input: SettingsInput, problems: string[]): Settings {
  const nameOf = (key: string) => `settings.${key}`
  const known = Object.keys(settingsTable)
  for (const key of Object.keys(input)) if (!known.includes(key)) problems.push(describeUnknown(key, known, nameOf))
  const entries = Object.entries(settingsTable).map(([key, { form, fallback }]) => {
    const value: unknown = Object.hasOwn(input, key) ? input[key as Key] : undefined
    if (value === undefined) return [key, fallback]
    // The text by which the environment would give this value: a wrong type has none that yields it again.
    const text = value === true ? 'on' : value === false ? 'off' : typeof value === 'object' ? '' : String(value)
    if (text !== '' && form.parse(text) === value) return [key, value]
    const words = typeof fallback === 'boolean' ? 'true or false' : form.words
    problems.push(`${nameOf(key)} must be ${words}${describeWrong(value, form)}`)
    return [key, fallback]
  })
  const values = Object.fromEntries(entries) as Values
  problems.push(...findContradictions(values, nameOf))
  return complete(values, false)
}

type Key = keyof typeof settingsTable

function complete(values: Values, demo: boolean): Settings {
  const issuer = values.issuer ?? new URL(`https://localhost:${values.port}`).origin
  return Object.freeze({
    ...values,
    issuer,
    audience: values.audience ?? issuer,
    opsTokenFile: values.opsTokenFile ?? dataFile('ops-token', values.dataDir),
    stateUrl: values.stateUrl ?? `sqlite:${dataFile('tlsbound.db', values.dataDir)}`,
    tlsCertFile: values.tlsCertFile ?? 'certs/server.crt',
    tlsKeyFile: values.tlsKeyFile ?? 'certs/server.key',
    tlsClientCaFile: values.tlsClientCaFile ?? 'certs/ca.crt',
    demo,
  })
}

/** Returns the path of a file in the data folder. */
export function dataFile(name: string, dataDir: string): string {
  return dataDir.endsWith('/') ? `${dataDir}${name}` : `${dataDir}/${name}`
}

/** Returns the data folder of an environment, for commands that use no other setting. */
export function dataDirOf(env: Readonly<Record<string, string | undefined>>): string {
  return env.TLSBOUND_DATA_DIR || settingsTable.dataDir.fallback || 'data'
}

function findContradictions({ leakKeysFile, leakKeysUrl, stateUrl = 'sqlite:', statePasswordFile }: Values, nameOf: (key: Key) => string): string[] {
  const problems: string[] = []
  if (leakKeysFile !== undefined && leakKeysUrl !== undefined) problems.push(`${nameOf('leakKeysFile')} and ${nameOf('leakKeysUrl')} exclude each other`)
  const inUrl = [hasPassword(stateUrl), hasPassfile(stateUrl)].filter(Boolean).length
  if (inUrl > 1) problems.push(`a password and passfile in ${nameOf('stateUrl')} exclude each other`)
  if (statePasswordFile === undefined) return problems
  if (!stateUrl.startsWith('postgres')) problems.push(`${nameOf('statePasswordFile')} needs a PostgreSQL database in ${nameOf('stateUrl')}`)
  if (inUrl > 0) problems.push(`${nameOf('statePasswordFile')} and a password in ${nameOf('stateUrl')} exclude each other`)
  return problems
}

/** Returns the end of "NAME must be …" about a wrong value; a wrong text is shown where it cannot be a secret. */
function describeWrong(value: unknown, form: Form<unknown>): string {
  if (value === '') return ', not an empty text'
  if (typeof value === 'string') return describeWrongText(value, form)
  if (typeof value === 'number' || typeof value === 'boolean') return `, not ${value}`
  return `, not ${value === null ? 'null' : Array.isArray(value) ? 'an array' : typeof value === 'object' ? 'an object' : `a ${typeof value}`}`
}

function describeUnknown(name: string, known: readonly string[], nameOf = (name: string) => name): string {
  const similar = findSimilarName(name, known)
  const problem = `${nameOf(name)} is not a setting`
  return similar === undefined ? problem : `${problem}; did you mean ${nameOf(similar)}?`
}

/**
 * Checks whether the server runs as the demo: without any TLS file. Some of the files without the others are an error, and
 * so is the demo in production.
 */
function findDemo(env: Readonly<Record<string, string | undefined>>, isGiven: (key: Key) => boolean, problems: string[], hasClients: boolean): boolean {
  const given = (['tlsCertFile', 'tlsKeyFile', 'tlsClientCaFile'] as const).filter(isGiven).length
  const demo = given === 0
  const files = 'TLSBOUND_TLS_CERT_FILE, TLSBOUND_TLS_KEY_FILE and TLSBOUND_TLS_CLIENT_CA_FILE'
  if (given > 0 && given < 3) problems.push(`${files} must be given together`)
  if (demo && env.NODE_ENV === 'production') problems.push(`NODE_ENV is production, where the demo certificates are rejected: set ${files}`)
  if (hasClients && !demo && !isGiven('clientsFile')) problems.push('TLSBOUND_CLIENTS_FILE is required with your own TLS files')
  return demo
}
