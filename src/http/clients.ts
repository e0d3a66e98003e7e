// The clients in force: those of the file, and those of the store, which go before them. Kept in memory, told of changes.
import { type Client, readClient, readClients } from '../core/client.ts'
import type { ClientRecord, ClientSecret } from '../store/store.ts'

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
  readonly #ofFile = new Map<string, RegisteredClient>()
  readonly #inForce: Map<string, RegisteredClient>
  /** Of the clients that may act; asked on requests, so not looked for each time. */
  #pins: ReadonlySet<string> = new Set()
  #resources: ReadonlySet<string> = new Set()

  /** Takes the registrations of the file. @throws TypeError naming every problem. */
  constructor(registrations: readonly object[]) {
    const problems: string[] = []
    const clients = readClients(registrations, problems)
    if (problems.length > 0) throw new TypeError(problems.join('\n'))
    for (const [index, client] of [...clients.values()].entries()) {
      const registration = JSON.stringify(registrations[index])
      this.#ofFile.set(client.id, { client, disabled: false, secrets: [], registration, origin: 'file' })
    }
    this.#inForce = new Map(this.#ofFile)
    this.#index()
  }

  get(id: string): RegisteredClient | undefined {
    return this.#inForce.get(id)
  }

  /** All of them, disabled ones too. */
  get all(): RegisteredClient[] {
    return [...this.#inForce.values()]
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
  apply({ id, registration, disabled, secrets }: ClientRecord): void {
    const ofFile = this.#ofFile.get(id)
    const client = registration === undefined ? undefined : parse(registration, id)
    if (registration !== undefined && client !== undefined)
      this.#inForce.set(id, { client, disabled, secrets, registration, origin: 'store' })
    else if (ofFile !== undefined)
      this.#inForce.set(id, { ...ofFile, disabled: disabled || registration !== undefined, secrets })
    else this.#inForce.delete(id)
    this.#index()
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

/** undefined when it is not a registration of this client. */
function parse(registration: string, id: string): Client | undefined {
  const problems: string[] = []
  try {
    const client = readClient(JSON.parse(registration), problem => problems.push(problem))
    return problems.length === 0 && client?.id === id ? client : undefined
  } catch {
    return undefined
  }
}
