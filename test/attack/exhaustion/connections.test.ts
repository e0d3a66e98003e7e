// Connections as an attack on a server process: floods of complete and incomplete handshakes, thousands of idle connections,
// churn, and other load on its machine. DS01, DS02, DS03, DS15, DS20. Connected clients are served meanwhile, and nothing
// stays open.
import { readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { type ConnectionOptions, connect as connectTls, createSecureContext, type TLSSocket } from 'node:tls'
import t, { type Test } from 'tap'
import { startTlsbound } from '../../helpers/process/process.ts'
import { flood, mebibytes, tellWaits, untilFiles, type Waits, weigh } from '../../helpers/server/exhaustion.ts'
import { buildHello } from '../../helpers/tls/raw-tls.ts'

/** `IDLE_CONNECTIONS=10000` measures more connections than a build server has files for. */
const idleConnections = Number(process.env.IDLE_CONNECTIONS ?? 1000)
t.setTimeout(180_000 + 60 * idleConnections)
const mostPerConnection = 80 * 1024
/** Milliseconds; generous, since a build server is slow and busy. */
const patience = 2000
/** Files that a server opens and closes for its state. */
const slack = 8

const folder = t.testdir()
const server = await startTlsbound(t, folder)
const victim = await server.connect('alice')
const token = await victim.token()
const before = weigh(server)

function serves(t: Test, waits: Waits): void {
  t.comment(tellWaits(waits))
  t.same(Object.keys(waits.statuses), ['200'], 'the victim was always served')
  t.ok(waits.p99 < patience, `99 of 100 within ${patience} ms`)
}

// Ten seconds pass while the other tests run.
const halves = {
  'TCP alone': () => connect(server.port, '127.0.0.1'),
  'a ClientHello only': () => {
    const socket = connect(server.port, '127.0.0.1')
    socket.write(buildHello())
    return socket
  },
}
const half = Object.values(halves).flatMap(open => Array.from({ length: 250 }, open))
const halfBegan = performance.now()
const halfEnded = Promise.all(half.map(ended))

/** Milliseconds until a connection has ended. */
function ended(socket: Socket): Promise<number> {
  socket.on('error', () => {}).resume()
  return new Promise(resolve => socket.once('close', () => resolve(performance.now() - halfBegan)))
}

t.test('serves connected clients during a flood of valid and invalid handshakes (DS01)', async t => {
  const { flooded, waits } = await flood('handshakes', server, folder, 3, { connection: victim, token })
  const { connected = 0, garbage = 0, ...others } = flooded.outcomes
  t.comment(`${connected} handshakes and ${garbage} times garbage in ${flooded.seconds.toFixed(1)} s`)
  t.ok(connected > 20 && garbage > 20, 'control: there was a flood')
  t.same(others, {}, 'valid handshakes of the flood were served too')
  serves(t, waits)
})

t.test(
  'serves all clients while other processes use the cores and the memory, and afterwards as before (DS20)',
  async t => {
    const use = async (kind: 'rest' | 'work') =>
      (await flood(kind, server, folder, 3, { connection: victim, token })).waits
    serves(t, await use('rest'))
    const working = use('work')
    for (let round = 0; round < 5; round++) {
      const newcomer = await server.connect('bob')
      t.match(await newcomer.get('/api/whoami', await newcomer.token()), { status: 200 }, 'new connections too')
      newcomer.close()
    }
    serves(t, await working)
    serves(t, await use('rest'))
  },
)

t.test('closes connections with an incomplete handshake after ten seconds (DS02)', async t => {
  const lasted = await halfEnded
  for (const [index, kind] of Object.keys(halves).entries()) {
    const times = lasted.slice(index * 250, (index + 1) * 250)
    const [first, last] = [Math.min(...times), Math.max(...times)].map(Math.round) as [number, number]
    t.comment(`${kind}: from ${first} to ${last} ms`)
    t.ok(first > 5000 && last < 40_000, kind)
  }
  await untilFiles(server, before.files + slack, 5)
  t.match(await victim.get('/api/whoami', token), { status: 200 })
})

t.test('leaves nothing open after thousands of short connections (DS15)', async t => {
  await flood('churn', server, folder, 1, { connection: victim, token }) // memory that a server keeps after its first connections
  await untilFiles(server, before.files + slack, 5)
  const warm = weigh(server)
  const { flooded, waits } = await flood('churn', server, folder, 3, { connection: victim, token })
  const { 200: served = 0, ...others } = flooded.outcomes
  t.ok(served > 20)
  t.same(others, {}, 'each got its token and its response')
  serves(t, waits)
  await untilFiles(server, before.files + slack, 5)
  const grown = weigh(server).memory - warm.memory
  t.comment(`${served} connections in ${flooded.seconds.toFixed(1)} s; ${mebibytes(grown)} more memory`)
  t.ok(grown < 64 * 1_048_576, 'memory did not grow with them')
})

t.test(`uses at most 80 KiB for each of ${idleConnections} idle connections, and serves others (DS03)`, async t => {
  const warm = weigh(server)
  const opened: TLSSocket[] = []
  t.teardown(() => opened.forEach(socket => void socket.destroy()))
  const read = (name: string) => readFileSync(join(folder, 'certs', name), 'utf8')
  const secureContext = createSecureContext({ ca: read('ca.crt'), cert: read('alice.crt'), key: read('alice.key') })
  let left = idleConnections
  const openMany = async () => {
    while (left-- > 0) opened.push(await openIdle({ port: server.port, servername: 'localhost', secureContext }))
  }
  const since = performance.now()
  await Promise.all(Array.from({ length: 16 }, openMany))
  const seconds = (performance.now() - since) / 1000
  const heavy = weigh(server)
  t.ok(heavy.files - warm.files > 0.98 * idleConnections, `${heavy.files - warm.files} of them are open`)
  const each = (heavy.memory - warm.memory) / idleConnections
  t.comment(
    `${(each / 1024).toFixed(1)} KiB each, ${mebibytes(heavy.memory)} in all; opened in ${seconds.toFixed(1)} s`,
  )
  t.ok(each < mostPerConnection)
  const connection = await server.connect('alice') // the other one may have been closed as idle by now
  const newcomer = { connection, token: await connection.token() }
  const { flooded, waits } = await flood('churn', server, folder, 1, newcomer)
  t.same(Object.keys(flooded.outcomes), ['200'], 'new connections too')
  serves(t, waits)
  for (const socket of opened) socket.destroy()
  await untilFiles(server, before.files + slack, 10)
})

/** A connection that had a response, and then only asks again before it has been idle for a minute. */
async function openIdle(options: ConnectionOptions): Promise<TLSSocket> {
  const socket = connectTls({ host: '127.0.0.1', ...options })
  const ask = () => void socket.write('GET /binding HTTP/1.1\r\nHost: localhost\r\n\r\n')
  await new Promise((resolve, reject) => {
    socket.once('secureConnect', ask).once('data', resolve).once('error', reject)
  })
  const again = setInterval(ask, 40_000)
  socket.on('error', () => {}).once('close', () => clearInterval(again))
  return socket.resume()
}
