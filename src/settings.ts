// Every setting: its name, default, unit and check. readSettings is pure; all problems are reported at once.
// README.md shows this table; a test compares the two. Secrets come as files, never as values.
import { isIP } from 'node:net'

export class SettingsError extends Error {
  override readonly name = 'SettingsError'
  constructor(problems: readonly string[]) {
    super(`These settings cannot be used:\n${problems.map(problem => `- ${problem}\n`).join('')}Nothing was started.`)
  }
}

type Read<T> = (text: string) => T | undefined

interface Setting<T> {
  readonly name: string
  /** Used when the variable is absent or empty. */
  readonly fallback: T
  /** As README.md shows the default. */
  readonly shown: string
  readonly meaning: string
  /** What the text must be, for the message when `read` gives undefined. */
  readonly form: string
  readonly read: Read<T>
}

const text: Read<string> = value => value
const port: Read<number> = value => (/^\d{1,5}$/.test(value) && Number(value) <= 65_535 ? Number(value) : undefined)
const onOff: Read<boolean> = value => ({ on: true, off: false })[value]
const oneOf =
  <T extends string>(...allowed: T[]): Read<T> =>
  value =>
    allowed.find(name => name === value)
const seconds =
  (least: number, most: number): Read<number> =>
  value =>
    /^\d{1,9}$/.test(value) && Number(value) >= least && Number(value) <= most ? Number(value) : undefined
/** An identifier in the sense of RFC 8414 §2: https, no query, no fragment, and the one spelling that a URL has. */
const httpsUrl: Read<string> = value => {
  const url = URL.canParse(value) ? new URL(value) : undefined
  const plain = url?.protocol === 'https:' && url.search === '' && url.hash === '' && url.username === ''
  return plain && (url.href === value || url.href === `${value}/`) ? value : undefined
}

const setting = <T>(
  name: string,
  fallback: T,
  shown: string,
  form: string,
  read: Read<T>,
  meaning: string,
): Setting<T> => ({ name: `TLSBOUND_${name}`, fallback, shown, form, read, meaning })

const file = (name: string, shown: string, meaning: string): Setting<string | undefined> =>
  setting<string | undefined>(name, undefined, shown, 'a path', text, meaning)

/** All settings, in the order of README.md. */
export const settingsTable = {
  host: setting(
    'HOST',
    '127.0.0.1',
    '127.0.0.1',
    'an IP address',
    v => (isIP(v) ? v : undefined),
    'address of the mutual-TLS listener',
  ),
  port: setting('PORT', 8443, '8443', 'a port number', port, 'its port'),
  issuer: setting<string | undefined>(
    'ISSUER',
    undefined,
    'https://localhost:PORT',
    'an https address without query',
    httpsUrl,
    '`iss` of the tokens, and where the endpoints are',
  ),
  audience: setting<string | undefined>(
    'AUDIENCE',
    undefined,
    'the issuer',
    'an https address without query',
    httpsUrl,
    '`aud` of the tokens',
  ),
  tlsCertFile: file(
    'TLS_CERT_FILE',
    'certs/server.crt in the demo, else required',
    'certificate of the server and intermediate ones, PEM',
  ),
  tlsKeyFile: file('TLS_KEY_FILE', 'certs/server.key in the demo, else required', 'its private key, PEM, mode 0600'),
  tlsClientCaFile: file(
    'TLS_CLIENT_CA_FILE',
    'certs/ca.crt in the demo, else required',
    'authorities for client certificates, PEM; no others are trusted',
  ),
  tlsClientCrlFile: file('TLS_CLIENT_CRL_FILE', 'none', 'revocation lists for all of these authorities, PEM'),
  tlsMinVersion: setting(
    'TLS_MIN_VERSION',
    'TLSv1.3' as const,
    'TLSv1.3',
    'TLSv1.3 or TLSv1.2',
    oneOf<'TLSv1.2' | 'TLSv1.3'>('TLSv1.3', 'TLSv1.2'),
    'TLSv1.2 allows 1.2, and there only connections with the extended master secret get connection-bound tokens',
  ),
  tlsDropUnacceptable: setting(
    'TLS_DROP_UNACCEPTABLE',
    false,
    'off',
    'on or off',
    onOff,
    'drop connections without an acceptable client certificate instead of answering with the reason',
  ),
  connectionMaxAge: setting(
    'CONNECTION_MAX_AGE',
    3600,
    '3600',
    'seconds from 1 to 604800',
    seconds(1, 604_800),
    'seconds after which a connection ends with its next answer',
  ),
  http2: setting('HTTP2', true, 'on', 'on or off', onOff, 'offer h2 beside http/1.1 on the same port'),
  clientsFile: file('CLIENTS_FILE', 'the demo clients', 'JSON list of client registrations'),
  signingKeysFile: file(
    'SIGNING_KEYS_FILE',
    'generated, kept in data/',
    'JWKS with private keys, mode 0600; the first signs, all verify',
  ),
  signingAlgorithm: setting(
    'SIGNING_ALGORITHM',
    'ES256' as const,
    'ES256',
    'ES256, EdDSA or RS256',
    oneOf<'ES256' | 'EdDSA' | 'RS256'>('ES256', 'EdDSA', 'RS256'),
    'algorithm of the key that is generated',
  ),
  stateUrl: setting(
    'STATE_URL',
    'sqlite:data/tlsbound.db',
    'sqlite:data/tlsbound.db',
    'sqlite:PATH',
    v => (/^sqlite:.+/s.test(v) ? v : undefined),
    'where state is kept',
  ),
  accessTokenLifetime: setting(
    'ACCESS_TOKEN_LIFETIME',
    300,
    '300',
    'seconds from 1 to 86400',
    seconds(1, 86_400),
    'seconds',
  ),
  logLevel: setting(
    'LOG_LEVEL',
    'info' as const,
    'info',
    'a pino level',
    oneOf<LogLevel>('fatal', 'error', 'warn', 'info', 'debug', 'silent'),
    'how much the application log on stderr says',
  ),
  auditFile: file('AUDIT_FILE', 'stdout', 'where security events are appended, one JSON line each'),
  unsafeTokenCookie: setting(
    'UNSAFE_TOKEN_COOKIE',
    false,
    'off',
    'on or off',
    onOff,
    'demo only: `GET /demo/token-cookie` gives a token as a cookie, which is then taken for an Authorization header',
  ),
}

