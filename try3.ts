import { authorities } from './test/helpers/corpus/authorities.ts'
import { connectRaw, ConnectionEnded } from './test/helpers/tls13-client.ts'
import { startTestServer } from './src/testing/server.ts'
const entries = authorities()
console.log(entries.length, process.cpuUsage())
const server = await startTestServer()
const filter = process.argv[2]
for (const e of entries) {
  if (filter && !e.name.includes(filter)) continue
  let load = 'loaded', why = ''
  const start = performance.now()
  try { server.tls.reload({ cert: server.pki.server.certificate, key: server.pki.server.key, ca: e.files['ca.crt'].toString() }) } catch (x) { load = 'refused'; why = x.message }
  const ms = Math.round(performance.now() - start)
  if (ms > 200) console.log('SLOW', e.name, ms)
  if (e.load !== undefined && e.load !== load) console.log(`LOAD ${e.name}: ${load} ${why}`)
  if (load === 'refused') { console.log('refused', e.name, why); continue }
  for (const p of [...e.served, ...e.refused]) {
    let got = '?', extra = ''
    try {
    const c = await connectRaw(server.port, p)
    try {
      const a = await c.request('GET /binding HTTP/1.1\r\nHost: localhost\r\n\r\n')
      got = a.status !== 200 ? 'STATUS ' + a.status : a.body.certificate === null ? 'no_certificate' : a.body.certificate.reason ?? 'accepted'
      if (got === 'STATUS 500') extra = server.log.at(-1)
    } finally { c.close() }
    } catch (x) { got = x instanceof ConnectionEnded ? 'handshake fails' : String(x.stack); extra = x.message }
    if (got === 'accepted' && e.refused.includes(p)) console.log('PERMISSIVE', e.name, p.name)
    if (got !== 'accepted' && e.served.includes(p)) console.log('REFUSES', e.name, p.name, got)
  }
}
console.log(entries.length, process.cpuUsage(), process.resourceUsage().maxRSS)
await server.close()
