// Signed requests in each framework: the body is verified before a handler takes it for complete (RFC 9421, RFC 9530).
import type { IncomingMessage } from 'node:http'
import { setTimeout as wait } from 'node:timers/promises'
import { getRequestListener } from '@hono/node-server'
import express from 'express'
import Fastify, { type FastifyServerFactory } from 'fastify'
import { Hono } from 'hono'
import Koa from 'koa'
import t, { type Test } from 'tap'
import { createVerifier, mutualTls, OAuthError, requireToken, type TokenDemand } from 'tlsbound'
import { requireToken as requireTokenExpress } from 'tlsbound/express'
import { requireToken as requireTokenHono, type TokenEnv } from 'tlsbound/hono'
import { requireToken as requireTokenKoa } from 'tlsbound/koa'
import type { Call } from '../../src/lab/connection.ts'
import { type Signing, signCall } from '../helpers/client/sign-call.ts'
import { accepted, connect, listen, material, pki, writing } from '../helpers/server/bound-api.ts'
import { breakOff, testSignedRequests } from '../helpers/server/signed-api.ts'
import { until } from '../helpers/until.ts'

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
  start: (test, factory, { verifier, called }) => {
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
          else if (!['ECONNRESET', 'ERR_STREAM_PREMATURE_CLOSE'].includes(error.code)) test.fail(error)
        },
      )
    })
    return listen(test, server)
  },
})

const posted = { method: 'POST', headers: { 'content-type': 'text/plain' }, body: 'hello' }
const mismatch = { status: 401, body: { error: 'invalid_signature', reason: 'digest_invalid' } }

async function startExpress(t: Test, build: (app: express.Express) => void) {
  const app = express()
  build(app)
  const alice = await connect(t, await listen(t, mutualTls(material)(app)))
  const sign = (path: string, call: Call = {}, signing: Signing = {}) =>
    signCall(alice, pki.alice, path, { token: writing, ...call }, signing)
  return { alice, sign, call: (...given: Parameters<typeof sign>) => alice.call(given[0], sign(...given)) }
}

t.test('Express drops what a handler answers after the refusal of the body', async t => {
  const errors: unknown[] = []
  const answered: (() => void)[] = []
  const { alice, call } = await startExpress(t, app => {
    app.use(requireTokenExpress(accepted, demand))
    app.post('/later', (_request, response) => {
      const answer = () => response.status(200).set('x-late', '1').json({ done: true })
      answered.push(answer)
      setTimeout(answer, 100)
    })
    app.post('/streamed', (request, response) => {
      response.write('begun')
      request.on('error', error => errors.push(error)).resume()
    })
  })
  t.match(await call('/later', posted), { status: 200, body: { done: true } }, 'control')
  t.match(await call('/later', posted, { sent: 'hellO' }), mismatch)
  await wait(200) // a second answer would have ended the program
  t.doesNotThrow(() => answered.at(-1)?.())
  t.match(await call('/later', posted), { status: 200 }, 'on the same connection')
  t.ok(alice.isOpen())
  const long = 'x'.repeat(300_000)
  call('/streamed', { ...posted, body: long }, { sent: `${long.slice(1)}y` }).catch(() => {})
  await until(() => errors.length > 0)
  t.match(errors, [{ reason: 'digest_invalid' }], 'a handler that has begun its response sees the error of the stream')
})

t.test('Express verifies a body that has arrived before, behind other middleware and mounts', async t => {
  const { call } = await startExpress(t, app => {
    app.use((_request, _response, next) => void setTimeout(next, 50))
    const api = express.Router()
    api.post('/text', requireTokenExpress(accepted, demand), express.text(), (request, response) => {
      response.send(`${request.url} ${request.body}`)
    })
    app.use('/api', requireTokenExpress(accepted, demand), api)
  })
  t.match(await call('/api/text?a=1', posted), { status: 200, text: '/text?a=1 hello' }, 'two demands of one request')
  t.match(await call('/api/text?a=1', posted, { sent: 'hellO' }), mismatch)
  t.match(await call('/api/text', posted, { target: '/text' }), { status: 401, body: { reason: 'signature_invalid' } })
  const long = 'x'.repeat(90_000)
  t.match(await call('/api/text', { ...posted, body: long }), { status: 200, text: `/text ${long}` })
  t.match(await call('/api/text', { ...posted, body: long }, { sent: `y${long.slice(1)}` }), mismatch)
})

