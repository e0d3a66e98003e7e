// Handshakes that fail before a client certificate was sent: the server process stays up, whatever a client offers.
import { spawnSync } from 'node:child_process'
import { connect as connectTcp } from 'node:net'
import { connect as connectTls } from 'node:tls'
import t from 'tap'
import { startTlsbound } from '../../helpers/process/process.ts'

t.setTimeout(120_000)

t.test('closes only the connection of a handshake that fails before the client certificate', async t => {
  const server = await startTlsbound(t, t.testdir())
  const alice = await server.connect('alice')
  const { port } = server
  const offer = (options: object) =>
    new Promise<void>(ended => {
      const socket = connectTls({ host: '127.0.0.1', port, rejectUnauthorized: false, ...options })
      socket.on('error', () => {}).once('close', () => ended())
      socket.once('secureConnect', () => socket.destroy())
    })
  const attempts: Record<string, () => unknown> = {
    'TLS 1.2 alone': () => offer({ maxVersion: 'TLSv1.2' }),
    'TLS 1.1 alone': () => offer({ minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT:@SECLEVEL=0' }),
    'no supported protocol': () => offer({ ALPNProtocols: ['spdy/1'] }),
    'no supported group': () => offer({ ecdhCurve: 'brainpoolP512r1' }),
    "another program's TLS 1.2": () =>
      spawnSync('openssl', ['s_client', '-connect', `127.0.0.1:${port}`, '-tls1_2'], { input: '', timeout: 20_000 }),
    'a record that is no ClientHello': () =>
      new Promise<void>(ended => {
        const socket = connectTcp(port, '127.0.0.1', () => socket.write(Buffer.from('160301000401000000', 'hex')))
        socket.on('error', () => {}).once('close', () => ended())
        socket.setTimeout(15_000, () => socket.destroy())
      }),
  }
  for (const [name, attempt] of Object.entries(attempts)) {
    await attempt()
    t.match(await alice.get('/binding'), { status: 200 }, `${name}: a live connection stays open`)
    t.match(
      await (await server.connect('alice')).get('/binding'),
      { status: 200 },
      `${name}: new connections are served`,
    )
  }
})
