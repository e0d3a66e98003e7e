// A client that never handles a token: it uses fetch, and tlsbound/client manages connection, token and renewal.
// Run it beside `npm start`: npx node --conditions=tlsbound-source examples/client-fetch.ts
import { createClient, readIdentityFiles } from 'tlsbound/client'

const identity = readIdentityFiles({
  certFile: 'certs/alice.crt',
  keyFile: 'certs/alice.key',
  caFile: 'certs/ca.crt',
})
const client = createClient({ origin: 'https://localhost:8443', identity, scope: 'notes:read notes:write' })

await client.fetch('/api/notes', {
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify({ text: `written at ${new Date().toISOString()}` }),
})
const answer = await client.fetch('/api/notes')
console.log(answer.status, await answer.json())

console.log(client.state())
await client.close()