t.test('Express refuses a body that a parser has read before (N-70)', async t => {
  const { call } = await startExpress(t, app => {
    app.use(express.text())
    app.use(requireTokenExpress(accepted, demand))
    app.use((request, response) => void response.send(request.body ?? 'read'))
  })
  const error_description = 'The server cannot verify the digest of this body; contact its operator.'
  t.match(await call('/text', posted), { status: 401, body: { reason: 'digest_invalid', error_description } })
  t.match(await call('/text'), { status: 200 }, 'control: without a body')
})

t.test('Koa verifies the target that the client sent, behind middleware that mounts an app', async t => {
  const app = new Koa()
  app.use(async (context, next) => {
    context.url = context.url.replace('/api', '')
    await next()
  })
  app.use(requireTokenKoa(accepted, demand))
  app.use(context => {
    context.body = context.url
  })
  const alice = await connect(t, await listen(t, mutualTls(material)(app.callback())))
  const call = (target: string) => signCall(alice, pki.alice, target, { token: writing })
  t.match(await alice.call('/api/text', call('/api/text')), { status: 200, text: '/text' })
  t.match(await alice.call('/api/text', call('/text')), { status: 401, body: { reason: 'signature_invalid' } })
})

t.test(
  'proofs and signatures are for the target that the client sent, behind mounts of Express and Koa (N-59 i)',
  async t => {
    const verifier = createVerifier(accepted)
    const koa = (demand: TokenDemand) => {
      const app = new Koa()
      app.use(async (context, next) => {
        context.url = context.url.replace('/inner', '')
        await next()
      })
      app.use(requireTokenKoa(verifier, demand))
      app.use(requireTokenKoa(verifier, demand))
      app.use(context => {
        context.body = context.url
      })
      return app.callback()
    }
    const app = express()
    for (const proof of ['per-request', 'signed-request'] as const) {
      const require = requireTokenExpress(verifier, { proof })
      const router = express.Router().get('/text', require, (request, response) => void response.send(request.url))
      app.use(`/${proof}/express`, require, router)
      app.use(`/${proof}/koa`, koa({ proof }))
    }
    const mounts = [
      '/per-request/express',
      '/per-request/koa/inner',
      '/signed-request/express',
      '/signed-request/koa/inner',
    ]
    for (const [handler, of] of [
      [app, mounts],
      [koa({ proof: 'per-request' }), ['/inner']],
    ] as const) {
      const by = await connect(t, await listen(t, mutualTls(material)(handler)))
      for (const path of of.map(mount => `${mount}/text`)) {
        const isSigned = path.startsWith('/signed')
        const call = (target: string) => {
          if (isSigned) return by.call(path, signCall(by, pki.alice, path, { token: writing }, { target }))
          return by.get(path, writing, by.prove(writing, { jti: `${target} at ${path}`, htm: 'GET', htu: target }))
        }
        t.match(await call(path), { status: 200, text: '/text' }, path)
        t.match(await call('/text'), { status: 401, body: { reason: /^(?:proof|signature)_invalid$/ } }, path)
        if (!isSigned) t.match(await call(path), { status: 401 }, 'the same id in another request')
      }
    }
  },
)

t.test(
  'a client that resets a request over HTTP/2 in its body ends nothing else, whenever the handler reads',
  async t => {
    const verifier = createVerifier(accepted)
    const handlers: Record<string, (request: IncomingMessage) => void> = {
      never: () => {},
      'at once': request => void request.resume(),
      later: request => void setTimeout(() => request.resume(), 150),
      'in pieces': request => {
        request.once('data', () => request.pause())
        setTimeout(() => request.resume(), 150)
      },
      'with a listener': request => {
        request.on('end', () => t.fail('the body is not complete')).resume()
      },
    }
    for (const [name, handle] of Object.entries(handlers)) {
      const errors: string[] = []
      const server = mutualTls(material)((request, response) => {
        verifier.verify(request, demand).then(
          () => {
            if (request.method === 'GET') return response.end('read')
            if (name === 'with a listener')
              request.on('error', (error: NodeJS.ErrnoException) => errors.push(`${error.code}`))
            return handle(request)
          },
          error => verifier.sendRefusal(response, error),
        )
      })
      const port = await listen(t, server)
      const by = await connect(t, port, 'alice', 'h2')
      const { headers } = signCall(by, pki.alice, '/text', { ...posted, token: writing })
      await breakOff(by, '/text', { authorization: `Bearer ${writing}`, 'content-length': '5', ...headers })
      await wait(200)
      const other = await connect(t, port, 'alice', 'h2')
      t.match(await other.call('/text', signCall(other, pki.alice, '/text', { token: writing })), { status: 200 }, name)
      if (name !== 'with a listener') continue
      await until(() => errors.length > 0)
      t.same(errors, ['ECONNRESET'])
    }
  },
)

