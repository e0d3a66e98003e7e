// An MCP client that knows nothing of tlsbound: it has no certificate, key or token, and uses the port of a sidecar.
// Run it beside server.ts, and `npx tlsbound sidecar --upstream https://localhost:8444 --listen 8080`:
// npx node examples/mcp/plain-client.ts http://127.0.0.1:8080/mcp
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'

const [, , url = 'http://127.0.0.1:8080/mcp'] = process.argv
const transport = new StreamableHTTPClientTransport(new URL(url))
const agent = new Client({ name: 'agent', version: '1.0.0' })
await agent.connect(transport)
console.log((await agent.listTools()).tools.map(({ name }) => name))
await agent.callTool({ name: 'add_note', arguments: { text: `written at ${new Date().toISOString()}` } })
console.log((await agent.callTool({ name: 'list_notes' })).content)

await transport.terminateSession()
await agent.close()
