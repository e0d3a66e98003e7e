// The registered clients in memory: those of the file and those of the store, which override the file. Follows changes.
import {
  type Client,
  findOtherSpelling,
  indexTargets,
  parseClient,
  parseRegistrationsInSteps,
  type Registrations,
} from '../../core/client.ts'
import { findRegistration } from '../../core/client-authentication.ts'
import type { PresenterCertificate } from '../../core/presenter.ts'
import { atOnce, type Steps } from '../../core/steps.ts'
import type { ClientRecord, ClientSecret } from '../../store/store.ts'

export interface RegisteredClient {
  readonly client: Client
  readonly disabled: boolean
  readonly secrets: readonly ClientSecret[]
  /** The registration as written, in JSON. */
  readonly registration: string
  /** Where the registration is written. */
  readonly origin: 'file' | 'store'
}

/** Numbers of clients by a name that they have in common. */
class Tally extends Map<string, number> {
  /** Adds `by` to the number of a name. A name of which there are none is absent. */
  count(name: string, by: 1 | -1): void {
    const number = (this.get(name) ?? 0) + by
    if (number === 0) this.delete(name)
    else this.set(name, number)
  }
}

export class ClientRegistry {
  #ofFile: ReadonlyMap<string, RegisteredClient>
  readonly #ofStore = new Map<string, ClientRecord>()
  readonly #inForce = new Map<string, RegisteredClient>()
  /** The certificates and resources of enabled clients, because requests need them. */
  readonly #pins = new Tally()
  readonly #resources = new Tally()
  /** The clients of certificates that were searched for, until a registration changes. */
  #owners = new WeakMap<PresenterCertificate, string | false>()

  readonly #audience: string | undefined

  /** Creates the registry from the registrations of the file. `audience`: that of this server. @throws TypeError naming every problem. */
  constructor(registrations: Registrations, audience?: string) {
    this.#audience = audience
    this.#ofFile = atOnce(readFile(registrations, audience))
    for (const [id, registered] of this.#ofFile) this.#put(id, registered)
  }

  /**
   * Replaces all registrations of the file. Returns the clients whose effective registration has changed or is gone.
   * @throws TypeError naming every problem; the registry is then unchanged.
   */
  replaceFile(registrations: Registrations): string[] {
    return atOnce(this.replaceInSteps(registrations))
  }

  /** `replaceFile` in steps, of which only the last one changes the registry. One call must end before the next one begins. */
  *replaceInSteps(registrations: Registrations): Steps<string[]> {
    const ofFile = yield* readFile(registrations, this.#audience)
    const different: string[] = []
    let compared = 0
    for (const [id, known] of this.#ofFile) {
      if (++compared % portion === 0) yield
      if (ofFile.get(id)?.registration === known.registration) ofFile.set(id, known)
      else different.push(id)
    }
    yield
    for (const id of ofFile.keys()) if (!this.#ofFile.has(id)) different.push(id)
    this.#ofFile = ofFile
    const before = different.map(id => [id, this.get(id)?.registration] as const)
    for (const id of different) this.#judge(id)
    return before.filter(([id, was]) => was !== undefined && this.get(id)?.registration !== was).map(([id]) => id)
  }

  get(id: string): RegisteredClient | undefined {
    return this.#inForce.get(id)
  }

  /** All clients, including disabled ones. */
  get all(): RegisteredClient[] {
    return [...this.#inForce.values()]
  }

  /** The clients of all registrations, including disabled ones. */
  get known(): Client[] {
    return this.all.map(({ client }) => client)
  }

  /** Checks whether a client may act. Tokens of other clients are invalid. */
  isEnabled(id: string): boolean {
    return this.#inForce.get(id)?.disabled === false
  }

  /** The clients that may act. */
  get enabled(): Client[] {
    return this.all.filter(({ disabled }) => !disabled).map(({ client }) => client)
  }

  /** Checks whether the file has a client of this id, which is effective again when the store's registration is removed. */
  isOfFile(id: string): boolean {
    return this.#ofFile.has(id)
  }

  /** Applies a change from the store. An unreadable registration, for example of a newer version, disables the client. */
  apply(record: ClientRecord): void {
    this.#ofStore.set(record.id, record)
    this.#judge(record.id)
  }

  #judge(id: string): void {
    const ofFile = this.#ofFile.get(id)
    const { registration, disabled, secrets } = this.#ofStore.get(id) ?? nothing
    const client = registration === undefined ? undefined : parse(registration, id)
    if (registration !== undefined && client !== undefined)
      this.#put(id, { client, disabled, secrets, registration, origin: 'store' })
    else if (ofFile !== undefined)
      this.#put(id, { ...ofFile, disabled: disabled || registration !== undefined, secrets })
    else this.#put(id, undefined)
  }

  /** Replaces what applies to one client. The others are not looked at: the store may notify of 10⁵ clients at the start. */
  #put(id: string, registered: RegisteredClient | undefined): void {
    this.#owners = new WeakMap()
    const before = this.#inForce.get(id)
    if (registered === undefined) this.#inForce.delete(id)
    else this.#inForce.set(id, registered)
    this.#count(before, -1)
    this.#count(registered, 1)
  }

  #count(registered: RegisteredClient | undefined, by: 1 | -1): void {
    if (registered === undefined || registered.disabled) return
    const { certificates, resource } = registered.client
    for (const thumbprint of certificates) this.#pins.count(thumbprint, by)
    if (resource !== undefined) this.#resources.count(resource, by)
  }

  /** Checks whether a certificate itself is registered (RFC 8705 §2.2), so that no authority has to vouch for it. */
  isPinned(thumbprint: string): boolean {
    return this.#pins.has(thumbprint)
  }

  /** Finds the client that a certificate authenticates. Disabled clients count too, since they may be enabled again. */
  findClient = (certificate: PresenterCertificate): string | undefined => {
    let owner = this.#owners.get(certificate)
    if (owner === undefined) {
      owner = findRegistration(this.#inForce.values(), { certificate, bindings: {} })?.client.id ?? false
      this.#owners.set(certificate, owner)
    }
    return owner === false ? undefined : owner
  }

  /** Checks whether a client is a resource server of this name. */
  hasResource(audience: string): boolean {
    return this.#resources.has(audience)
  }

  /** Returns a sentence when the resource of a client is another spelling of that of another one, or of the audience of this server. */
  findOtherSpelling(client: Client): string | undefined {
    const others = this.known.filter(({ id }) => id !== client.id)
    return findOtherSpelling(client, indexTargets(others, this.#audience))
  }
}

/** The store's record of an unknown client. */
const nothing: Omit<ClientRecord, 'id'> = { registration: undefined, disabled: false, secrets: [] }

/** Registrations of one step. */
const portion = 1024

/** Returns what a file registers. @throws TypeError naming every problem. */
function* readFile(registrations: Registrations, audience: string | undefined): Steps<Map<string, RegisteredClient>> {
  const { list, clients } = yield* parseRegistrationsInSteps(registrations, audience)
  const registered = new Map<string, RegisteredClient>()
  let index = 0
  for (const [id, client] of clients) {
    const registration = JSON.stringify(list[index++])
    if (index % portion === 0) yield
    registered.set(id, { client, disabled: false, secrets: [], registration, origin: 'file' })
  }
  return registered
}

/** Parses a stored registration. Returns undefined if it is not a registration of this client. */
function parse(registration: string, id: string): Client | undefined {
  const problems: string[] = []
  try {
    const client = parseClient(JSON.parse(registration), problem => problems.push(problem))
    return problems.length === 0 && client?.id === id ? client : undefined
  } catch {
    return undefined
  }
}
