// The clients in force: those of the file, and those of the store, which go before them. Kept in memory, told of changes.
import { type Client, parseClient, parseClients } from '../../core/client.ts'
import type { ClientRecord, ClientSecret } from '../../store/store.ts'

export interface RegisteredClient {
  readonly client: Client
  readonly disabled: boolean
  readonly secrets: readonly ClientSecret[]
  /** As it was written, in JSON. */
  readonly registration: string
  /** Where it is written. */
  readonly origin: 'file' | 'store'
}

export class ClientRegistry {
  #ofFile: ReadonlyMap<string, RegisteredClient>
  readonly #ofStore = new Map<string, ClientRecord>()
  readonly #inForce: Map<string, RegisteredClient>
  /** Of the clients that may act; asked on requests, so not looked for each time. */
  #pins: ReadonlySet<string> = new Set()
  #resources: ReadonlySet<string> = new Set()

  /** Takes the registrations of the file. @throws TypeError naming every problem. */
  constructor(registrations: readonly object[]) {
    this.#ofFile = readFile(registrations)
    this.#inForce = new Map(this.#ofFile)
    this.#index()
  }

  /**
   * Takes other registrations in the place of all of the file. The answer: clients whose registration in force is no longer
   * what it was, or is gone. @throws TypeError naming every problem; all stays as it was.
   */
  replaceFile(registrations: readonly object[]): string[] {
    const ofFile = readFile(registrations)
    const before = new Map(this.#inForce)
    this.#ofFile = ofFile
    for (const id of new Set([...before.keys(), ...ofFile.keys()])) this.#judge(id)
    this.#index()
    return [...before].filter(([id, was]) => this.get(id)?.registration !== was.registration).map(([id]) => id)
  }

  get(id: string): RegisteredClient | undefined {
    return this.#inForce.get(id)
  }

  /** All of them, disabled ones too. */
  get all(): RegisteredClient[] {
    return [...this.#inForce.values()]
  }

  /** Whether a client may act; the tokens of others are dead. */
  isEnabled(id: string): boolean {
    return this.#inForce.get(id)?.disabled === false
  }

  /** The clients that may act. */
  get enabled(): Client[] {
    return this.all.filter(({ disabled }) => !disabled).map(({ client }) => client)
  }

  /** Whether the file has a client of this id, which comes back into force when the store's goes. */
  isOfFile(id: string): boolean {
    return this.#ofFile.has(id)
  }

  /** Takes a change from the store into force. A registration that we cannot read, of a newer version say, is disabled. */
  apply(record: ClientRecord): void {
    this.#ofStore.set(record.id, record)
    this.#judge(record.id)
    this.#index()
  }

  #judge(id: string): void {
    const ofFile = this.#ofFile.get(id)
    const { registration, disabled, secrets } = this.#ofStore.get(id) ?? nothing
    const client = registration === undefined ? undefined : parse(registration, id)
    if (registration !== undefined && client !== undefined)
      this.#inForce.set(id, { client, disabled, secrets, registration, origin: 'store' })
    else if (ofFile !== undefined)
      this.#inForce.set(id, { ...ofFile, disabled: disabled || registration !== undefined, secrets })
    else this.#inForce.delete(id)
  }

  /** Whether a certificate is registered itself (RFC 8705 §2.2), so that no authority needs to vouch for it. */
  isPinned(thumbprint: string): boolean {
    return this.#pins.has(thumbprint)
  }

  /** Whether there is a resource server of this name among the clients. */
  hasResource(audience: string): boolean {
    return this.#resources.has(audience)
  }

  #index(): void {
    this.#pins = new Set(this.enabled.flatMap(({ certificates }) => [...certificates]))
    this.#resources = new Set(this.enabled.map(({ resource }) => resource).filter(resource => resource !== undefined))
  }
}

/** What a store says of a client that it has never heard of. */
const nothing: Omit<ClientRecord, 'id'> = { registration: undefined, disabled: false, secrets: [] }

/** @throws TypeError naming every problem. */
function readFile(registrations: readonly object[]): Map<string, RegisteredClient> {
  const problems: string[] = []
  const clients = [...parseClients(registrations, problems).values()]
  if (problems.length > 0) throw new TypeError(problems.join('\n'))
  const registered = clients.map((client, index): [string, RegisteredClient] => {
    const registration = JSON.stringify(registrations[index])
    return [client.id, { client, disabled: false, secrets: [], registration, origin: 'file' }]
  })
  return new Map(registered)
}

/** undefined when it is not a registration of this client. */
function parse(registration: string, id: string): Client | undefined {
  const problems: string[] = []
  try {
    const client = parseClient(JSON.parse(registration), problem => problems.push(problem))
    return problems.length === 0 && client?.id === id ? client : undefined
  } catch {
    return undefined
  }
}
