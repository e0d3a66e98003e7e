// The same client for bodies that are streamed: its dispatcher is one of undici, with stream and pipeline.
// Run it beside `npm start`: npx node --conditions=tlsbound-source examples/client-stream.ts
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createClient, readIdentityFiles } from 'tlsbound/client'

const identity = readIdentityFiles({
  certFile: 'certs/alice.crt',
  keyFile: 'certs/alice.key',
  caFile: 'certs/ca.crt',
})
const client = createClient({ origin: 'https://localhost:8443', identity })

/** A request body that is produced while it is sent. Such a request is sent once, since its body cannot be repeated. */
async function* note(): AsyncGenerator<string> {
  yield '{"text":"'
  for (const word of ['sent', 'word', 'by', 'word']) yield `${word} `
  yield '"}'
}
const posted = await client.dispatcher.request({
  path: '/api/notes',
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: Readable.from(note()),
})
console.log(posted.statusCode, await posted.body.json())

const { body } = await client.dispatcher.request({ path: '/api/notes', method: 'GET' })
await pipeline(body, process.stdout, { end: false })
await client.close()
