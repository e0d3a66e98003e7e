// An app in a framework, alone or protected: `app.ts FRAMEWORK`, `app.ts FRAMEWORK listener`, on mutualTls but without a verifier,
// `app.ts FRAMEWORK bound`, by requireToken, or `app.ts fastify verifier`, by a hook that calls createVerifier. All take the same
// requests; the tokens are bound to the certificate, and signed here with a key that the verifier knows.
import { generateKeyPairSync, randomUUID } from 'node:crypto'
import type { RequestListener } from 'node:http'
import { createSecureServer } from 'node:http2'
import { createServer } from 'node:https'
import type { AddressInfo, Server } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { getRequestListener } from '@hono/node-server'
import express from 'express'
import Fastify, { type FastifyInstance } from 'fastify'
import { Hono } from 'hono'
import { SignJWT } from 'jose'
import Koa from 'koa'
import { createVerifier, mutualTls, readCertificate, requireToken } from '../../src/index.ts'
import { requireToken as requireTokenInExpress } from '../../src/plugins/express.ts'
import { requireToken as requireTokenInHono, type TokenEnv } from '../../src/plugins/hono.ts'
import { requireToken as requireTokenInKoa } from '../../src/plugins/koa.ts'
import { uploadSize } from '../load/prover.ts'
import type { Pki } from '../pki.ts'
import { buildTlsOptions, serveTarget } from './target.ts'

const issuer = 'https://issuer.bench.example'
const notes = { notes: ['a note'], of: 'alice' }
const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const keys = [{ ...publicKey.export({ format: 'jwk' }), kid: 'bench', alg: 'ES256', use: 'sig' }]
const options = { issuer, audience: issuer, jwks: { keys }, scope: 'notes:read' }

type Protection = 'none' | 'listener' | 'bound' | 'verifier'
type Build = (isBound: boolean, by: Protection) => RequestListener | Promise<RequestListener>

const frameworks: Record<string, Build> = {
  fastify: async (isBound, by) => {
    const app = Fastify() as unknown as FastifyInstance
    if (by === 'verifier') {
      const { verify, sendRefusal } = createVerifier(options)
      app.decorateRequest('token')
      app.addHook('onRequest', async (request, reply) => {
        try {
          request.token = await verify(request.raw)
        } catch (error) {
          reply.hijack()
          sendRefusal(reply.raw, error)
        }
      })
    } else if (isBound) await app.register(requireToken, options)
    app.get('/api/whoami', async () => notes)
    app.addContentTypeParser(
      'application/octet-stream',
      { parseAs: 'buffer', bodyLimit: uploadSize },
      (_, body, done) => done(null, body),
    )
    app.post('/api/whoami', async () => notes)
    for (const proof of ['per-request', 'signed-request'] as const) {
      const demand = { config: { requireToken: { proof } } }
      app.get(`/api/${proof}`, demand, async () => notes)
      app.post(`/api/${proof}`, demand, async () => notes)
    }
    await app.ready()
    return app.routing as RequestListener
  },
  express: isBound => {
    const app = express()
    if (isBound) app.use(requireTokenInExpress(options))
    app.get('/api/whoami', (_request, response) => {
      response.send(notes)
    })
    return app as RequestListener
  },
  koa: isBound => {
    const app = new Koa()
    if (isBound) app.use(requireTokenInKoa(options))
    app.use(context => {
      context.body = notes
    })
    return app.callback() as RequestListener
  },
  hono: isBound => {
    const app = new Hono<TokenEnv>()
    if (isBound) app.use(requireTokenInHono(createVerifier(options)))
    app.get('/api/whoami', context => context.json(notes))
    return getRequestListener(app.fetch) as RequestListener
  },
}

/** Answers token requests, and passes all others on. */
function issueBefore(serve: RequestListener): RequestListener {
  return (request, response) => {
    if (request.url !== '/oauth/token') return serve(request, response)
    request.resume()
    const x509 = (request.socket as TLSSocket).getPeerX509Certificate()
    if (x509 === undefined) return void response.writeHead(401).end()
    const cnf = { 'x5t#S256': readCertificate(x509).thumbprint }
    new SignJWT({
      iss: issuer,
      aud: issuer,
      sub: 'alice',
      client_id: 'alice',
      scope: 'notes:read',
      jti: randomUUID(),
      cnf,
    })
      .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid: 'bench' })
      .setIssuedAt()
      .setExpirationTime('5m')
      .sign(privateKey)
      .then(access_token => {
        const body = JSON.stringify({ access_token })
        response.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length }).end(body)
      })
  }
}

/** Express speaks no HTTP/2; the others are offered what `mutualTls` offers. */
function createPlainServer(framework: string, pki: Pki, serve: RequestListener): Server {
  const tls = buildTlsOptions(pki)
  const keepAliveTimeout = 60_000 // that of `mutualTls`: it is part of the responses
  if (framework === 'express') return createServer({ ALPNProtocols: ['http/1.1'], keepAliveTimeout, ...tls }, serve)
  return createSecureServer({ allowHTTP1: true, keepAliveTimeout, ...tls } as object, serve as never)
}

const [, , framework = '', by = 'none'] = process.argv as [string, string, string?, Protection?]
const isBound = by === 'bound' || by === 'verifier'

serveTarget(async pki => {
  const serve = await frameworks[framework]?.(isBound, by)
  if (serve === undefined) throw new Error(`unknown framework: ${framework}`)
  const { ca, server } = pki
  const material = { cert: server.certificate, key: server.key, ca: ca.certificate }
  const alone = framework === 'express' ? { http2: false } : {}
  const listener =
    by === 'none'
      ? createPlainServer(framework, pki, issueBefore(serve))
      : mutualTls({ ...material, ...alone })(issueBefore(serve))
  await new Promise<void>(resolve => listener.listen(0, '127.0.0.1', () => resolve()))
  return (listener.address() as AddressInfo).port
})
