// The streams of MCP's Streamable HTTP with the official SDK, through client.fetch and through the sidecar, at level connection:
// events arrive one by one, an aborted stream ends at the server, and DELETE ends a session.
import { randomUUID } from 'node:crypto'
import { EventEmitter, once } from 'node:events'
import { join } from 'node:path'
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js'
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js'
import { LoggingMessageNotificationSchema } from '@modelcontextprotocol/sdk/types.js'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { Agent, fetch as undiciFetch } from 'undici'
import { type ClientOptions, createClient } from '../../src/client/client.ts'
import { type Listen, startSidecar } from '../../src/sidecar/sidecar.ts'
import { findFreePort } from '../../src/testing/free-port.ts'
import { startTestServer } from '../../src/testing/server.ts'
import { makeFolder } from '../helpers/client/sidecar.ts'
import { until } from '../helpers/until.ts'

t.setTimeout(120_000)

/** An MCP server whose tool `wait` reports progress, and ends when `release` is emitted. */
class Served extends EventEmitter {
  readonly sessions = new Map<string, { mcp: McpServer; transport: StreamableHTTPServerTransport }>()
  /** The GET streams that are open. */
  streams = 0
  /** The calls of the tool. */
  calls = 0

  readonly routes = (app: FastifyInstance) => {
    app.route<{ Headers: { 'mcp-session-id'?: string } }>({
      url: '/mcp',
      method: ['GET', 'POST', 'DELETE'],
      config: { requireToken: { binding: 'connection' } },
      handler: async ({ raw, headers, body }, reply) => {
        const id = headers['mcp-session-id']
        const known = this.sessions.get(id ?? '')
        if (id !== undefined && known === undefined) return reply.code(404).send({})
        const transport = known?.transport ?? (await this.#open())
        const isStream = raw.method === 'GET'
        if (isStream) this.streams++
        reply.raw.once('close', () => {
          if (isStream) this.streams--
          this.emit(isStream ? 'stream closed' : `${(body as { method?: string } | undefined)?.method} closed`)
        })
        reply.hijack()
        await transport.handleRequest(raw, reply.raw, body)
      },
    })
  }

  async #open(): Promise<StreamableHTTPServerTransport> {
    const mcp = new McpServer({ name: 'test', version: '1.0.0' }, { capabilities: { logging: {} } })
    mcp.registerTool('wait', { description: 'Waits.' }, async ({ _meta, sendNotification }) => {
      const { progressToken = 0 } = _meta ?? {}
      this.calls++
      const released = once(this, 'release')
      await sendNotification({ method: 'notifications/progress', params: { progressToken, progress: 1 } })
      await released
      return { content: [{ type: 'text', text: 'done' }] }
    })
    const transport = new StreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      onsessioninitialized: id => void this.sessions.set(id, { mcp, transport }),
    })
    transport.onclose = () => void this.sessions.delete(transport.sessionId ?? '')
    await mcp.connect(transport)
    return transport
  }
}

const port = await findFreePort()
const origin = `https://localhost:${port}`
const served = new Served()
const server = await startTestServer({
  env: { TLSBOUND_PORT: String(port), TLSBOUND_AUDIENCE: `${origin}/mcp` },
  routes: served.routes,
})
t.teardown(() => server.close())
const { alice, ca } = server.pki

interface Way {
  readonly url: URL
  readonly fetch: typeof fetch
}

function openClient(t: Test, options: Partial<ClientOptions>) {
  const identity = { certificate: alice.certificate, key: alice.key, ca: ca.certificate }
  const client = createClient({ origin, identity, tokenBinding: 'connection', ...options })
  t.teardown(() => client.close())
  return client
}

const direct = (client: ReturnType<typeof createClient>): Way => ({
  url: new URL('/mcp', origin),
  fetch: client.fetch as typeof fetch,
})

async function startSidecarAt(t: Test, listen: Listen): Promise<string> {
  const sidecar = await startSidecar({ client: openClient(t, {}), listen })
  t.teardown(() => sidecar.close(0))
  return sidecar.address
}

