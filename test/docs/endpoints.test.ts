// Compares docs/reference/endpoints.md with the routes of a running server and of its ops listener.
import { readFileSync } from 'node:fs'
import type { FastifyInstance } from 'fastify'
import { pino } from 'pino'
import { Registry } from 'prom-client'
import t from 'tap'
import { createOpsServer } from '../../src/ops/server.ts'
import { ClientRegistry } from '../../src/server/clients/registry.ts'
import { createAudit } from '../../src/server/record-events.ts'
import { startTestServer } from '../../src/testing/server.ts'

const page = readFileSync('docs/reference/endpoints.md', 'utf8')

/** The endpoints in the table of a section. */
function listedIn(section: string): string[] {
  const text = new RegExp(`^## ${section}\\n([\\s\\S]*?)(?=^##+ )`, 'm').exec(page)?.[1] ?? ''
  return [...text.matchAll(/^\| `([A-Z]+ \/[^`]*)` \|/gm)].map(([, endpoint]) => String(endpoint)).sort()
}

/** The routes of a server; the files of its pages count as one route, and HEAD belongs to GET. */
function routesOf(app: FastifyInstance): string[] {
  const above: string[] = []
  const routes = app
    .printRoutes({ commonPrefix: false })
    .split('\n')
    .flatMap(line => {
      const [, indent = '', part, methods = ''] = /^([│ ]*)[└├]── (\S+)(?: \((.*)\))?$/.exec(line) ?? []
      if (part === undefined) return []
      above.splice(indent.length / 4, above.length, part)
      const path = above.join('').replace(/^\/page\/.*/, '/page/FILE')
      const others = methods.split(', ').filter(method => method !== '' && method !== 'HEAD')
      return others.map(method => `${method} ${path}`)
    })
  return [...new Set(routes)].sort()
}

const server = await startTestServer({ env: { TLSBOUND_UNSAFE_TOKEN_COOKIE: 'on' } })
t.teardown(() => server.close())

t.test('lists the routes of the mutual-TLS listener', async t => {
  const routes = routesOf(server.app)
  t.ok(routes.includes('POST /oauth/token'), 'control')
  t.same(listedIn('The mutual-TLS listener'), routes)
})

t.test('lists the routes of the ops listener, and which of them need the ops token', async t => {
  const ops = await startTestServer({ ops: true })
  t.teardown(() => ops.close())
  const log = pino({ level: 'silent' })
  const app = createOpsServer({
    ...{ store: ops.store, tls: ops.tls, clients: new ClientRegistry([]), audit: createAudit(() => {}, log), log },
    ...{ clock: Date.now, token: 'x', isServing: () => true, isRecording: () => true },
    metrics: { registry: new Registry() },
    reload: async () => [],
  })
  t.teardown(() => app.close())
  await app.ready()
  const listed = listedIn('The ops listener')
  t.same(listed, routesOf(app))
  const url = String(ops.ops?.url)
  for (const endpoint of listed) {
    const [method = '', path = ''] = endpoint.split(' ')
    const needsToken = page.includes(`\n| \`${endpoint}\` | ops token`)
    const answer = await fetch(url + path.replace('FILE', 'style.css'), { method })
    t.equal(answer.status === 401, needsToken, endpoint)
    await answer.body?.cancel()
  }
})
