// An MCP server over Streamable HTTP, with its issuer in the same process: a token works only on the connection that it was issued on.
// Run it in a folder with the certificates of the demo: npx node --conditions=tlsbound-source examples/mcp/server.ts
import { randomUUID } from 'node:crypto'
import type { AuthInfo } from '@modelcontextprotocol/sdk/server/auth/types.js'
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js'
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js'
import { generateTokenKey, startServer } from 'tlsbound/server'
import { z } from 'zod'

const notes: { owner: string; text: string }[] = []

function createNotesServer(): McpServer {
  const mcp = new McpServer({ name: 'notes', version: '1.0.0' })
  mcp.registerTool('list_notes', { description: 'Lists your notes.' }, ({ authInfo }) => {
    const texts = notes.filter(({ owner }) => owner === authInfo?.clientId).map(({ text }) => text)
    return { content: texts.map(text => ({ type: 'text' as const, text })) }
  })
  const adding = { description: 'Adds a note.', inputSchema: { text: z.string().max(2000) } }
  mcp.registerTool('add_note', adding, ({ text }, { authInfo }) => {
    if (authInfo === undefined || !authInfo.scopes.includes('notes:write')) throw new Error('requires notes:write')
    notes.push({ owner: authInfo.clientId, text })
    return { content: [{ type: 'text', text: 'added' }] }
  })
  return mcp
}

/** The sessions by their id. The id is no credential: a session belongs to the client that opened it. */
const sessions = new Map<string, { clientId: string; transport: StreamableHTTPServerTransport }>()

async function openSession(clientId: string): Promise<StreamableHTTPServerTransport> {
  const transport = new StreamableHTTPServerTransport({
    sessionIdGenerator: randomUUID,
    onsessioninitialized(id) {
      const own = [...sessions.values()].filter(session => session.clientId === clientId)
      if (own.length >= 10) void own[0]?.transport.close() // the oldest
      sessions.set(id, { clientId, transport })
    },
  })
  transport.onclose = () => void sessions.delete(transport.sessionId ?? '')
  await createNotesServer().connect(transport)
  return transport
}

const { origin, close } = await startServer({
  settings: {
    port: 8444,
    opsPort: 0, // no ops listener
    audience: 'https://localhost:8444/mcp', // the URL of the MCP server, by which its clients find the metadata
    tlsCertFile: 'certs/server.crt',
    tlsKeyFile: 'certs/server.key',
    tlsClientCaFile: 'certs/ca.crt',
    clientsFile: 'examples/clients.json',
    stateUrl: 'sqlite:data/mcp.db',
  },
  keys: [await generateTokenKey('ES256')], // a connection-bound token ends with this process anyway
  routes(app) {
    app.route({
      url: '/mcp',
      method: ['GET', 'POST', 'DELETE'],
      config: { requireToken: { scope: 'notes:read', binding: 'connection' } },
      async handler({ raw, headers, body, token }, reply) {
        const { client_id: clientId, exp } = token.claims
        const id = headers['mcp-session-id']
        const session = sessions.get(String(id))
        if (id !== undefined && session?.clientId !== clientId)
          return reply.code(404).send({ error: 'unknown session' })
        const transport = session?.transport ?? (await openSession(clientId))
        if (raw.method === 'GET') {
          // The stream of messages to the client ends with the token. The client opens another one.
          const timer = setTimeout(() => transport.closeStandaloneSSEStream(), exp * 1000 - Date.now())
          reply.raw.once('close', () => clearTimeout(timer))
        }
        // The tools need to know who calls. The token is among the headers that the SDK gives them; it is useless elsewhere.
        const auth: AuthInfo = { token: '', clientId, scopes: [...token.scope], expiresAt: exp }
        reply.hijack()
        await transport.handleRequest(Object.assign(raw, { auth }), reply.raw, body)
      },
    })
  },
})
console.log(`MCP server: ${origin}/mcp`)
process.once('SIGINT', close).once('SIGTERM', close)
