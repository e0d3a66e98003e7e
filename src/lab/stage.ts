// Where a scenario plays: connections as whoever the lab has certificates of, tokens got the honest way, and their use.
// Everything that a scenario opens is closed when it has ended, and the number of connections is bounded.
import type { ProofClaims } from '../core/binding-proof.ts'
import { readKeyingMaterial } from '../core/channel-binding.ts'
import type { TokenBinding } from '../core/confirmation.ts'
import type { ConnectTlsOptions } from '../outgoing/connect.ts'
import { NotTried, tellAnswer } from './attempt.ts'
import { buildProof, type Cast, type Identity } from './cast.ts'
import { buildCredentials } from './client-authentication.ts'
import { type Answer, type Call, type Connection, endpointOf, openConnection } from './connection.ts'
import type { Profile } from './profile.ts'

/** Enough of a connection to ask for a token on it, and to use that. */
export interface Speaker extends Pick<Connection, 'call'> {
  readonly who: Identity | null
  /** A binding proof for a token on this connection, with the key of its certificate; `claims` go before the right ones. */
  prove(token: string, claims?: Partial<ProofClaims>): string
}

/** A connection, and who opened it. */
export interface Played extends Connection, Speaker {}

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
  /** Lets seconds pass on the server's clock. Default: they are waited for. */
  readonly wait?: ((seconds: number) => Promise<void>) | undefined
  /** Restarts the server, at the same address and with the same keys. */
  readonly restart?: (() => Promise<void>) | undefined
}

interface Closable {
  close(): void
}

/** Seconds that a scenario can wait for in real time. */
const maximumWait = 10

export class Stage {
  readonly options: StageOptions
  readonly #open = new Set<Closable>()
  #isOver = false
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
  connect(who: Identity | null, options: Partial<ConnectTlsOptions> = {}): Promise<Played> {
    return this.connectTo(this.options.profile.resource, who, options)
  }

  /** Opens a connection to an endpoint that may be at another origin than the resource. */
  async connectTo(to: URL, who: Identity | null, options: Partial<ConnectTlsOptions> = {}): Promise<Played> {
    if (this.connections >= this.options.maximumConnections)
      throw new NotTried(`it needs more than ${this.options.maximumConnections} connections`)
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

  /** An honest client: its connection, and a token that is good there at the level of this stage. */
  async victim(
    who: Identity = this.cast.alice,
    options: Partial<ConnectTlsOptions> = {},
  ): Promise<{ connection: Played; token: string }> {
    const connection = await this.connect(who, options)
    return { connection, token: await this.tokenFor(connection) }
  }

  /** A token that is good on this connection; issued on it, unless the server issues tokens at another origin. */
  async tokenFor(connection: Speaker): Promise<string> {
    return this.token(await this.reach(this.options.profile.tokenEndpoint, connection))
  }

  /** A connection of the same client on which an endpoint can be asked: this one, unless that is at another origin. */
  async reach(endpoint: URL, connection: Speaker): Promise<Speaker> {
    return endpoint.origin === this.options.profile.resource.origin
      ? connection
      : this.connectTo(endpoint, connection.who)
  }

  /** An access token for whoever opened the connection. @throws NotTried (rejects) when the server gives none. */
  async token(connection: Speaker, parameters: Readonly<Record<string, string>> = {}): Promise<string> {
    const answer = await this.requestToken(connection, parameters)
    const token: unknown = answer.body?.access_token
    if (typeof token !== 'string') throw new NotTried(`no token was given: ${tellAnswer(answer)}`)
    return token
  }

  /** The path and query of the resource, for requests that bring their token in some other way than `use`. */
  get resourcePath(): string {
    const { pathname, search } = this.options.profile.resource
    return pathname + search
  }

  /** POST to the token endpoint: client_credentials at the level of this stage, unless `parameters` say otherwise. */
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
   * POSTs a form to an endpoint of the server. `headers` go with it, and where clients have secrets that of the client whom
   * it names: a thief knows it too, and what stops them must be something else.
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

  /** Uses a token at the resource, with a proof where the level needs one and `call` does not say otherwise. */
  use(connection: Speaker, token: string, call: Call = {}): Promise<Answer> {
    const proof = this.level === 'proof' && connection.who !== null ? { proof: connection.prove(token) } : {}
    return connection.call(this.resourcePath, { token, ...proof, ...call })
  }

  /** Lets seconds pass. @throws NotTried (rejects) when they are too many to wait for. */
  async wait(seconds: number): Promise<void> {
    const { wait } = this.options
    if (wait !== undefined) return wait(seconds)
    if (seconds > maximumWait) throw new NotTried(`it would have to wait ${seconds} s`)
    await new Promise(resolve => setTimeout(resolve, seconds * 1000))
  }

  /** Closes something else with all that was opened; at once when the scenario was given up in the meantime. */
  keep(opened: Closable): void {
    if (this.#isOver) opened.close()
    else this.#open.add(opened)
  }

  /** Closes all that was opened. */
  clear(): void {
    this.#isOver = true
    for (const connection of this.#open) connection.close()
    this.#open.clear()
  }
}
