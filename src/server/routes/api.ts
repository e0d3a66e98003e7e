// The demo's protected resource, behind requireToken: the token's identity, and the notes of a client, which `signed-notes` reads and
// writes with signed requests only.

import type { FastifyInstance } from 'fastify'
import { malformed } from '../../core/errors.ts'
import { requireToken } from '../../plugins/fastify.ts'
import { acceptJson } from '../bodies.ts'
import { notFound } from '../not-found.ts'
import type { ServerParts } from '../parts.ts'

const maximumNotes = 100

/** What the routes need of the server. */
type ApiParts = Pick<ServerParts, 'store' | 'now' | 'verifier' | 'resourceMetadata' | 'onRefusal'>

export async function apiRoutes(app: FastifyInstance, parts: ApiParts): Promise<void> {
  const { store, now, verifier, resourceMetadata } = parts
  app.addHook('onRequest', (_request, reply, done) => {
    reply.header('cache-control', 'no-store').header('vary', 'authorization')
    done()
  })
  await app.register(requireToken, { verifier, resourceMetadata, onRefusal: parts.onRefusal })
  app.setNotFoundHandler(notFound) // within this prefix, so that unmatched paths require a token too
  acceptJson(app)

  app.get('/whoami', ({ token: { claims, binding } }, reply) => {
    const { client_id, sub, scope } = claims
    reply.send({ client_id, sub, scope, token_binding: binding })
  })

  const signed = { proof: 'signed-request' } as const
  for (const [path, demand] of [
    ['/notes', {}],
    ['/signed-notes', signed],
  ] as const) {
    const reads = { config: { requireToken: { scope: 'notes:read', ...demand } } }
    const writes = { config: { requireToken: { scope: 'notes:write', ...demand } } }
    app.get(path, reads, async ({ token }) => ({
      notes: await store.listNotes(token.claims.client_id, maximumNotes),
    }))
    app.post(path, writes, async (request, reply) => {
      const note = await store.addNote(request.token.claims.client_id, readText(request.body), now())
      reply.code(201)
      return note
    })
  }
}

/** Parses the body, `{"text": …}` with 1 to 2000 characters and no other member. */
function readText(body: unknown): string {
  const isNote = typeof body === 'object' && body !== null && Object.keys(body).join() === 'text'
  const text = isNote ? (body as { text: unknown }).text : undefined
  if (typeof text !== 'string' || text === '' || text.length > 2000 || !text.isWellFormed())
    throw malformed('body_form', {
      expected: 'an object with the member text, 1 to 2000 characters, and no other member',
    })
  return text
}
