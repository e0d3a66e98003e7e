// tlsbound webhooks test as a process, against real receivers.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { signNotification } from '../../src/notify/signature.ts'
import { runTlsbound } from '../helpers/process/process.ts'
import { receiverIdentity, startReceiver } from '../helpers/server/webhook-receiver.ts'

t.setTimeout(120_000)

t.test('sends a signed notification to each receiver, and reports each response', async t => {
  const folder = t.testdir()
  const [good, bad, slow] = [await startReceiver(t), await startReceiver(t), await startReceiver(t)]
  const untrusted = await startReceiver(t, { identity: receiverIdentity({ issuer: receiverIdentity({ ca: true }) }) })
  bad.answer(response => response.writeHead(503).end())
  slow.answer(response => response.writeHead(410).end())
  writeFileSync(join(folder, 'ca.crt'), good.ca)
  const write = (name: string, list: object[]) =>
    writeFileSync(join(folder, name), JSON.stringify(list), { mode: 0o600 })
  const entry = (receiver: typeof good, more = {}) => receiver.entry({ ca_file: 'ca.crt', ...more })
  write('good.json', [entry(good), entry(good, { client_id: 'alice', events: ['key.rotated'] })])
  const run = (...args: string[]) => runTlsbound(['webhooks', 'test', ...args], folder)

  const accepted = await run('--file', 'good.json')
  t.match(accepted, { code: 0, stderr: '2 of 2 accepted the notification.\n' })
  t.match(accepted.stdout, /^✓ \S+: accepted msg_\S+ in \d+ ms\n✓ \S+ \(client alice\): accepted msg_\S+ in \d+ ms\n$/)
  t.equal(good.delivered.length, 2)
  for (const { headers, body, json } of good.delivered) {
    t.match(json, { type: 'webhook.test', timestamp: /Z$/, data: { outcome: 'success' } })
    const id = String(headers['webhook-id'])
    const { secrets } = good.known()
    const expected = signNotification({ id, body }, Number(headers['webhook-timestamp']), secrets)
    t.match(headers, expected, 'the signature of the receiver verifies')
    t.match(accepted.stdout, id)
  }

  write('mixed.json', [entry(good), entry(bad), entry(slow), entry(untrusted), entry(good, { client_id: 'bob' })])
  const mixed = await run('--file', 'mixed.json', '--json')
  t.match(mixed, { code: 1, stderr: '2 of 5 accepted the notification.\n' })
  t.match(
    JSON.parse(mixed.stdout).map(({ outcome, problem }: { outcome: string; problem?: string }) => [outcome, problem]),
    [['done'], ['failed', '503'], ['gone', '410'], ['failed', /^[A-Z_]+$/], ['done']],
  )
  t.notMatch(mixed.stdout + mixed.stderr, 'whsec_')

  write('empty.json', [])
  t.match(await run('--file', 'empty.json'), { code: 1, stderr: /^tlsbound: empty\.json: the list is empty/ })
  t.match(await run('--file', 'none.json'), { code: 1, stderr: /^tlsbound: none\.json: / })
  t.match(await run(), { code: 2, stderr: /TLSBOUND_WEBHOOKS_FILE must name the list/ })
  t.match(await runTlsbound(['webhooks', 'test', 'x'], folder), { code: 2 })
})
