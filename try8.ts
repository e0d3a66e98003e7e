import { startTestServer } from './src/testing/server.ts'
import { buildAuthority, buildCertificate, pemOf } from './test/helpers/corpus/certificate.ts'
import { commonName } from './test/helpers/corpus/der.ts'
import { connectRaw } from './test/helpers/tls13-client.ts'
import { leaf, present, root } from './test/helpers/corpus/world.ts'
const anyone = present('anyone', { chain: [leaf()] }, 'accepted')
const server = await startTestServer()
// one authority with a name so that all names take n octets with their lengths
for (const total of process.argv.slice(2).map(Number)) {
  const own = root.name.length + 2
  let len = total - own - 2
  let a
  for (let k = len - 30; k < len; k++) { if (commonName('x'.repeat(k)).length === len) a = 'x'.repeat(k) }
  const other = buildAuthority(a!, { key: 'other' })
  server.tls.reload({ cert: server.pki.server.certificate, key: server.pki.server.key, ca: root.pem + other.pem })
  try { const c = await connectRaw(server.port, anyone); console.log(total, (await c.request('GET /binding HTTP/1.1\r\nHost: localhost\r\n\r\n')).status); c.close() } catch (e) { console.log(total, String(e)) }
}
await server.close()
