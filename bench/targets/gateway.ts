// The gateway of tlsbound and the proxies that it is compared with, in front of the same upstream: `gateway.ts tlsbound|relay|nginx`.
import type { IncomingMessage } from 'node:http'
import { buildFields, hasBody, originFields } from '../../src/gateway/fields.ts'
import { parseRoutes } from '../../src/gateway/routes.ts'
import { openUpstream } from '../../src/gateway/upstream.ts'
import { relay } from '../../src/relay/relay.ts'
import { startChild } from '../child.ts'
import type { Pki } from '../pki.ts'
import { createHttp2App, listen } from './fastify.ts'
import { addFloorRoutes, TOKEN } from './floor-routes.ts'
import { startNginxProxy, startNginxUpstream } from './nginx.ts'
import { startTlsbound } from './start-tlsbound.ts'
import { serveTarget, type TargetQuestions } from './target.ts'

/** The processes of the proxy, if it is not this one. */
const pids: number[] = []

type Start = (pki: Pki, upstream: number, sockets: number) => Promise<number>

const proxies: Record<string, Start> = {
  tlsbound: (pki, upstream, sockets) => {
    const route = (path: string, port: number) => ({
      ...{ path, upstream: `http://127.0.0.1:${port}`, scope: 'notes:read', binding: 'connection' },
    })
    return startTlsbound(pki, ['client_credentials'], {
      routes: [route('/up/', upstream), route('/sockets/', sockets)],
    })
  },
  nginx: async (pki, upstream, sockets) => {
    const nginx = await startNginxProxy(pki, upstream, sockets, TOKEN)
    pids.push(...nginx.pids)
    return nginx.port
  },
  relay: startRelay,
}

/** Forwards as the gateway does, and verifies nothing. */
function startRelay(pki: Pki, upstream: number): Promise<number> {
  const problems: string[] = []
  const list = [{ path: '/up/', upstream: `http://127.0.0.1:${upstream}`, public: true }]
  const [route] = parseRoutes(list, problems, { levels: ['certificate'] })
  if (route === undefined) throw new Error(problems.join())
  const pool = openUpstream({ ...route, material: { ca: undefined, cert: undefined, key: undefined } })
  const app = createHttp2App(pki)
  addFloorRoutes(app)
  app.addContentTypeParser('*', (_request, _body, done) => done(null))
  app.all('/up/*', (request, reply) => {
    reply.hijack()
    const { method, url, raw } = request
    const headers = buildFields(raw, route, originFields(raw, request.host))
    relay(reply.raw, {
      ...{ dispatcher: pool.dispatcher, method, path: url, timeout: 60, received: () => 0 },
      build: () => ({ headers, body: hasBody(raw) ? (raw as IncomingMessage) : null }),
      onFailure: failure => failure === 'gone' || console.error(failure),
    })
  })
  return listen(app)
}

const proxy = proxies[process.argv[2] ?? '']
if (proxy === undefined) throw new Error(`unknown proxy: ${process.argv[2]}`)

serveTarget(async pki => {
  const sockets = startChild<TargetQuestions>(new URL('sockets.ts', import.meta.url))
  const upstream = await startNginxUpstream(TOKEN)
  return proxy(pki, upstream.port, await sockets.ask('start', pki))
}, pids)
