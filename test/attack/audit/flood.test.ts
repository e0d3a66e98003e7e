// A flood of refusals against a real server: few lines, whose counts add up to the number of responses, even when the process
// ends. DS13, DS16, RE02.
import { statSync } from 'node:fs'
import t from 'tap'
import type { TestConnection } from '../../../src/testing/connection.ts'
import { eventsIn, startAudited, sumOf, verifyFiles } from '../../helpers/server/audited-server.ts'
import { until } from '../../helpers/until.ts'

t.setTimeout(120_000)
const written = 20

/** Sends requests that are refused, each under another name; returns the number of responses. */
async function flood(connections: readonly TestConnection[], number: number): Promise<number> {
  let sent = 0
  let refused = 0
  const send = async (connection: TestConnection) => {
    while (sent < number) {
      const { status } = await connection.requestToken({ client_id: `nobody-${sent++}` })
      if (status === 401) refused++
    }
  }
  await Promise.all(connections.map(send))
  return refused
}

/** The refusals in a file; a server also records its keys there. */
const refusalsIn = (path: string) => eventsIn(path).filter(({ outcome }) => outcome === 'refused')

t.test('writes or counts each of many equal refusals, whatever identity they claim (DS13)', async t => {
  const { server, path, restart } = await startAudited(t)
  const connections = await Promise.all(Array.from({ length: 4 }, () => server.connect('mallory')))
  t.equal(await flood(connections, written / 2), written / 2)
  t.equal(
    refusalsIn(path).length,
    written / 2,
    'control: the first few are written individually, before their responses',
  )

  const started = performance.now()
  let refused = (await flood(connections, 800)) + written / 2
  await until(() => sumOf(refusalsIn(path)) === refused)
  const seconds = Math.ceil((performance.now() - started) / 1000)
  const lines = refusalsIn(path)
  t.ok(
    lines.length <= (seconds + 1) * (written + 1),
    `${refused} refusals in ${lines.length} lines, ${statSync(path).size} octets`,
  )
  const counted = lines.filter(({ count }) => count !== undefined)
  t.ok(counted.length > 0)
  for (const { reason, since, time, event } of counted) {
    t.match({ event, reason }, { event: 'client.refused', reason: 'unknown_client' })
    t.ok(since <= time)
  }

  await server.end('SIGKILL')
  t.equal(sumOf(refusalsIn(path)), refused, 'counts from a second before the process was killed are written')

  const second = await restart()
  const [mallory, alice, nobody] = [
    await second.connect('mallory'),
    await second.connect('alice'),
    await second.connect(null),
  ]
  const flooding = flood([mallory], 200)
  const tokens = await Promise.all(Array.from({ length: 30 }, () => alice.token()))
  await nobody.get('/api/whoami')
  refused += await flooding
  t.match(await second.end('SIGTERM'), { code: 0 })
  const events = eventsIn(path)
  t.equal(sumOf(events.filter(({ event }) => event === 'client.refused')), refused, 'recent counts are written too')
  t.equal(
    events.filter(({ event }) => event === 'token.issued').length,
    tokens.length,
    'successes are written individually',
  )
  t.equal(events.filter(({ event }) => event === 'token.refused').length, 1, 'refusals of other kinds are written')
  t.same((await verifyFiles(path)).found, ['new_chain 0:1'])
})
