// GET /: what the server sees of this connection, for people. A browser gets a page without scripts; other clients get the
// body of /binding. No token or cookie is read or set.
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { findRegistration } from '../../core/client-authentication.ts'
import { OAuthError, type Reason } from '../../core/errors.ts'
import type { Presenter } from '../../core/presenter.ts'
import { connectionOf, requirePresenter } from '../../tls/connection.ts'
import { writeHomePage } from '../pages/home-page.ts'
import { sendPage, servePageFiles } from '../pages/page-files.ts'
import type { ServerParts } from '../parts.ts'
import { describeBinding } from './binding.ts'

export function homeRoute(app: FastifyInstance, { now, clients }: Pick<ServerParts, 'now' | 'clients'>): void {
  servePageFiles(app, ['style.css', 'icon.svg'])
  app.get('/', (request, reply) => {
    const facts = describeBinding(request.raw, now())
    reply.header('vary', 'accept').header('cache-control', 'no-store')
    if (!/\btext\/html\b/.test(request.headers.accept ?? '')) return reply.send(facts)
    const http = request.raw.httpVersionMajor === 2 ? 'HTTP/2' : 'HTTP/1.1'
    const presenter = findPresenter(request.raw, now())
    const registered = typeof presenter === 'string' ? undefined : findRegistration(clients.all, presenter)
    return sendPage(reply, 'html', writeHomePage(facts, presenter, registered, http))
  })
}

function findPresenter(request: FastifyRequest['raw'], now: number): Presenter | Reason {
  try {
    return requirePresenter(connectionOf(request), now, 'invalid_client', request)
  } catch (error) {
    if (error instanceof OAuthError) return error.reason
    throw error
  }
}
