// Connections of clients that may no longer act are closed within a second of the change; others are not.
import t from 'tap'
import { issueCrl, startTestServer } from '../../src/testing/server.ts'
import { putClient, register } from '../helpers/tokens/grants.ts'
import { until } from '../helpers/until.ts'

const clients = [register('alice'), register('bob')]

for (const protocol of ['http/1.1', 'h2'])
  t.test(
    `${protocol}: closes the connections of a disabled client, and accepts it again once enabled (N-08)`,
    async t => {
      const server = await startTestServer({ clients, closeAfter: 500 })
      t.teardown(() => server.close())
      const options = { ALPNProtocols: [protocol] }
      const [authenticated, user, idle] = [
        await server.connect('alice', options),
        await server.connect('alice', options),
        await server.connect('alice', options),
      ]
      const bob = await server.connect('bob', options)
      const token = await authenticated.token({ token_binding: 'certificate' })
      t.match(await user.get('/api/whoami', token), { status: 200 }, 'control')
      t.match(await bob.requestToken(), { status: 200 }, 'control')

      const start = performance.now()
      await server.store.disableClient('alice', JSON.stringify(clients[0]))
      t.match(
        await user.get('/api/whoami', token),
        { status: 401, body: { reason: 'revoked' } },
        'refused with an error response until then',
      )
      await until(() => !authenticated.isOpen() && !user.isOpen())
      t.comment(`closed after ${Math.round(performance.now() - start)} ms`)
      t.match(server.alarms, Array(2).fill({ event: 'connection.closed', reason: 'client_disabled' }))
      t.equal(idle.isOpen(), true, 'a connection without an authenticated client')
      t.match(await idle.requestToken(), { status: 401, body: { reason: 'client_disabled' } })
      t.match(await bob.requestToken(), { status: 200 })
      await server.store.enableClient('alice')
      t.match(await (await server.connect('alice', options)).requestToken(), { status: 200 })
    },
  )

t.test('closes nothing when a client is enabled again at once', async t => {
  const server = await startTestServer({ clients, closeAfter: 100 })
  t.teardown(() => server.close())
  const [alice, bob] = [await server.connect('alice'), await server.connect('bob')]
  for (const connection of [alice, bob]) await connection.token()
  await putClient(server.store, clients[0] as { client_id: string }, true)
  await server.store.enableClient('alice')
  await putClient(server.store, clients[1] as { client_id: string }, true)
  await until(() => !bob.isOpen())
  t.match(await alice.requestToken(), { status: 200 })
})

t.test('closes the connections of a certificate revoked by an administrator or a loaded list', async t => {
  const server = await startTestServer({ clients, closeAfter: 0, ops: true })
  t.teardown(() => server.close())
  const [alice, bob] = [await server.connect('alice'), await server.connect('bob')]
  const [first] = [await alice.get('/binding'), await bob.get('/binding')]
  const { url, token } = server.ops as { url: string; token: string }
  const revoked = await fetch(`${url}/admin/revocations`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ kind: 'certificate', value: first.body.certificate['x5t#S256'] }),
  })
  t.equal(revoked.status, 201)
  await until(() => !alice.isOpen())
  t.match(server.alarms, [{ event: 'connection.closed', reason: 'certificate_revoked' }])
  t.equal(bob.isOpen(), true)

  const { ca, server: own } = server.pki
  const crl = issueCrl({ issuer: ca, revoked: [server.pki.bob.x509] })
  const again = await server.connect('alice')
  server.tls.reload({ cert: own.certificate, key: own.key, ca: ca.certificate, crl })
  await until(() => !bob.isOpen())
  t.match(server.alarms[1], { event: 'connection.closed', reason: 'certificate_revoked' })
  t.match(await again.requestToken(), { status: 200 }, 'connections of other certificates stay open')
})
