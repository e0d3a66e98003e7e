import { setTimeout as pause } from 'node:timers/promises'
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:tls'
import { serverCertificate } from './test/helpers/corpus/server-files.ts'
import { pemOf } from './test/helpers/corpus/certificate.ts'
import { keyOf } from './test/helpers/corpus/keys.ts'
import { root } from './test/helpers/corpus/world.ts'
import { buildClients } from './test/helpers/corpus/corpus.ts'
import { connectRaw } from './test/helpers/tls13-client.ts'
if (process.argv[2] === 'server') {
  process.once('message', (m: any) => {
  const s = createServer({ ...m, requestCert: true, rejectUnauthorized: false, minVersion: 'TLSv1.3' }, socket => {
    console.log('secure', socket.authorized, socket.authorizationError)
    socket.on('error', e => console.log('socket error', e.code, e.message))
    socket.on('close', () => console.log('close'))
    socket.on('data', () => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n'))
  })
  s.on('tlsClientError', (e: any, socket) => console.log('tlsClientError', e.code, e.message, socket.authorizationError, socket.getPeerX509Certificate?.()?.subject))
  s.listen(0, '127.0.0.1', () => process.send!((s.address() as any).port))
  })
} else {
  const child = fork('./try7.ts', ['server'], {execArgv: ['--conditions=tlsbound-source']})
  child.send({ cert: pemOf(serverCertificate()), key: keyOf('server').privateKey.export({ type: 'pkcs8', format: 'pem' }), ca: root.pem })
  const [port] = await once(child, 'message')
  for (const e of buildClients()) {
    if (!process.argv.slice(2).some(a => e.name === a)) continue
    for (const wait of [0, 200]) {
      try {
        console.log('--', e.name, wait)
        const c = await connectRaw(port as number, e)
        await pause(wait)
        console.log(await c.request('GET / HTTP/1.1\r\n\r\n')); c.close()
      } catch (x) { console.log(String(x)) }
      await pause(100)
    }
  }
  child.kill()
}
