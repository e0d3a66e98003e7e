// POST /admin/revocations: revokes a token, a grant, or all tokens of a client, a certificate or the whole server. Says what
// it ended, as far as that is known here: signed access tokens are not stored.
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { buildRevocation, type Revocation, type RevocationKind, revocationKinds } from '../core/revocations.ts'
import { createExtent } from './ended.ts'
import type { OpsParts } from './parts.ts'
import { OpsRefusal } from './refusals.ts'

export function revocationRoute(app: FastifyInstance, parts: OpsParts): void {
  const measure = createExtent(parts)

  app.post('/admin/revocations', async (request, reply) => {
    const { kind, value, force } = readTarget(request.body)
    const { isKnown, ended } = await measure(buildRevocation(kind, value, parts.now()))
    const absent = isKnown || force ? undefined : absences[kind]
    if (absent !== undefined)
      throw new OpsRefusal(404, [`${absent}; nothing was revoked. It is revoked anyway with force`])
    const { notBefore, expires } = await revoke(request, kind, value, parts)
    const target = { kind, ...(kind !== 'all' && { value }) }
    return reply.code(201).send({ ...target, not_before: notBefore, expires, known: isKnown, ended })
  })
}

/**
 * Why a revocation would have no effect. Absent for kinds whose tokens may exist without a trace: they are revoked in any case.
 */
const absences: Partial<Record<RevocationKind, string>> = {
  grant: 'no grant with this id is stored: it never existed, or has expired and was removed',
  client: 'no client with this client_id is registered, and no grant of it is stored',
}

/** Revokes and records the event. */
export async function revoke(
  request: FastifyRequest | undefined,
  kind: RevocationKind,
  value: string,
  parts: Pick<OpsParts, 'store' | 'audit' | 'now'>,
  cause?: 'state',
): Promise<Revocation> {
  const revocation = buildRevocation(kind, value, parts.now())
  await parts.store.revoke(revocation)
  parts.audit.tokenRevoked(request, undefined, revocation, cause)
  return revocation
}

/** Parses a revocation. @throws OpsRefusal with all problems. */
function readTarget(body: unknown): { kind: RevocationKind; value: string; force: boolean } {
  const entry = (typeof body === 'object' && body !== null ? body : {}) as Record<string, unknown>
  const { kind, value = '', force = false } = entry
  const problems = Object.keys(entry)
    .filter(name => !['kind', 'value', 'force'].includes(name))
    .map(name => `${name} is not known`)
  if (!isKind(kind)) problems.push(`kind must be one of ${revocationKinds.join(', ')}`)
  else if (typeof value !== 'string' || !forms[kind].pattern.test(value))
    problems.push(`value must be ${forms[kind].words}`)
  if (typeof force !== 'boolean') problems.push('force must be true or false')
  if (problems.length > 0) throw new OpsRefusal(400, problems)
  return { kind: kind as RevocationKind, value: value as string, force: force === true }
}

function isKind(kind: unknown): kind is RevocationKind {
  return revocationKinds.includes(kind as RevocationKind)
}

const name = /^[\x20-\x7e]{1,256}$/

const forms: Readonly<Record<RevocationKind, { pattern: RegExp; words: string }>> = {
  token: { pattern: name, words: 'the jti of a token' },
  grant: { pattern: name, words: 'the id of a grant' },
  client: { pattern: name, words: 'a client_id' },
  certificate: { pattern: /^[\w-]{43}$/, words: 'x5t#S256 of a certificate: 43 characters of base64url' },
  all: { pattern: /^$/, words: 'absent for all' },
}
