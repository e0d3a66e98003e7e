// Which settings the lab runs, from the options and from the metadata of the server.
import { type TokenBinding, tokenBindings } from '../../core/confirmation.ts'
import type { Cast } from '../../lab/cast.ts'
import { type ClientAuthentication, clientAuthentications } from '../../lab/client-authentication.ts'
import { type Connection, endpointOf, openConnection } from '../../lab/connection.ts'
import type { Matrix } from '../../lab/matrix.ts'
import { type Profile, type ProfileOptions, readProfile } from '../../lab/profile.ts'
import type { StageOptions } from '../../lab/stage.ts'
import { oneOf } from '../../settings/forms.ts'
import { UsageError, type Values } from '../command.ts'

type Http = StageOptions['http']

const tlsVersions = { '1.3': 'TLSv1.3', '1.2': 'TLSv1.2' } as const
const httpVersions = { '1.1': 'http/1.1', '2': 'h2' } as const
const allHttp: readonly Http[] = ['http/1.1', 'h2']

/** @throws UsageError (or rejects) for invalid options, Error when the server does not respond or lacks metadata. */
export async function chooseMatrix(server: URL, cast: Cast, values: Values): Promise<Matrix> {
  const tls = tlsVersions[choose(values, 'tls', '1.3', '1.2') ?? '1.3']
  const http = choose(values, 'http', '1.1', '2')
  const level = choose(values, 'level', ...tokenBindings, 'all') ?? 'all'
  const options: ProfileOptions = {
    name: choose(values, 'profile', 'tlsbound', 'rfc8705'),
    tokenEndpoint: values['token-endpoint'] as string | undefined,
    resource: values.resource as string | undefined,
    signedResource: values['signed-resource'] as string | undefined,
    scope: values.scope as string | undefined,
    clientAuthentication: readClientAuthentication(values),
  }
  const profile = await meet(server, cast, tls, ['h2', 'http/1.1'], ({ call }) => readProfile(server, options, call))
  return {
    profile,
    cast,
    levels: level === 'all' ? profile.levels : [requireLevel(level, profile)],
    tls: [tls],
    http: await chooseHttp(http && httpVersions[http], profile, cast, tls),
    ...(values.gentle === true ? { pause: 250, maximumConnections: 10 } : { pause: 0, maximumConnections: 30 }),
  }
}

/** @throws UsageError for an unsupported method. */
export function readClientAuthentication(values: Values): ClientAuthentication {
  return choose(values, 'client-auth', ...clientAuthentications) ?? 'tls_client_auth'
}

function choose<const T extends string>(values: Values, name: string, ...allowed: T[]): T | undefined {
  const given = values[name]
  if (given === undefined) return undefined
  const form = oneOf(...allowed)
  const value = form.parse(String(given))
  if (value === undefined) throw new UsageError(`--${name} must be ${form.words}`)
  return value
}

function requireLevel(level: TokenBinding, { levels }: Profile): TokenBinding {
  if (!levels.includes(level))
    throw new UsageError(`the server does not offer level ${level}; it offers ${levels.join(', ')}`)
  return level
}

/** Returns the HTTP versions that both the resource and the token endpoint support, or the requested one. */
async function chooseHttp(
  wanted: Http | undefined,
  { resource, tokenEndpoint }: Profile,
  cast: Cast,
  tls: StageOptions['tls'],
): Promise<Http[]> {
  const spoken: Http[] = []
  for (const http of wanted === undefined ? allHttp : [wanted])
    if ((await speaks(resource, http)) && (await speaks(tokenEndpoint, http))) spoken.push(http)
  if (spoken.length === 0)
    throw new Error(`${resource.host} does not speak ${wanted === 'h2' ? 'HTTP/2' : 'HTTP/1.1'} over TLS`)
  return spoken

  function speaks(at: URL, http: Http): Promise<boolean> {
    // A server without ALPN speaks HTTP/1.1; one that rejects the offer ends the handshake or the connection.
    const isChosen = (connection: Connection) => (connection.socket.alpnProtocol || 'http/1.1') === http
    return meet(at, cast, tls, [http], async connection => isChosen(connection)).catch(() => false)
  }
}

/** Opens a connection as alice for one request. @throws Error (rejects) when the server does not respond. */
async function meet<T>(
  at: URL,
  { ca, alice }: Cast,
  tls: StageOptions['tls'],
  protocols: string[],
  ask: (connection: Connection) => Promise<T>,
): Promise<T> {
  const identity = { ca, cert: alice.certificate, key: alice.key }
  const options = { ...endpointOf(at), ...identity, minVersion: tls, maxVersion: tls, ALPNProtocols: protocols }
  const connection = await openConnection(options, at.host).catch((error: Error) => {
    throw new Error(`no connection over ${tls}: ${error.message}`, { cause: error })
  })
  try {
    return await ask(connection)
  } finally {
    connection.close()
  }
}
