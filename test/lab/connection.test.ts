// The lab's connection settles every call, also on a connection that has ended; otherwise a run would never end.
import t from 'tap'
import { startTestServer } from '../../src/testing/server.ts'

const server = await startTestServer()
t.teardown(() => server.close())

for (const protocol of ['http/1.1', 'h2']) {
  const connect = () => server.connect('alice', { ALPNProtocols: [protocol] })

  t.test(`${protocol}: rejects a call on a connection that has ended`, async t => {
    const fresh = await connect()
    fresh.close()
    await t.rejects(fresh.call('/binding'), /ended/, 'before its first call')
    const used = await connect()
    t.match(await used.call('/binding'), { status: 200 }, 'control')
    used.close()
    await t.rejects(used.call('/binding'), 'after a call')
    const ended = await connect()
    await new Promise(resolve => ended.socket.once('close', resolve).destroy())
    await t.rejects(ended.call('/binding'), /ended/, 'after it was destroyed')
    t.notOk(ended.isOpen())
  })

  t.test(`${protocol}: rejects a pending call when the connection ends`, async t => {
    const connection = await connect()
    const call = connection.call('/binding')
    connection.socket.destroy()
    await t.rejects(call)
  })
}
