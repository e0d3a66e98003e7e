// /admin/clients: lists and changes client registrations. A change is stored and effective before its response. The clients
// file is never written: a change to one of its clients is stored as a copy, which overrides the file.
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { requireNoClient } from '../core/certificate-proxy.ts'
import { findRival, parseClient } from '../core/client.ts'
import { buildRevocation } from '../core/revocations.ts'
import type { RegisteredClient } from '../server/clients/registry.ts'
import { findMissingKeys } from '../server/clients/token-format.ts'
import type { ClientRecord } from '../store/store.ts'
import type { OpsParts } from './parts.ts'
import { OpsRefusal, unknownClient } from './refusals.ts'
import { revoke } from './revocations.ts'

interface Named {
  Params: { id: string }
}

export function clientRoutes(app: FastifyInstance, parts: OpsParts): void {
  const { clients, store, audit, inTurn } = parts
  const path = '/admin/clients/:id'

  app.get('/admin/clients', () => ({ clients: clients.all.map(describe) }))
  app.get<Named>(path, ({ params }) => describe(find(params.id)))

  app.put<Named>(path, (request, reply) =>
    inTurn(async () => {
      const { id } = request.params
      checkRegistration(id, request.body)
      const known = (await findRecord(id))?.registration ?? clients.get(id)?.registration
      const registration = JSON.stringify(request.body)
      const isNew = clients.get(id) === undefined
      const changes = known !== undefined && known !== registration
      const revocation = changes ? buildRevocation('client', id, parts.now()) : undefined
      await store.putClient(id, registration, revocation)
      audit.clientChanged(request, id, isNew ? 'added' : 'replaced')
      if (revocation !== undefined) audit.tokenRevoked(request, undefined, revocation)
      return reply.code(isNew ? 201 : 200).send(describe(find(id)))
    }),
  )

  app.post<Named>(`${path}/disable`, request =>
    inTurn(async () => {
      const { id } = request.params
      await disable(request, id)
      return describe(find(id))
    }),
  )

  app.post<Named>(`${path}/enable`, request =>
    inTurn(async () => {
      const { id } = request.params
      if (await store.enableClient(id)) audit.clientChanged(request, id, 'enabled')
      return describe(find(id))
    }),
  )

  app.delete<Named>(path, request =>
    inTurn(async () => {
      const { id } = request.params
      if (clients.isOfFile(id))
        throw new OpsRefusal(409, [`${id} is registered in the clients file: remove it there, or disable it here`])
      if ((await findRecord(id)) !== undefined) await disable(request, id) // the removal may fail
      if (!(await store.removeClient(id))) throw unknownClient()
      audit.clientChanged(request, id, 'removed')
      return { client_id: id, removed: true }
    }),
  )

  /** Disables a client, then revokes what it holds, so that nothing new is issued in between. Can be repeated. */
  async function disable(request: FastifyRequest, id: string): Promise<void> {
    const registration = (await findRecord(id))?.registration ?? find(id).registration
    if (await store.disableClient(id, registration)) audit.clientChanged(request, id, 'disabled')
    await revoke(request, 'client', id, parts)
  }

  function find(id: string): RegisteredClient {
    const registered = clients.get(id)
    if (registered === undefined) throw unknownClient()
    return registered
  }

  /** Returns the stored record, even if this version cannot parse its registration. */
  async function findRecord(id: string): Promise<ClientRecord | undefined> {
    return (await store.listClients()).find(record => record.id === id)
  }

  /**
   * Verifies a registration. @throws OpsRefusal with all problems. Disabled clients count too, since they may be enabled
   * again.
   */
  function checkRegistration(id: string, body: unknown): void {
    const problems: string[] = []
    const client = parseClient(body, sentence => problems.push(sentence))
    if ((body as { client_id?: unknown } | null)?.client_id !== id)
      problems.push('client_id must be the one in the path')
    const others = new Map(clients.known.map(each => [each.id, each]))
    const rival = client && findRival(client, others)
    if (rival !== undefined) problems.push(`one certificate would match ${rival.id} as well`)
    const spelling = client && clients.findOtherSpelling(client)
    if (spelling !== undefined) problems.push(spelling)
    if (client !== undefined)
      try {
        requireNoClient(parts.tls?.inUse().proxies ?? [], [client])
      } catch (error) {
        problems.push((error as Error).message)
      }
    problems.push(
      ...findMissingKeys([body], parts.keys ?? { hasPaseto: () => false, nextPaseto: () => undefined }, parts.now()),
    )
    if (problems.length > 0) throw new OpsRefusal(400, problems)
  }
}

/** Describes a client without the hashes of its secrets. */
function describe({ client, registration, origin, disabled, secrets }: RegisteredClient): object {
  return {
    client_id: client.id,
    disabled,
    origin,
    secrets: secrets.map(secret => secret.id),
    registration: JSON.parse(registration),
  }
}
