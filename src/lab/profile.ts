// What the lab knows about a server: where it issues tokens, where they are used, and how it binds them. From its
// metadata (RFC 8414, OpenID Connect Discovery); options override it.
import { type TokenBinding, tokenBindings } from '../core/confirmation.ts'
import type { ClientAuthentication } from './client-authentication.ts'
import type { Answer } from './connection.ts'

/** With `tlsbound` the client chooses the level of a token; `rfc8705` has only certificate-bound tokens. */
export type ProfileName = 'tlsbound' | 'rfc8705'

export interface Profile {
  readonly name: ProfileName
  readonly issuer: URL
  readonly tokenEndpoint: URL
  /** The resource, requested with GET. */
  readonly resource: URL
  /** A resource that requires signed requests (RFC 9421), requested with GET and POST. */
  readonly signedResource?: URL | undefined
  /** RFC 7009; undefined without revocation. */
  readonly revocationEndpoint: URL | undefined
  /** The URL of its public keys, RFC 7517. */
  readonly jwks: URL | undefined
  /** RFC 8414 §2, if stated. */
  readonly grantTypes: readonly string[]
  /** The levels that the server offers. */
  readonly levels: readonly TokenBinding[]
  readonly scope: string | undefined
  /** Default: by the certificate. */
  readonly clientAuthentication?: ClientAuthentication | undefined
}

export interface ProfileOptions {
  readonly name?: ProfileName | undefined
  readonly tokenEndpoint?: string | undefined
  readonly resource?: string | undefined
  readonly signedResource?: string | undefined
  readonly scope?: string | undefined
  readonly clientAuthentication?: ClientAuthentication | undefined
}

const documents = ['/.well-known/oauth-authorization-server', '/.well-known/openid-configuration']

/**
 * Reads the profile of a server. `get` fetches its metadata without a token.
 * @throws Error (rejects) that names the missing option.
 */
export async function readProfile(
  issuer: URL,
  options: ProfileOptions,
  get: (path: string) => Promise<Answer>,
): Promise<Profile> {
  const metadata = await readMetadata(get)
  const bindings = metadata?.token_bindings_supported
  const name = options.name ?? (Array.isArray(bindings) ? 'tlsbound' : 'rfc8705')
  const aliases = metadata?.mtls_endpoint_aliases as Record<string, unknown> | undefined // RFC 8705 §5
  const endpoint = options.tokenEndpoint ?? aliases?.token_endpoint ?? metadata?.token_endpoint
  const resource = options.resource ?? (name === 'tlsbound' ? '/api/whoami' : undefined)
  const isDemo = name === 'tlsbound' && options.resource === undefined
  const signed = options.signedResource ?? (isDemo ? '/api/signed-notes' : undefined)
  // A tlsbound server names its issuer, which in a test may differ from its address.
  const at = (address: string) =>
    name === 'tlsbound' ? new URL(new URL(address, issuer).pathname, issuer) : new URL(address, issuer)
  const find = (member: string) => {
    const address = aliases?.[member] ?? metadata?.[member]
    return typeof address === 'string' ? at(address) : undefined
  }
  if (name === 'tlsbound' && !Array.isArray(bindings))
    throw new Error('the metadata of the server has no levels; set --profile rfc8705')
  if (typeof endpoint !== 'string') throw new Error('the server has no metadata; set --token-endpoint')
  if (resource === undefined) throw new Error('the metadata does not name a resource; set --resource')
  return {
    name,
    issuer,
    tokenEndpoint: options.tokenEndpoint === undefined ? at(endpoint) : new URL(endpoint, issuer),
    resource: new URL(resource, issuer),
    signedResource: signed === undefined ? undefined : new URL(signed, issuer),
    revocationEndpoint: find('revocation_endpoint'),
    jwks: find('jwks_uri'),
    grantTypes: Array.isArray(metadata?.grant_types_supported) ? metadata.grant_types_supported : [],
    levels:
      name === 'tlsbound' ? tokenBindings.filter(level => (bindings as unknown[]).includes(level)) : ['certificate'],
    scope: options.scope,
    clientAuthentication: options.clientAuthentication,
  }
}

async function readMetadata(get: (path: string) => Promise<Answer>): Promise<Record<string, unknown> | undefined> {
  for (const path of documents) {
    const { status, body } = await get(path)
    if (status === 200 && typeof body?.token_endpoint === 'string') return body
  }
  return undefined
}