type LogLevel = 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'silent'
type Values = {
  readonly [key in keyof typeof settingsTable]: (typeof settingsTable)[key] extends Setting<infer T> ? T : never
}

export interface Settings extends Values {
  readonly issuer: string
  readonly audience: string
  /** No TLS files are given: make and use the demo's. */
  readonly demo: boolean
  readonly tlsCertFile: string
  readonly tlsKeyFile: string
  readonly tlsClientCaFile: string
}

/** Reads the settings from environment variables. @throws SettingsError naming every problem. */
export function readSettings(env: Readonly<Record<string, string | undefined>>): Settings {
  const problems: string[] = []
  const names = new Set<string>(Object.values(settingsTable).map(({ name }) => name))
  for (const name of Object.keys(env))
    if (name.startsWith('TLSBOUND_') && !names.has(name)) problems.push(`${name} is not a setting`)

  const values = Object.fromEntries(
    Object.entries(settingsTable).map(([key, { name, fallback, form, read }]) => {
      const given = env[name]
      if (given === undefined || given === '') return [key, fallback]
      const value = (read as Read<unknown>)(given)
      if (value === undefined) problems.push(`${name} must be ${form}, not ${JSON.stringify(given)}`)
      return [key, value]
    }),
  ) as unknown as Values

  const tlsFiles = {
    tlsCertFile: values.tlsCertFile,
    tlsKeyFile: values.tlsKeyFile,
    tlsClientCaFile: values.tlsClientCaFile,
  }
  const given = Object.values(tlsFiles).filter(path => path !== undefined).length
  if (given > 0 && given < 3)
    problems.push('TLSBOUND_TLS_CERT_FILE, _TLS_KEY_FILE and _TLS_CLIENT_CA_FILE must be given together')
  const demo = given === 0
  if (demo && env.NODE_ENV === 'production')
    problems.push(
      'with NODE_ENV=production the demo certificates are refused: give TLSBOUND_TLS_CERT_FILE, _TLS_KEY_FILE and _TLS_CLIENT_CA_FILE',
    )
  if (!demo && values.clientsFile === undefined)
    problems.push('TLSBOUND_CLIENTS_FILE is required unless the demo certificates are used')
  if (problems.length > 0) throw new SettingsError(problems)

  const issuer = values.issuer ?? `https://localhost:${values.port}`
  return Object.freeze({
    ...values,
    demo,
    issuer,
    audience: values.audience ?? issuer,
    tlsCertFile: values.tlsCertFile ?? 'certs/server.crt',
    tlsKeyFile: values.tlsKeyFile ?? 'certs/server.key',
    tlsClientCaFile: values.tlsClientCaFile ?? 'certs/ca.crt',
  })
}
