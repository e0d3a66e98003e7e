// Every setting: name, form, default, meaning. readSettings is pure; all problems are reported at once.
// README.md shows this table, and a test compares the two. Secrets come as files, never as values.
import { findSimilarName } from '../core/similar-name.ts'
import { address, days, describeWrongText, type Form, httpsUrl, oneOf, onOff, path, port, portOrOff, seconds, secondsOrOff, secretPath, storeUrl } from './forms.ts'

interface Setting<T> {
  readonly name: string
  readonly form: Form<T>
  /** In force when the variable is absent or empty. */
  readonly fallback: T | undefined
  /** How README.md shows the default. */
  readonly shown: string
  readonly meaning: string
}

function setting<T>(name: string, form: Form<T>, fallback: T, meaning: string): Setting<T> {
  const shown = typeof fallback === 'boolean' ? (fallback ? 'on' : 'off') : String(fallback)
  return { name: `TLSBOUND_${name}`, form, fallback, shown, meaning }
}

/** A setting whose default is computed, or is none; `shown` says it in words. */
function optional<T>(name: string, form: Form<T>, shown: string, meaning: string): Setting<T | undefined> {
  return { name: `TLSBOUND_${name}`, form, fallback: undefined, shown, meaning }
}

/** All settings, in the order of README.md. */
export const settingsTable = {
  host: setting('HOST', address, '127.0.0.1', 'address of the mutual-TLS listener'),
  port: setting('PORT', port, 8443, 'its port'),
  opsPort: setting('OPS_PORT', portOrOff, 9443, 'port of the ops listener on 127.0.0.1, plain HTTP: the live page, `/health`, `/ready`, `/metrics`, administration; 0: none'),
  opsTokenFile: setting('OPS_TOKEN_FILE', secretPath, 'data/ops-token', 'the secret that administration asks for, mode 0600; made where missing'),
  issuer: optional('ISSUER', httpsUrl, 'https://localhost:PORT', '`iss` of the tokens, and where the endpoints are'),
  audience: optional('AUDIENCE', httpsUrl, 'the issuer', '`aud` of the tokens'),
  tlsCertFile: optional('TLS_CERT_FILE', path, 'certs/server.crt in the demo, else required', 'certificate of the server, then intermediate ones, PEM'),
  tlsKeyFile: optional('TLS_KEY_FILE', secretPath, 'certs/server.key in the demo, else required', 'its private key, PEM, mode 0600'),
  tlsKeyPassphraseFile: optional('TLS_KEY_PASSPHRASE_FILE', secretPath, 'none', 'the passphrase of that key, if it is encrypted; one line, mode 0600'),
  tlsClientCaFile: optional('TLS_CLIENT_CA_FILE', path, 'certs/ca.crt in the demo, else required', 'authorities for client certificates, PEM; no others are trusted'),
  tlsClientCrlFile: optional('TLS_CLIENT_CRL_FILE', path, 'none', 'revocation lists for all of these authorities, PEM'),
  tlsMinVersion: setting('TLS_MIN_VERSION', oneOf('TLSv1.3', 'TLSv1.2'), 'TLSv1.3', 'TLSv1.2 allows 1.2, and there only connections with the extended master secret get connection-bound tokens'),
  tlsDropUnacceptable: setting('TLS_DROP_UNACCEPTABLE', onOff, false, 'drop connections without an acceptable client certificate instead of answering with the reason'),
  connectionMaxAge: setting('CONNECTION_MAX_AGE', seconds(1, 604_800), 3600, 'seconds after which a connection ends with its next answer'),
  expiryWarningDays: setting('EXPIRY_WARNING_DAYS', days(1, 3650), 30, 'days before the end of a certificate, authority or revocation list from which on start and reload warn of it'),
  http2: setting('HTTP2', onOff, true, 'offer h2 beside http/1.1 on the same port'),
  clientsFile: optional('CLIENTS_FILE', path, 'the demo clients in the demo, else required', 'JSON list of client registrations'),
  signingKeysFile: optional('SIGNING_KEYS_FILE', secretPath, 'generated, kept in data/', 'JWKS with private keys, mode 0600; the first signs, all verify'),
  signingAlgorithm: setting('SIGNING_ALGORITHM', oneOf('ES256', 'EdDSA', 'RS256'), 'ES256', 'algorithm of the key that is generated'),
  signingKeyMaxAge: setting('SIGNING_KEY_MAX_AGE', secondsOrOff(3600, 315_360_000), 7_776_000, 'seconds that a generated key signs before the next one does; 0 = until `tlsbound keys rotate`'),
  stateUrl: setting('STATE_URL', storeUrl, 'sqlite:data/tlsbound.db', 'where state is kept; `postgres://…` is shared by several servers'),
  accessTokenLifetime: setting('ACCESS_TOKEN_LIFETIME', seconds(1, 86_400), 300, 'seconds'),
  refreshTokenLifetime: setting('REFRESH_TOKEN_LIFETIME', seconds(1, 31_536_000), 86_400, 'seconds from the first token of a grant to its end, which no refresh moves'),
  trustedIssuersFile: optional('TRUSTED_ISSUERS_FILE', path, 'none', 'JSON list of outside issuers whose tokens are exchanged for ours'),
  webhooksFile: optional('WEBHOOKS_FILE', secretPath, 'none', 'JSON list of who is notified of thefts, mode 0600: docs/how-to/notify.md'),
  logLevel: setting('LOG_LEVEL', oneOf('fatal', 'error', 'warn', 'info', 'debug', 'silent'), 'info', 'how much the application log on stderr says'),
  auditFile: optional('AUDIT_FILE', path, 'stdout', 'where security events are appended, one JSON line each'),
  auditFormat: setting('AUDIT_FORMAT', oneOf('plain', 'ecs', 'ocsf'), 'plain', 'form of the security events: our own, Elastic Common Schema, or OCSF'),
  leakKeysFile: optional('LEAK_KEYS_FILE', path, 'none: signed reports are refused', 'public keys of whoever signs reports of leaked tokens, in the form of GitHub’s `public_keys` document'),
  leakKeysUrl: optional('LEAK_KEYS_URL', httpsUrl, 'none', 'where such a document is fetched and looked for new keys, instead of the file'),
  unsafeTokenCookie: setting('UNSAFE_TOKEN_COOKIE', onOff, false, 'demo only: `GET /demo/token-cookie` gives a token as a cookie, which is then taken for an Authorization header'),
}