/** Each way from an MCP client to the server. */
const ways: Readonly<Record<string, (t: Test) => Way | Promise<Way>>> = {
  'client.fetch over HTTP/2': t => direct(openClient(t, {})),
  'client.fetch over HTTP/1.1': t => direct(openClient(t, { http2: false })),
  'a sidecar on a port': async t => ({ url: new URL('/mcp', await startSidecarAt(t, { port: 0 })), fetch }),
  'a sidecar on a unix socket': async t => {
    const socketPath = join(makeFolder(t), 's.sock')
    await startSidecarAt(t, { path: socketPath })
    const dispatcher = new Agent({ connect: { socketPath } })
    t.teardown(() => dispatcher.close())
    const through = (url: string, init: object) => undiciFetch(url, { ...init, dispatcher })
    return { url: new URL('http://notes/mcp'), fetch: through as unknown as typeof fetch }
  },
}

async function connectAgent(t: Test, { url, fetch }: Way) {
  const transport = new StreamableHTTPClientTransport(url, { fetch })
  const agent = new Client({ name: 'agent', version: '1.0.0' })
  t.teardown(() => agent.close())
  await agent.connect(transport)
  return { agent, transport, sessionId: transport.sessionId ?? '' }
}

const wait = { name: 'wait' }

for (const [name, open] of Object.entries(ways))
  t.test(`through ${name}`, async t => {
    const way = await open(t)

    await t.test('the events of a call arrive before it ends', async t => {
      const { agent } = await connectAgent(t, way)
      const progress: number[] = []
      const onprogress = ({ progress: at }: { progress: number }) => {
        progress.push(at)
        served.emit('release') // the tool ends only because its first event has arrived
      }
      const result = await agent.callTool(wait, undefined, { onprogress })
      t.match(result, { content: [{ text: 'done' }] })
      t.same(progress, [1])
    })

    await t.test('messages of the server arrive one by one on a GET stream, which ends when it is aborted', async t => {
      const { agent, sessionId } = await connectAgent(t, way)
      const received = new EventEmitter()
      agent.setNotificationHandler(LoggingMessageNotificationSchema, ({ params }) => {
        received.emit('message', params.data)
      })
      await agent.listTools()
      await until(() => served.streams === 1)
      for (const data of ['first', 'second']) {
        const arrived = once(received, 'message')
        await served.sessions.get(sessionId)?.mcp.server.sendLoggingMessage({ level: 'info', data })
        t.same(await arrived, [data])
      }
      const closed = once(served, 'stream closed')
      await agent.close()
      await closed
      t.equal(served.streams, 0)
    })

    await t.test('an aborted call ends at the server, and the next one works', async t => {
      const { agent } = await connectAgent(t, way)
      const begun = new Promise<void>(resolve => {
        agent.callTool(wait, undefined, { onprogress: () => resolve() }).catch(() => {})
      })
      await begun
      const closed = once(served, 'tools/call closed') // without `release` it does not end by itself
      await agent.close()
      await closed
      const { agent: next } = await connectAgent(t, way)
      t.match(await next.listTools(), { tools: [{ name: 'wait' }] })
    })

    await t.test('DELETE ends a session and its stream, and no other session', async t => {
      const { agent: other } = await connectAgent(t, way)
      const { agent, transport, sessionId } = await connectAgent(t, way)
      t.ok(served.sessions.has(sessionId), 'control: the session exists')
      await transport.terminateSession()
      t.notOk(served.sessions.has(sessionId))
      const again = new StreamableHTTPClientTransport(way.url, { fetch: way.fetch, sessionId })
      await again.start()
      t.teardown(() => again.close())
      await t.rejects(again.send({ jsonrpc: '2.0', id: 1, method: 'tools/list' }), { code: 404 })
      t.match(await other.listTools(), { tools: [{ name: 'wait' }] }, 'control: another session')
      await agent.close()
    })
  })

t.test('a call whose connection is lost is not sent again', async t => {
  const client = openClient(t, {})
  const { agent } = await connectAgent(t, direct(client))
  const before = served.calls
  const closed = once(served, 'tools/call closed')
  const onprogress = () => {
    for (const { socket } of server.tls.connections) socket.destroy()
  }
  agent.callTool(wait, undefined, { onprogress }).catch(() => {}) // the SDK waits for its own timeout
  await closed
  await until(() => client.state().connections.length === 0)
  t.match(await agent.listTools(), { tools: [{ name: 'wait' }] }, 'control: the client has connected again')
  t.equal(served.calls, before + 1)
})
