// Signed requests in each framework: the body is verified before a handler takes it for complete (RFC 9421, RFC 9530).
import type { IncomingMessage } from 'node:http'
import { getRequestListener } from '@hono/node-server'
import express from 'express'
import Fastify, { type FastifyServerFactory } from 'fastify'
import { Hono } from 'hono'
import Koa from 'koa'
import { mutualTls, OAuthError, requireToken } from 'tlsbound'
import { requireToken as requireTokenExpress } from 'tlsbound/express'
import { requireToken as requireTokenHono, type TokenEnv } from 'tlsbound/hono'
import { requireToken as requireTokenKoa } from 'tlsbound/koa'
import { listen, material } from '../helpers/server/bound-api.ts'
import { testSignedRequests } from '../helpers/server/signed-api.ts'

const demand = { proof: 'signed-request' } as const

async function read(request: AsyncIterable<Buffer | string>): Promise<string> {
  const pieces: Buffer[] = []
  for await (const piece of request) pieces.push(Buffer.from(piece))
  return Buffer.concat(pieces).toString()
}

testSignedRequests('Fastify', {
  protocols: ['http/1.1', 'h2'],
  start: async (t, _factory, { options, called }) => {
    const app = Fastify({ serverFactory: mutualTls(material) as FastifyServerFactory })
    await app.register(requireToken, { ...options, ...demand })
    app.get('/text', () => 'read')
    app.post('/text', request => {
      called('text')
      return request.body
    })
    app.post('/unread', () => 'unread')
    await app.register(async scope => {
      scope.removeAllContentTypeParsers()
      scope.addContentTypeParser('*', (_request, payload, done) => done(null, payload))
      scope.post('/stream', async request => {
        const text = await read(request.body as IncomingMessage)
        called('stream')
        return String(text.length)
      })
    })
    await app.listen({ host: '127.0.0.1', port: 0 })
    t.teardown(() => app.close())
    return (app.server.address() as { port: number }).port
  },
})

testSignedRequests('Express', {
  protocols: ['http/1.1'],
  start: (t, factory, { verifier, called }) => {
    const app = express()
    app.use(requireTokenExpress(verifier, demand))
    app.get('/text', (_request, response) => void response.send('read'))
    app.post('/text', express.text({ limit: '1mb' }), (request, response) => {
      called('text')
      response.send(request.body)
    })
    app.post('/unread', (_request, response) => void response.send('unread'))
    app.post('/stream', async (request, response) => {
      const text = await read(request)
      called('stream')
      response.send(String(text.length))
    })
    return listen(t, factory(app))
  },
})

testSignedRequests('Koa', {
  protocols: ['http/1.1', 'h2'],
  start: (t, factory, { verifier, called }) => {
    const app = new Koa()
    app.silent = true
    app.use(requireTokenKoa(verifier, demand))
    app.use(async context => {
      if (context.method === 'GET') context.body = 'read'
      else if (context.path === '/unread') context.body = 'unread'
      else {
        const text = await read(context.req)
        called(context.path.slice(1))
        context.body = context.path === '/text' ? text : String(text.length)
      }
    })
    return listen(t, factory(app.callback()))
  },
})

testSignedRequests('Hono', {
  protocols: ['http/1.1', 'h2'],
  start: (t, factory, { verifier, called }) => {
    const app = new Hono<TokenEnv>()
    app.use(requireTokenHono(verifier, demand))
    app.get('/text', c => c.text('read'))
    app.post('/text', async c => {
      const text = await c.req.text()
      called('text')
      return c.text(text)
    })
    app.post('/unread', c => c.text('unread'))
    app.post('/stream', async c => {
      const text = await read(c.req.raw.body as unknown as AsyncIterable<Buffer>)
      called('stream')
      return c.text(String(text.length))
    })
    return listen(t, factory(getRequestListener(app.fetch)))
  },
})

testSignedRequests('Node', {
  protocols: ['http/1.1', 'h2'],
  start: (t, factory, { verifier, called }) => {
    const handle = async (request: IncomingMessage) => {
      await verifier.verify(request, demand)
      if (request.method === 'GET') return 'read'
      if (request.url === '/unread') return 'unread'
      const text = await read(request)
      called((request.url as string).slice(1))
      return request.url === '/text' ? text : String(text.length)
    }
    const server = factory((request, response) => {
      handle(request).then(
        text => response.end(text),
        error => {
          if (error instanceof OAuthError) verifier.sendRefusal(response, error)
          else if (error.code !== 'ECONNRESET') t.fail(error)
        },
      )
    })
    return listen(t, server)
  },
})
