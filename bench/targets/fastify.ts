// Fastify as every target here starts it, so that targets differ only in their responses.
import type { AddressInfo } from 'node:net'
import Fastify, { type FastifyInstance } from 'fastify'
import type { Pki } from '../pki.ts'
import { buildTlsOptions } from './target.ts'

// Fastify's types distinguish servers whose difference does not matter for the HTTP/1.1 routes here.
const forget = (app: unknown) => app as FastifyInstance

// The timeout is Fastify's default, which it does not set on a server with HTTP/2: there Node's default of 5 s applies.
const HTTP1 = { allowHTTP1: true, keepAliveTimeout: 72_000 }

/** The kind of server that tlsbound uses: HTTP/2 offered beside HTTP/1.1. */
export const createHttp2App = (pki: Pki): FastifyInstance =>
  forget(Fastify({ http2: true, https: { ...HTTP1, ...buildTlsOptions(pki) } }))

export const createHttpsApp = (pki: Pki): FastifyInstance =>
  forget(Fastify({ https: { ALPNProtocols: ['http/1.1'], ...buildTlsOptions(pki) } }))

/** Parses a form in the cheapest correct way. */
export function acceptForms(app: FastifyInstance): void {
  app.addContentTypeParser('application/x-www-form-urlencoded', { parseAs: 'string' }, (_request, body, done) => {
    done(null, new URLSearchParams(String(body)))
  })
}

/** Listens on a free port of 127.0.0.1, and returns it. */
export async function listen(app: FastifyInstance): Promise<number> {
  await app.listen({ host: '127.0.0.1', port: 0 })
  return (app.server.address() as AddressInfo).port
}
