// An MCP client whose requests go through tlsbound/client, which has the certificate, the connection and the token.
// Run it beside server.ts: npx node --conditions=tlsbound-source examples/mcp/client.ts
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { createClient, readIdentityFiles } from 'tlsbound/client'

const identity = readIdentityFiles({
  certFile: 'certs/alice.crt',
  keyFile: 'certs/alice.key',
  caFile: 'certs/ca.crt',
})
const bound = createClient({ origin: 'https://localhost:8444', identity, scope: 'notes:read notes:write' })

// The types of undici and of Node differ in members that the transport does not use.
const fetch = bound.fetch as unknown as typeof globalThis.fetch
const transport = new StreamableHTTPClientTransport(new URL('https://localhost:8444/mcp'), { fetch })
const agent = new Client({ name: 'agent', version: '1.0.0' })
await agent.connect(transport)
console.log((await agent.listTools()).tools.map(({ name }) => name))
await agent.callTool({ name: 'add_note', arguments: { text: `written at ${new Date().toISOString()}` } })
console.log((await agent.callTool({ name: 'list_notes' })).content)

await transport.terminateSession()
await agent.close()
await bound.close()
