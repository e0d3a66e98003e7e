// Routes that are replaced while a token is verified: the request is handled by the new ones.
import type { AddressInfo } from 'node:net'
import Fastify from 'fastify'
import t from 'tap'
import type { AccessToken } from '../../src/core/access-token.ts'
import { OAuthError } from '../../src/core/errors.ts'
import { createGateway, type GatewayHost } from '../../src/gateway/gateway.ts'
import { parseRoutes } from '../../src/gateway/routes.ts'
import { hostWith, startUpstream } from '../helpers/server/gateway.ts'
import { until } from '../helpers/until.ts'

const material = { ca: undefined, cert: undefined, key: undefined }

function load(...list: readonly object[]) {
  const problems: string[] = []
  const routes = parseRoutes(list, problems, { levels: ['certificate', 'proof', 'connection'] })
  if (problems.length > 0) throw new Error(problems.join('\n'))
  return routes.map(route => ({ ...route, material }))
}

const claims = { sub: 'alice', client_id: 'alice', scope: '', cnf: {}, jti: '1', exp: 2 ** 40 }
const token = { claims, binding: 'certificate' } as unknown as AccessToken

t.test('a request is handled by the routes that replace its own while its token is verified', async t => {
  const [old, next] = [await startUpstream(t), await startUpstream(t)]
  const before = { path: '/a', upstream: old.address }
  const gateway = createGateway(load(before))
  const release: (() => void)[] = []
  let isSlow = true
  const check: GatewayHost['check'] = Object.assign(
    async (_request: unknown, demand?: { readonly scope?: string }) => {
      if (isSlow) await new Promise<void>(done => void release.push(done))
      if (demand?.scope !== undefined) throw new OAuthError('insufficient_scope', 'scope_missing', 'scope')
      return token
    },
    { recheck: () => {} },
  )
  const app = Fastify()
  gateway.mount(app, hostWith(t, check))
  await app.listen({ host: '127.0.0.1', port: 0 })
  t.teardown(() => app.close())
  const { port } = app.server.address() as AddressInfo

  const statusAfter = async (...routes: readonly object[]) => {
    gateway.replace(load(before))
    isSlow = true
    const answer = fetch(`http://127.0.0.1:${port}/a`)
    await until(() => release.length === 1)
    gateway.replace(load(...routes))
    isSlow = false
    release.pop()?.()
    return (await answer).status
  }
  t.equal(await statusAfter(before), 200, 'the same route')
  t.equal(old.seen.length, 1)
  t.equal(await statusAfter({ ...before, upstream: next.address }), 200, 'another upstream')
  t.equal(next.seen.length, 1)
  t.equal(await statusAfter({ ...before, scope: 'notes:write' }), 403, 'a route that demands more')
  t.equal(await statusAfter({ ...before, path: '/b' }), 404, 'no route')
  t.equal(old.seen.length, 1, 'nothing more was sent')
})
