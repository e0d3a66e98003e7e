// tlsbound/express in Express 5. N-24; CL13.
import type { RequestListener } from 'node:http'
import express, { type ErrorRequestHandler } from 'express'
import t from 'tap'
import { type AccessToken, createVerifier, mutualTls, OAuthError, type Verifier } from 'tlsbound'
import { requireToken } from 'tlsbound/express'
import { accepted, connect, listen, material, reading, testFramework } from '../helpers/server/bound-api.ts'

testFramework('Express', {
  protocols: { mutualTls: ['http/1.1'], https: ['http/1.1'] },
  start: (t, factory, { verifier }) => {
    const app = express()
    app.use(requireToken(verifier))
    app.get('/notes', (request, response) => void response.send(`notes of ${request.token.claims.sub}`))
    app.get('/write', requireToken(verifier, { scope: 'notes:write' }), (request, response) => {
      response.send(`written by ${request.token.claims.sub}`)
    })
    app.get('/fault', () => {
      throw new Error('a fault of the app')
    })
    const onError: ErrorRequestHandler = (_error, _request, response, _next) => void response.status(500).send('fault')
    app.use(onError)
    return listen(t, factory(app))
  },
})

t.test('calls the verify of a wrapped verifier, and awaits whatever it returns', async t => {
  const verifier = createVerifier(accepted)
  const refusal = new OAuthError('invalid_token', 'revoked', 'by_hook')
  const reject = (_use: unknown, fail: (error: unknown) => void) => fail(refusal)
  const thenable = Object.fromEntries([['then', reject]])
  const verifies: Record<string, Verifier['verify']> = {
    '/own': verifier.verify,
    '/rejects': () => Promise.reject(refusal),
    '/throws': () => {
      throw refusal
    },
    '/thenable': () => thenable as unknown as Promise<AccessToken>,
  }
  const app = express()
  for (const [path, verify] of Object.entries(verifies))
    app.get(path, requireToken({ ...verifier, verify }), (_request, response) => void response.send('notes'))
  const here = await connect(t, await listen(t, mutualTls(material)(app)))
  for (const path of Object.keys(verifies))
    for (const time of ['first', 'second'])
      t.match(
        await here.get(path, reading),
        path === '/own' ? { status: 200 } : { status: 401, body: { reason: 'revoked' } },
        `${path}, ${time} request`,
      )
})

t.test('closes the connection of a client that offers h2 alone, and continues to serve', async t => {
  const app = express()
  app.use(requireToken(accepted))
  app.get('/notes', (_request, response) => void response.send('notes'))
  const port = await listen(t, mutualTls(material)(app))
  await t.rejects(connect(t, port, 'alice', 'h2'))
  t.match(await (await connect(t, port)).get('/notes', reading), { status: 200, text: 'notes' })
})

t.test(
  'a wrapped app ends the connection of an HTTP/2 request, not the process, and the error names the remedy',
  async t => {
    const app = express()
    app.use(requireToken(accepted))
    app.get('/notes', (_request, response) => void response.send('notes'))
    const errors: Error[] = []
    const warnings: Error[] = []
    const onWarning = (warning: Error) => void (warning.name === 'TlsboundWarning' && warnings.push(warning))
    process.on('warning', onWarning)
    t.teardown(() => process.off('warning', onWarning))
    const start = (options: object, wrap: (request: never, response: never) => void) =>
      listen(t, mutualTls({ ...material, onError: error => errors.push(error), ...options })(wrap as RequestListener))
    const port = await start({}, (request, response) => app(request, response))
    for (const who of ['alice', null] as const) {
      const here = await connect(t, port, who as 'alice', 'h2')
      await t.rejects(here.get('/notes', reading))
    }
    await new Promise(resolve => setTimeout(resolve, 100)) // the callbacks in which the process would end
    t.match(errors, [{ name: 'TypeError', message: /set http2: false/ }, { name: 'TypeError' }])
    t.match(warnings, [{ message: /^the handler passes HTTP\/2 requests to Express, .* set http2: false/ }])
    t.equal(warnings.length, 1)
    const here = await connect(t, port)
    t.match(await here.get('/notes', reading), { status: 200, text: 'notes' }, 'control: over HTTP/1.1')
    const only = await start({ http2: false }, (request, response) => app(request, response))
    t.match(
      await (await connect(t, only)).get('/notes', reading),
      { status: 200, text: 'notes' },
      'control: the remedy',
    )
  },
)

t.test('http2: true is refused at the start, where the app is one of Express', t => {
  t.throws(() => mutualTls({ ...material, http2: true })(express() as RequestListener), {
    name: 'TypeError',
    message: /^http2: true, but Express/,
  })
  mutualTls({ ...material, http2: false })(express()).close()
  t.end()
})

t.test('a listener that throws in onRefusal reaches the error handler of the app', async t => {
  const verifier = createVerifier({
    ...accepted,
    onRefusal: () => {
      throw new RangeError('a fault of the app')
    },
  })
  const app = express()
  app.use(requireToken(verifier))
  const onError: ErrorRequestHandler = ({ name }, _request, response, _next) => void response.status(500).send(name)
  app.use(onError)
  const here = await connect(t, await listen(t, mutualTls(material)(app)))
  t.match(await here.get('/notes'), { status: 500, text: 'RangeError' })
})

t.test('a listener that rejects in onRefusal reaches it too, and does not end the process', async t => {
  const verifier = createVerifier({
    ...accepted,
    onRefusal: () => Promise.reject(new RangeError('a fault of the app')),
  })
  const app = express()
  app.use(requireToken(verifier))
  const onError: ErrorRequestHandler = ({ name }, _request, response, _next) => void response.status(500).send(name)
  app.use(onError)
  app.get('/notes', (_request, response) => void response.send('notes'))
  const here = await connect(t, await listen(t, mutualTls(material)(app)))
  t.match(await here.get('/notes'), { status: 500, text: 'RangeError' })
  t.match(await here.get('/notes', reading), { status: 200 }, 'control')
})

t.test('an app that throws while it takes the token fails like any other', async t => {
  const app = express()
  app.use(requireToken(accepted), () => {
    throw new RangeError('a fault of the app')
  })
  const onError: ErrorRequestHandler = ({ name }, _request, response, _next) => void response.status(500).send(name)
  app.use(onError)
  const here = await connect(t, await listen(t, mutualTls(material)(app)))
  t.match(await here.get('/notes', reading), { status: 500, text: 'RangeError' })
})
