// The stage of a scenario: connections as each of the cast, honestly requested tokens, and their use. Everything that a
// scenario opens is closed at its end, and the number of connections is limited.
import type { ProofClaims } from '../core/binding-proof.ts'
import { readKeyingMaterial } from '../core/channel-binding.ts'
import type { TokenBinding } from '../core/confirmation.ts'
import type { ConnectTlsOptions } from '../outgoing/connect.ts'
import { describeAnswer, NotTried } from './attempt.ts'
import { buildProof, type Cast, type Identity } from './cast.ts'
import { buildCredentials } from './client-authentication.ts'
import { type Answer, type Call, type Connection, endpointOf, openConnection } from './connection.ts'
import type { Profile } from './profile.ts'

/** A connection on which a token can be requested and used. */
export interface Speaker extends Pick<Connection, 'call'> {
  readonly who: Identity | null
  /** Builds a binding proof for a token on this connection; `claims` override the valid ones. */
  prove(token: string, claims?: Partial<ProofClaims>): string
}

/** A connection with its identity. */
export interface Played extends Connection, Speaker {}

export interface StageOptions {
  readonly profile: Profile
  readonly cast: Cast
  readonly level: TokenBinding
  readonly tls: 'TLSv1.3' | 'TLSv1.2'
  readonly http: 'http/1.1' | 'h2'
  /** Milliseconds to wait before each connection. */
  readonly pause: number
  /** The maximum number of connections per scenario. */
  readonly maximumConnections: number
  /** Advances the server's clock by seconds. Default: waits in real time. */
  readonly wait?: ((seconds: number) => Promise<void>) | undefined
  /** Restarts the server at the same address with the same keys. */
  readonly restart?: (() => Promise<void>) | undefined
}

interface Closable {
  close(): void
}

/** The maximum number of seconds that a scenario waits in real time. */
const maximumWait = 10

export class Stage {
  readonly options: StageOptions
  readonly #open = new Set<Closable>()
  #isOver = false
  /** The number of opened connections. */
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

  /** Opens a connection to the resource. `options` override those of the stage. */
  connect(who: Identity | null, options: Partial<ConnectTlsOptions> = {}): Promise<Played> {
    return this.connectTo(this.options.profile.resource, who, options)
  }

  /** Opens a connection to an endpoint, possibly at another origin than the resource. */
  async connectTo(to: URL, who: Identity | null, options: Partial<ConnectTlsOptions> = {}): Promise<Played> {
    if (this.connections >= this.options.maximumConnections)
      throw new NotTried(`the scenario needs more than ${this.options.maximumConnections} connections`)
    if (this.options.pause > 0) await new Promise(resolve => setTimeout(resolve, this.options.pause))
    const { tls, http, cast } = this.options
    const connection = await openConnection(
      {
        ...endpointOf(to),
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
    this.keep(connection)
    return {
      ...connection,
      who,
      prove: (token, claims) => buildProof(who, readKeyingMaterial(connection.socket), token, claims),
    }
  }

  /** Opens a connection of an honest client, with a token that is valid on it at the level of this stage. */
  async victim(
    who: Identity = this.cast.alice,
    options: Partial<ConnectTlsOptions> = {},
  ): Promise<{ connection: Played; token: string }> {
    const connection = await this.connect(who, options)
    return { connection, token: await this.tokenFor(connection) }
  }

  /** Requests a token that is valid on this connection; over it, unless the token endpoint has another origin. */
  async tokenFor(connection: Speaker): Promise<string> {
    return this.token(await this.reach(this.options.profile.tokenEndpoint, connection))
  }

  /** Returns a connection of the same client to an endpoint: this one, unless it has another origin. */
  async reach(endpoint: URL, connection: Speaker): Promise<Speaker> {
    return endpoint.origin === this.options.profile.resource.origin
      ? connection
      : this.connectTo(endpoint, connection.who)
  }

  /** Requests an access token for the client of the connection. @throws NotTried (rejects) when the server refuses. */
  async token(connection: Speaker, parameters: Readonly<Record<string, string>> = {}): Promise<string> {
    const answer = await this.requestToken(connection, parameters)
    const token: unknown = answer.body?.access_token
    if (typeof token !== 'string') throw new NotTried(`no token was issued: ${describeAnswer(answer)}`)
    return token
  }

  /** The path and query of the resource, for requests that send their token in another way than `use`. */
  get resourcePath(): string {
    const { pathname, search } = this.options.profile.resource
    return pathname + search
  }

  /** Requests a token with client_credentials at the level of this stage; `parameters` override the form. */
  requestToken(
    connection: Speaker,
    parameters: Readonly<Record<string, string>> = {},
    headers: Call['headers'] = {},
  ): Promise<Answer> {
    const { profile, level } = this.options
    const form = {
      grant_type: 'client_credentials',
      client_id: connection.who?.clientId ?? '',
      ...(profile.name === 'tlsbound' && { token_binding: level }),
      ...(profile.scope !== undefined && { scope: profile.scope }),
      ...parameters,
    }
    return this.post(connection, profile.tokenEndpoint, form, headers)
  }

  /**
   * POSTs a form to an endpoint. Adds `headers`, and the secret of the client that the form names, if clients have
   * secrets: the scenarios assume that a thief knows it.
   */
  post(
    connection: Speaker,
    { pathname, search }: URL,
    form: Readonly<Record<string, string>>,
    headers: Call['headers'] = {},
  ): Promise<Answer> {
    const type = { 'content-type': 'application/x-www-form-urlencoded' }
    const { alice, bob } = this.cast
    const { clientAuthentication: how = 'tls_client_auth' } = this.options.profile
    const named = [alice, bob].find(identity => identity !== undefined && identity.clientId === form.client_id)
    const credentials = buildCredentials(how, form.client_id ?? '', named?.secret)
    const body = new URLSearchParams({ ...form, ...credentials.parameters }).toString()
    return connection.call(pathname + search, {
      method: 'POST',
      headers: { ...type, ...credentials.headers, ...headers },
      body,
    })
  }

  /** Uses a token at the resource, with a proof where the level requires one; `call` overrides both. */
  use(connection: Speaker, token: string, call: Call = {}): Promise<Answer> {
    const proof = this.level === 'proof' && connection.who !== null ? { proof: connection.prove(token) } : {}
    return connection.call(this.resourcePath, { token, ...proof, ...call })
  }

  /** Waits for seconds to pass. @throws NotTried (rejects) when that takes too long. */
  async wait(seconds: number): Promise<void> {
    const { wait } = this.options
    if (wait !== undefined) return wait(seconds)
    if (seconds > maximumWait) throw new NotTried(`the scenario would have to wait ${seconds} s`)
    await new Promise(resolve => setTimeout(resolve, seconds * 1000))
  }

  /** Registers something to close at the end; closes it at once when the scenario has timed out already. */
  keep(opened: Closable): void {
    if (this.#isOver) opened.close()
    else this.#open.add(opened)
  }

  /** Closes everything that was opened. */
  clear(): void {
    this.#isOver = true
    for (const connection of this.#open) connection.close()
    this.#open.clear()
  }
}
