// Answers unmatched requests: 405 with Allow if another method would match, else 404.
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { RequestError } from './errors.ts'

export function notFound(this: FastifyInstance, request: FastifyRequest, reply: FastifyReply): never {
  const allowed = findAllowedMethods(this, pathOf(request))
  if (allowed.length === 0) throw new RequestError(404, 'not_found')
  reply.header('allow', allowed.join(', '))
  throw new RequestError(405, 'method_not_allowed', { found: request.method, expected: allowed.join(', ') })
}

/** Returns the target of a request without its query. */
export function pathOf(request: FastifyRequest): string {
  return request.url.split('?')[0] as string
}

/**
 * Returns the methods of the route with this path, among GET, HEAD and POST. Fastify takes the path for the pattern of a route, and
 * throws for an invalid one, so that a path that looks like a pattern has no route here.
 */
function findAllowedMethods(app: FastifyInstance, path: string): string[] {
  if (/[:*()]/.test(path)) return []
  return (['GET', 'HEAD', 'POST'] as const).filter(method => app.hasRoute({ method, url: path }))
}
