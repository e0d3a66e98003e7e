// tlsbound/hono in Hono on @hono/node-server. N-24; CL13.
import { getRequestListener } from '@hono/node-server'
import { Hono } from 'hono'
import t from 'tap'
import { mutualTls } from 'tlsbound'
import { requireToken, type TokenEnv } from 'tlsbound/hono'
import { accepted, connect, listen, material, testFramework } from '../helpers/server/bound-api.ts'

testFramework('Hono', {
  protocols: { mutualTls: ['http/1.1', 'h2'], https: ['http/1.1'] },
  start: (t, factory, { verifier }) => {
    const app = new Hono<TokenEnv>()
    app.use(requireToken(verifier))
    app.get('/notes', c => c.text(`notes of ${c.get('token').claims.sub}`))
    app.get('/write', requireToken(verifier, { scope: 'notes:write' }), c =>
      c.text(`written by ${c.var.token.claims.sub}`),
    )
    app.get('/fault', () => {
      throw new Error('a fault of the app')
    })
    app.onError((_error, c) => c.text('fault', 500))
    return listen(t, factory(getRequestListener(app.fetch)))
  },
})

t.test('middleware before it sees the refusal, and can add header fields', async t => {
  const app = new Hono<TokenEnv>()
  const seen: number[] = []
  app.use(async (c, next) => {
    await next()
    seen.push(c.res.status)
    c.header('x-served-by', 'hono')
  })
  app.use(requireToken(accepted))
  const here = await connect(t, await listen(t, mutualTls(material)(getRequestListener(app.fetch))))
  t.match(await here.get('/'), { status: 401, headers: { 'x-served-by': 'hono' }, body: { reason: 'no_token' } })
  t.same(seen, [401])
})
