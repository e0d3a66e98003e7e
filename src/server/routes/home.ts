// GET /: what the server sees of this connection, for people. A browser gets a page without scripts; other clients get the
// body of /binding. No token or cookie is read or set.
import type { TLSSocket } from 'node:tls'
import type { FastifyInstance } from 'fastify'
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
    const { socket, httpVersionMajor } = request.raw
    const facts = describeBinding(socket as TLSSocket, now())
    reply.header('vary', 'accept').header('cache-control', 'no-store')
    if (!/\btext\/html\b/.test(request.headers.accept ?? '')) return reply.send(facts)
    const http = httpVersionMajor === 2 ? 'HTTP/2' : 'HTTP/1.1'
    const presenter = findPresenter(socket, now())
    const registered = typeof presenter === 'string' ? undefined : findRegistration(clients.all, presenter)
    return sendPage(reply, 'html', writeHomePage(facts, presenter, registered, http))
  })
}

function findPresenter(socket: object, now: number): Presenter | Reason {
  try {
    return requirePresenter(connectionOf(socket), now, 'invalid_client', { socket })
  } catch (error) {
    if (error instanceof OAuthError) return error.reason
    throw error
  }
}
