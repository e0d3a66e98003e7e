// What the upstream is told about a verified token: one signed assertion, and plain fields by option. Built once for a connection,
// a token and an upstream, and again before the assertion ends, so that a request signs nothing.
import type { AccessToken } from '../core/access-token.ts'
import type { Connection } from '../tls/connection.ts'
import { certificateFields, identityFields } from './fields.ts'
import type { Address, Route } from './routes.ts'

/** The `typ` of assertions. Not that of access tokens, so that no resource server takes an assertion for one (RFC 8725 §3.11). */
export const assertionType = 'tlsbound-assertion+jwt'

/** Seconds that an assertion is valid, and after which the next request gets a new one. */
export const assertionLifetime = { most: 60, renewAfter: 30 }

export interface AssertionSigner {
  /** The `iss` of assertions. */
  readonly issuer: string
  /** Signs claims at `now`, in seconds since 1970, as a JWT of this `typ`. */
  readonly sign: (claims: object, now: number, type: string) => string
  /** Seconds since 1970. */
  readonly now: () => number
}

/** For whom an identity is stated: a route. */
export type Recipient = Pick<Route, 'identityFields' | 'clientCert'> & { readonly upstream: Pick<Address, 'text'> }

interface Stated {
  readonly fields: readonly string[]
  readonly renewAt: number
}

/** Returns the fields that state the identity of a verified token to the upstream of a route. */
export type StateIdentity = (
  route: Recipient,
  token: AccessToken,
  connection: Connection | undefined,
) => readonly string[]

export function createStatement({ issuer, sign, now }: AssertionSigner): StateIdentity {
  // A verified token is an object of its connection.
  const stated = new WeakMap<AccessToken, Map<Recipient, Stated>>()
  return (route, token, connection) => {
    const time = Math.floor(now())
    const known = stated.get(token)
    const recent = known?.get(route)
    if (recent !== undefined && time < recent.renewAt) return recent.fields
    const { sub, client_id, scope, cnf, jti, exp } = token.claims
    const end = Math.min(time + assertionLifetime.most, exp)
    const claims = {
      ...{ iss: issuer, aud: route.upstream.text, sub, client_id, scope, cnf, jti },
      ...{ token_binding: token.binding, token_exp: exp, iat: time, exp: end },
      ...(token.attested !== undefined && { attested: token.attested }),
    }
    const fields = [
      'tlsbound-assertion',
      sign(claims, time, assertionType),
      ...(route.identityFields ? identityFields(token) : []),
      ...(route.clientCert ? certificateFields(connection) : []),
    ]
    const next = { fields, renewAt: Math.min(time + assertionLifetime.renewAfter, end) }
    if (known === undefined) stated.set(token, new Map([[route, next]]))
    else known.set(route, next)
    return fields
  }
}
