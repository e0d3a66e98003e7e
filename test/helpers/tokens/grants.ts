// Clients with refresh tokens, requests to the token endpoints, and a store whose calls and content are observed.
import { hashOpaqueToken } from '../../../src/core/opaque-token.ts'
import type { Change, Store } from '../../../src/store/store.ts'
import type { Answer, TestConnection } from '../../../src/testing/server.ts'

/** A registration whose certificate is identified by its common name. */
export const register = (id: string, changes: object = {}) => ({
  client_id: id,
  token_endpoint_auth_method: 'tls_client_auth',
  tls_client_auth_subject_dn: `CN=${id}`,
  scope: 'notes:read notes:write',
  grant_types: ['client_credentials', 'refresh_token'],
  token_bindings: ['connection', 'certificate'],
  ...changes,
})

/** Puts a registration into a store, enabled or disabled. */
export async function putClient(store: Store, registration: { client_id: string }, disabled = false): Promise<void> {
  const { client_id: id } = registration
  await store.putClient(id, JSON.stringify(registration))
  await (disabled ? store.disableClient(id, '') : store.enableClient(id))
}

type Parameters = Readonly<Record<string, string>>

/** POSTs a form unchanged. */
export function post(
  connection: TestConnection,
  path: string,
  parameters: Parameters | string,
  headers: Parameters = {},
): Promise<Answer> {
  const type = { 'content-type': 'application/x-www-form-urlencoded' }
  return connection.call(path, {
    method: 'POST',
    headers: { ...type, ...headers },
    body: new URLSearchParams(parameters).toString(),
  })
}

export const refresh = (connection: TestConnection, refreshToken: string, parameters: Parameters = {}) =>
  connection.requestToken({ grant_type: 'refresh_token', refresh_token: refreshToken, ...parameters })

export const revoke = (connection: TestConnection, token: string, client_id = 'alice') =>
  post(connection, '/oauth/revoke', { client_id, token })

export const introspect = (connection: TestConnection, token: string, client_id = 'api') =>
  post(connection, '/oauth/introspect', { client_id, token })

export interface Tokens {
  readonly access: string
  readonly refresh: string
}

/** Returns the first tokens of a new grant, or those of a response. Throws if they were not issued. */
export async function startGrant(connection: TestConnection, parameters: Parameters = {}): Promise<Tokens> {
  return tokensOf(await connection.requestToken(parameters))
}

export function tokensOf({ body, text }: Answer): Tokens {
  if (typeof body?.access_token !== 'string' || typeof body.refresh_token !== 'string')
    throw new Error(`no tokens were issued: ${text}`)
  return { access: body.access_token, refresh: body.refresh_token }
}

/** The claims of a signed token, unverified. */
export function claimsOf(token: string) {
  return JSON.parse(Buffer.from(token.split('.')[1] as string, 'base64url').toString())
}

/** A real store, with the names of the calls that could use a disk or a network. */
export function watchStore(store: Store): { store: Store; calls: string[] } {
  const calls: string[] = []
  const watched = new Proxy(store, {
    get(target, name) {
      const member = Reflect.get(target, name)
      if (typeof member !== 'function') return member
      return (...values: unknown[]) => {
        if (name !== 'millisecondsSinceSync') calls.push(String(name))
        return member.apply(target, values)
      }
    },
  })
  return { store: watched, calls }
}

/** Returns what a store contains, and its state of these tokens: everything that a request could have changed. */
export async function contentsOf(store: Store, tokens: readonly string[] = []): Promise<object> {
  const news: Change[] = []
  const stop = await store.follow(one => void news.push(one))
  stop()
  const hashes = tokens.map(hashOpaqueToken)
  return {
    news,
    clients: await store.listClients(),
    refreshTokens: await Promise.all(hashes.map(hash => store.findRefreshToken(hash))),
    accessTokens: await Promise.all(hashes.map(hash => store.findAccessToken(hash))),
    notes: await store.listNotes('alice', 100),
  }
}