type Values = {
  readonly [key in keyof typeof settingsTable]: (typeof settingsTable)[key] extends Setting<infer T> ? T : never
}

export interface Settings extends Values {
  readonly issuer: string
  readonly audience: string
  readonly tlsCertFile: string
  readonly tlsKeyFile: string
  readonly tlsClientCaFile: string
  /** No TLS files are given: make and use the demo's. */
  readonly demo: boolean
}

/** Settings that nothing can be started with. The message names every problem. */
export class SettingsError extends Error {
  override readonly name = 'SettingsError'
  readonly problems: readonly string[]

  constructor(problems: readonly string[]) {
    super(`invalid configuration:\n${problems.map(problem => `- ${problem}`).join('\n')}`)
    this.problems = problems
  }
}

/** Options of the client commands that are no settings of the server; in its environment they are no mistake. */
const clientOptions = ['OPS_URL', 'CA_FILE', 'CERT_FILE', 'KEY_FILE', 'KEY_PASSPHRASE_FILE', 'CLIENT_ID', 'SCOPE', 'RESOURCE', 'BINDING']
const sidecarOptions = ['UPSTREAM', 'LISTEN', 'SOCKET_MODE', 'AUTHORIZATION', 'TIMEOUT']
// biome-ignore format: as it is read
const labOptions = [
  'PKI', 'VICTIM', 'THIEF', 'NOBODY', 'STRANGER', 'CLIENT_ID', 'CLIENT_AUTH', 'CLIENT_SECRET_FILE', 'SIGNING_KEY', 'LEVEL', 'TLS',
  'HTTP', 'ONLY', 'PROFILE', 'TOKEN_ENDPOINT', 'RESOURCE', 'SCOPE', 'JUNIT', 'HTML', 'GENTLE', 'STRICT', 'JSON',
].map(name => `LAB_${name}`)
const optionsOfClients = [...clientOptions, ...sidecarOptions, ...labOptions].map(name => `TLSBOUND_${name}`)

/** Reads the settings from environment variables. @throws SettingsError */
export function readSettings(env: Readonly<Record<string, string | undefined>>): Settings {
  const problems: string[] = []
  const names = new Set([...Object.values(settingsTable).map(({ name }) => name), ...optionsOfClients])
  for (const name of Object.keys(env)) if (name.startsWith('TLSBOUND_') && !names.has(name)) problems.push(describeUnknown(name, [...names]))

  const entries = Object.entries(settingsTable).map(([key, { name, form, fallback }]) => {
    const text = env[name]
    if (text === undefined || text === '') return [key, fallback]
    const value = form.read(text)
    if (value === undefined) problems.push(`${name} must be ${form.words}${describeWrongText(text, form)}`)
    return [key, value]
  })
  const values = Object.fromEntries(entries) as Values
  const demo = findDemo(env, problems)
  if (values.leakKeysFile !== undefined && values.leakKeysUrl !== undefined) problems.push('TLSBOUND_LEAK_KEYS_FILE and TLSBOUND_LEAK_KEYS_URL exclude each other')
  if (problems.length > 0) throw new SettingsError(problems)

  const issuer = values.issuer ?? new URL(`https://localhost:${values.port}`).origin
  return Object.freeze({
    ...values,
    issuer,
    audience: values.audience ?? issuer,
    tlsCertFile: values.tlsCertFile ?? 'certs/server.crt',
    tlsKeyFile: values.tlsKeyFile ?? 'certs/server.key',
    tlsClientCaFile: values.tlsClientCaFile ?? 'certs/ca.crt',
    demo,
  })
}

function describeUnknown(name: string, known: readonly string[]): string {
  const similar = findSimilarName(name, known)
  return similar === undefined ? `${name} is not a setting` : `${name} is not a setting; did you mean ${similar}?`
}

/** Whether the demo is meant: without any TLS file. Half of them is a mistake, and so is the demo in production. */
function findDemo(env: Readonly<Record<string, string | undefined>>, problems: string[]): boolean {
  const { tlsCertFile, tlsKeyFile, tlsClientCaFile, clientsFile } = settingsTable
  const isGiven = ({ name }: { readonly name: string }) => env[name] !== undefined && env[name] !== ''
  const given = [tlsCertFile, tlsKeyFile, tlsClientCaFile].filter(isGiven).length
  const demo = given === 0
  const files = 'TLSBOUND_TLS_CERT_FILE, TLSBOUND_TLS_KEY_FILE and TLSBOUND_TLS_CLIENT_CA_FILE'
  if (given > 0 && given < 3) problems.push(`${files} must be given together`)
  if (demo && env.NODE_ENV === 'production') problems.push(`NODE_ENV is production, where the demo certificates are refused: give ${files}`)
  if (!demo && !isGiven(clientsFile)) problems.push('TLSBOUND_CLIENTS_FILE is needed beside TLS files of your own')
  return demo
}