t.test('reports a body once, however many demands its request met', async t => {
  const refusals: string[] = []
  const onRefusal = (_request: unknown, { detail }: OAuthError) => void refusals.push(detail)
  const verifier = createVerifier({ ...accepted, onRefusal })
  const { call } = await startExpress(t, app => {
    app.use('/api', requireTokenExpress(verifier, demand), requireTokenExpress(verifier, demand), express.text())
  })
  const fastify = Fastify({ serverFactory: mutualTls(material) as FastifyServerFactory })
  await fastify.register(requireToken, { ...accepted, ...demand, onRefusal })
  await fastify.register(async scope => {
    await scope.register(requireToken, { ...accepted, ...demand, onRefusal, scope: 'notes:read' })
    scope.post('/api/text', request => request.body)
  })
  await fastify.listen({ host: '127.0.0.1', port: 0 })
  t.teardown(() => fastify.close())
  const by = await connect(t, (fastify.server.address() as { port: number }).port)
  const long = 'x'.repeat(300_000)
  const given = [{ ...posted, body: long }, { sent: `${long.slice(1)}y` }] as const
  t.match(await call('/api/text', ...given), mismatch)
  t.same(refusals.splice(0), ['mismatch'])
  t.match(
    await by.call('/api/text', signCall(by, pki.alice, '/api/text', { token: writing, ...given[0] }, given[1])),
    mismatch,
  )
  t.same(refusals, ['mismatch'])
})

t.test('Fastify refuses a wrong body wherever its reader is, and whatever that answers', async t => {
  for (const own of [true, false]) {
    const app = Fastify({ serverFactory: mutualTls(material) as FastifyServerFactory })
    const refusals: string[] = []
    const onRefusal = (_request: unknown, { detail }: OAuthError) => void refusals.push(detail)
    app.register(requireToken, { ...accepted, ...(own ? {} : demand), onRefusal })
    const config = own ? { requireToken: demand } : {}
    app.post('/before', { config }, request => request.body) // the plugin does not see its registration
    app.register(async scope => {
      scope.setErrorHandler((error, _request, reply) => void reply.code(500).send({ own: String(error) }))
      scope.post('/after', { config }, request => request.body)
      scope.register(async streams => {
        streams.removeAllContentTypeParsers()
        streams.addContentTypeParser('*', (_request, payload, done) => done(null, payload))
        streams.post('/caught', { config }, async (request, reply) => {
          await read(request.body as IncomingMessage).catch(() => {})
          reply.header('set-cookie', 'a=b').header('x-own', '1').type('text/html')
          return '<p>done</p>'
        })
      })
    })
    app.setNotFoundHandler((request, reply) => void reply.code(404).send(request.body))
    await app.listen({ host: '127.0.0.1', port: 0 })
    t.teardown(() => app.close())
    const { port } = app.server.address() as { port: number }
    for (const protocol of ['http/1.1', 'h2'])
      for (const path of ['/before', '/after', '/caught', ...(own ? [] : ['/none'])])
        for (const body of ['hello', 'x'.repeat(300_000)]) {
          const by = await connect(t, port, 'alice', protocol)
          const call = (sent: string) =>
            by.call(path, signCall(by, pki.alice, path, { token: writing, ...posted, body }, { sent }))
          t.match(await call(body), { status: path === '/none' ? 404 : 200 }, `control: ${path} ${protocol}`)
          const { headers, ...answer } = await call(`y${body.slice(1)}`)
          t.match(answer, mismatch, `${path} ${protocol} ${body.length}`)
          t.match(headers, {
            'accept-signature': /^sig=/,
            'www-authenticate': /invalid_signature/,
            'content-type': /json/,
          })
          t.notOk(headers['set-cookie'] ?? headers['x-own'], 'nothing of the response that was not sent')
          t.same(refusals.splice(0), ['mismatch'])
        }
  }
})
