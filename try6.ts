import { buildClients } from './test/helpers/corpus/corpus.ts'
import { connectRaw } from './test/helpers/tls13-client.ts'
import { startTestServer } from './src/testing/server.ts'
const server = await startTestServer()
for (const e of buildClients()) {
  if (!process.argv.slice(2).some(a => e.name === a)) continue
  server.tls.reload({ cert: server.pki.server.certificate, key: server.pki.server.key, ...e.trust })
  for (let i = 0; i < 3; i++) {
  try {
  const c = await connectRaw(server.port, e)
  console.log(await c.request('GET /binding HTTP/1.1\r\nHost: localhost\r\n\r\n'))
  console.log(await c.request('POST /oauth/token HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 46\r\n\r\ngrant_type=client_credentials&client_id=alice&'))
  console.log(server.events.at(-1))
  c.close()
  } catch (x) { console.log(x) }
  }
}
await server.close()
