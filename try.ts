import { clientNames } from './test/helpers/corpus/client-names.ts'
import { clientEncodings } from './test/helpers/corpus/client-encodings.ts'
import { clientExtensions } from './test/helpers/corpus/client-extensions.ts'
import { clientChains } from './test/helpers/corpus/client-chains.ts'
import { clientKeys } from './test/helpers/corpus/client-keys.ts'
import { connectRaw, ConnectionEnded } from './test/helpers/tls13-client.ts'
import { startTestServer } from './src/testing/server.ts'
const entries = [clientNames, clientEncodings, clientExtensions, clientChains, clientKeys].flatMap(f => f())
const server = await startTestServer()
const material = (trust: {ca: string, crl?: string}) => ({ cert: server.pki.server.certificate, key: server.pki.server.key, ...trust })
let trust: unknown
const filter = process.argv[2]
for (const e of entries) {
  if (filter && !e.name.includes(filter)) continue
  try { if (e.trust !== trust) server.tls.reload(material(e.trust)) } catch (x) { console.log('LOAD', e.name, x); continue }
  trust = e.trust
  let got = '?', extra = ''
  const start = performance.now()
  try {
    const c = await connectRaw(server.port, e)
    try {
      const a = await c.request('GET /binding HTTP/1.1\r\nHost: localhost\r\n\r\n')
      got = a.status !== 200 ? 'STATUS ' + a.status : a.body.certificate === null ? 'no_certificate' : a.body.certificate.reason ?? 'accepted'
      if (got === 'STATUS 500') extra = server.log.at(-1)
    } finally { c.close() }
  } catch (x) { got = x instanceof ConnectionEnded ? 'handshake fails' : String(x.stack); extra = x.message }
  const ms = Math.round(performance.now() - start)
  if (got !== e.verdict || ms > 200) console.log(`${got === e.verdict ? 'slow' : 'DIFF'} ${e.name}: expected ${e.verdict}, got ${got} ${extra} ${ms} ms`)
}
console.log(entries.length, process.cpuUsage(), process.resourceUsage().maxRSS)
await server.close()
