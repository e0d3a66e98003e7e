// Fastify as every target here starts it, so that the targets differ in what they answer and in nothing else.
import type { AddressInfo } from 'node:net'
import Fastify, { type FastifyInstance } from 'fastify'
import type { Pki } from '../pki.ts'
import { buildTlsOptions } from './target.ts'

// Fastify's types tell servers apart that our routes, written for HTTP/1.1, need not tell apart.
const forget = (app: unknown) => app as FastifyInstance

// The timeout is Fastify's default, which it does not hand on to a server that offers HTTP/2: there Node's 5 s hold.
const HTTP1 = { allowHTTP1: true, keepAliveTimeout: 72_000 }

/** The kind of server that tlsbound is: HTTP/2 offered beside HTTP/1.1. */
export const createHttp2App = (pki: Pki): FastifyInstance =>
  forget(Fastify({ http2: true, https: { ...HTTP1, ...buildTlsOptions(pki) } }))

export const createHttpsApp = (pki: Pki): FastifyInstance =>
  forget(Fastify({ https: { ALPNProtocols: ['http/1.1'], ...buildTlsOptions(pki) } }))

/** Reads a form the cheapest way that is right. */
export function acceptForms(app: FastifyInstance): void {
  app.addContentTypeParser('application/x-www-form-urlencoded', { parseAs: 'string' }, (_request, body, done) => {
    done(null, new URLSearchParams(String(body)))
  })
}

/** Listens on a free port of 127.0.0.1 and tells which. */
export async function listen(app: FastifyInstance): Promise<number> {
  await app.listen({ host: '127.0.0.1', port: 0 })
  return (app.server.address() as AddressInfo).port
}
