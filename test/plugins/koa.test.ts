// tlsbound/koa in Koa 3. N-24; CL13.
import Koa from 'koa'
import t from 'tap'
import { mutualTls } from 'tlsbound'
import { requireToken, type TokenState } from 'tlsbound/koa'
import { accepted, connect, listen, material, testFramework } from '../helpers/server/bound-api.ts'

testFramework('Koa', {
  protocols: { mutualTls: ['http/1.1', 'h2'], https: ['http/1.1'] },
  start: (t, factory, { verifier }) => {
    const app = new Koa<TokenState>()
    app.silent = true
    app.use(requireToken(verifier))
    const requireWriting = requireToken(verifier, { scope: 'notes:write' })
    app.use(async (context, next) => {
      const { sub } = context.state.token.claims
      if (context.path === '/fault') throw new Error('a fault of the app')
      if (context.path === '/notes') context.body = `notes of ${sub}`
      else if (context.path === '/write')
        await requireWriting(context, async () => {
          context.body = `written by ${sub}`
        })
      else await next()
    })
    return listen(t, factory(app.callback()))
  },
})

t.test('middleware before it sees the refusal, and can add header fields', async t => {
  const app = new Koa()
  const seen: number[] = []
  app.use(async (context, next) => {
    await next()
    seen.push(context.status)
    context.set('x-served-by', 'koa')
  })
  app.use(requireToken(accepted))
  const here = await connect(t, await listen(t, mutualTls(material)(app.callback())))
  t.match(await here.get('/'), { status: 401, headers: { 'x-served-by': 'koa' }, body: { reason: 'no_token' } })
  t.same(seen, [401])
})
