// Where a scenario plays: connections as whoever the lab has certificates of, tokens got the honest way, and their use.
// Everything that a scenario opens is closed when it has ended, and the number of connections is bounded.
import { createPrivateKey, X509Certificate } from 'node:crypto'
import type { ConnectionOptions } from 'node:tls'
import { buildBindingProof, hashToken, type ProofClaims } from '../core/binding-proof.ts'
import { readKeyingMaterial } from '../core/channel-binding.ts'
import type { TokenBinding } from '../core/confirmation.ts'
import { readCertificate } from '../core/presenter.ts'
import { NotTried } from './attempt.ts'
import { type Answer, type Call, type Connection, openConnection } from './connection.ts'
import type { Profile } from './profile.ts'

/** PEM texts, and what token requests name. */
export interface Identity {
  readonly certificate: string
  readonly key: string
  readonly clientId: string
}

/** Who plays. Alice is a registered client; without the others some scenarios cannot be tried. */
export interface Cast {
  readonly alice: Identity
  /** Another registered client. */
  readonly bob?: Identity | undefined
  /** A certificate of the same authority that is not registered. */
  readonly mallory?: Identity | undefined
  /** A certificate of an authority that the server does not trust. */
  readonly stranger?: Identity | undefined
  /** Issues further certificates of the authority, where its key is at hand. */
  readonly issue?: ((wish: CertificateWish) => Identity) | undefined
  /** The authorities of the server's certificate, PEM. */
  readonly ca: string
}

export interface CertificateWish {
  /** Whose subject it names. */
  readonly like: Identity
  /** Renewed for the same key; otherwise for a new one. */
  readonly sameKey?: boolean
  readonly notAfter?: Date
}

/** A connection, and who opened it. */
export interface Played extends Connection {
  readonly who: Identity | null
  /** A binding proof for a token on this connection, with the key of its certificate; `claims` go before the right ones. */
  prove(token: string, claims?: Partial<ProofClaims>): string
}

export interface StageOptions {
  readonly profile: Profile
  readonly cast: Cast
  readonly level: TokenBinding
  readonly tls: 'TLSv1.3' | 'TLSv1.2'
  readonly http: 'http/1.1' | 'h2'
  /** Milliseconds to wait before each connection. */
  readonly pause: number
  /** How many connections one scenario may open. */
  readonly maximumConnections: number
}

export class Stage {
  readonly options: StageOptions
  readonly #open = new Set<Connection>()
  /** How many connections were opened so far. */
  connections = 0

  constructor(options: StageOptions) {
    this.options = options
  }

  get cast(): Cast {
    return this.options.cast
  }

  get level(): TokenBinding {
    return this.options.level
  }

  /** Opens a connection to where tokens are used. `options` go before those that the stage plays with. */
  connect(who: Identity | null, options: ConnectionOptions = {}): Promise<Played> {
    return this.#connect(this.options.profile.resource, who, options)
  }

  /** An honest client: its connection, and a token that is good there at the level of this stage. */
  async victim(
    who: Identity = this.cast.alice,
    options: ConnectionOptions = {},
  ): Promise<{ connection: Played; token: string }> {
    const { tokenEndpoint, resource } = this.options.profile
    const connection = await this.connect(who, options)
    const isHere = tokenEndpoint.origin === resource.origin
    const issuer = isHere ? connection : await this.#connect(tokenEndpoint, who, options)
    return { connection, token: await this.token(issuer) }
  }

  /** An access token for whoever opened the connection. @throws NotTried (rejects) when the server gives none. */
  async token(connection: Played, parameters: Readonly<Record<string, string>> = {}): Promise<string> {
    const answer = await this.requestToken(connection, parameters)
    const token: unknown = answer.body?.access_token
    if (typeof token !== 'string')
      throw new NotTried(`no token was given: ${answer.status} ${answer.body?.error ?? ''}`)
    return token
  }

  /** POST to the token endpoint: client_credentials at the level of this stage, unless `parameters` say otherwise. */
  requestToken(connection: Played, parameters: Readonly<Record<string, string>> = {}): Promise<Answer> {
    const { profile, level } = this.options
    const form = {
      grant_type: 'client_credentials',
      client_id: connection.who?.clientId ?? '',
      ...(profile.name === 'tlsbound' && { token_binding: level }),
      ...(profile.scope !== undefined && { scope: profile.scope }),
      ...parameters,
    }
    const headers = { 'content-type': 'application/x-www-form-urlencoded' }
    const { pathname, search } = profile.tokenEndpoint
    return connection.call(pathname + search, { method: 'POST', headers, body: new URLSearchParams(form).toString() })
  }

  /** Uses a token at the resource, with a proof where the level needs one and `call` does not say otherwise. */
  use(connection: Played, token: string, call: Call = {}): Promise<Answer> {
    const { pathname, search } = this.options.profile.resource
    const proof = this.level === 'proof' && connection.who !== null ? { proof: connection.prove(token) } : {}
    return connection.call(pathname + search, { token, ...proof, ...call })
  }

  /** Closes all that was opened. */
  clear(): void {
    for (const connection of this.#open) connection.close()
    this.#open.clear()
  }

  async #connect(to: URL, who: Identity | null, options: ConnectionOptions): Promise<Played> {
    if (this.#open.size >= this.options.maximumConnections)
      throw new NotTried(`it needs more than ${this.options.maximumConnections} connections`)
    if (this.options.pause > 0) await new Promise(resolve => setTimeout(resolve, this.options.pause))
    const { tls, http, cast } = this.options
    const connection = await openConnection(
      {
        host: to.hostname,
        port: Number(to.port || 443),
        servername: to.hostname,
        ca: cast.ca,
        minVersion: tls,
        maxVersion: tls,
        ALPNProtocols: [http],
        ...(who && { cert: who.certificate, key: who.key }),
        ...options,
      },
      to.host,
    )
    this.connections += 1
    this.#open.add(connection)
    return { ...connection, who, prove: (token, claims) => prove(connection, who, token, claims) }
  }
}

function prove({ socket }: Connection, who: Identity | null, token: string, claims: Partial<ProofClaims> = {}): string {
  if (who === null) throw new TypeError('without a certificate nothing can be proven')
  const { thumbprint } = readCertificate(new X509Certificate(who.certificate))
  const iat = Math.floor(Date.now() / 1000)
  const right = { ath: hashToken(token), ekm: readKeyingMaterial(socket) ?? 'none', iat }
  return buildBindingProof({ ...right, ...claims }, createPrivateKey(who.key), thumbprint)
}
