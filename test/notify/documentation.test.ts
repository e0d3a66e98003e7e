// Runs the code of docs/how-to/notify.md in Node and Python on the example of docs/reference/notifications.md and on
// delivered notifications. Needs the Debian package python3.
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { parseReceivers } from '../../src/notify/receiver.ts'
import { startNotifier } from '../helpers/server/notifier.ts'
import { type Delivered, secret, startReceiver, theft } from '../helpers/server/webhook-receiver.ts'
import { until } from '../helpers/until.ts'

const page = ['how-to/notify', 'reference/notifications']
  .map(name => readFileSync(`docs/${name}.md`, 'utf8'))
  .join('\n')
const code = (language: string) => new RegExp(`\`\`\`${language}\\n([^]*?)\`\`\``).exec(page)?.[1] ?? t.fail(language)

type Headers = Readonly<Record<string, string>>
type Case = readonly [secret: string, headers: Headers, body: string, now: number]

const folder = t.testdir({
  'verify.mjs': String(code('js')),
  'verify.py': `import json, sys\n${code('python')}
print(json.dumps([verify(key, headers, body.encode(), now) for key, headers, body, now in json.load(sys.stdin)]))`,
})
const { verify } = (await import(join(folder, 'verify.mjs'))) as { verify: (...one: Case) => boolean }

/** The results of the page's code for each of these, which must be the same in both languages. */
function verifyAll(cases: readonly Case[]): boolean[] {
  const input = JSON.stringify(cases)
  const { stdout, stderr, error } = spawnSync('python3', [join(folder, 'verify.py')], { input, encoding: 'utf8' })
  if (error !== undefined) throw new Error('cannot run python3: install the Debian package python3')
  const inNode = cases.map(one => verify(...one))
  t.same(stdout.trim() === '' ? stderr : JSON.parse(stdout), inNode, 'Python agrees with Node')
  return inNode
}

t.test('verifies the signature of the example with the code of the page', t => {
  const [head = '', body = ''] = String(code('http')).trimEnd().split('\n\n')
  const headers = Object.fromEntries([...head.matchAll(/^([\w-]+): (.*)$/gm)].map(([, name, value]) => [name, value]))
  const now = Number(headers['webhook-timestamp'])
  const key = /`(whsec_Bw[^`]*)`/.exec(page)?.[1] ?? ''
  t.same(
    verifyAll([
      [key, headers, body, now],
      [key, headers, body.replace('alice', 'bob'), now],
    ]),
    [true, false],
  )
  const problems: string[] = []
  t.equal(parseReceivers(JSON.parse(String(code('json'))), problems).length, 2, 'and its list can be parsed')
  t.same(problems, [])
  t.end()
})

t.test('verifies a delivered notification with each of its secrets, and with no other', async t => {
  const receiver = await startReceiver(t)
  const next = `whsec_${Buffer.alloc(24, 8).toString('base64')}`
  const notifier = startNotifier(t, [receiver.known({ secret: undefined, secrets: [next, secret] })])
  notifier.observe(theft({ path: '/ä\u2028"' }))
  await until(() => receiver.delivered.length === 1)
  const [{ body, headers: raw }] = receiver.delivered as [Delivered]
  const headers = raw as Headers
  const now = notifier.now / 1000
  const wrong: Case[] = [
    [`whsec_${Buffer.alloc(24, 9).toString('base64')}`, headers, body, now],
    [secret, { ...headers, 'webhook-id': 'msg_other' }, body, now],
    [secret, { ...headers, 'webhook-timestamp': String(now + 1) }, body, now],
    [secret, { ...headers, 'webhook-signature': 'v1,' }, body, now],
    [secret, headers, `${body} `, now],
    [secret, headers, body, now + 300],
    [secret, headers, body, now - 300],
  ]
  const good: Case[] = [secret, next].map(key => [key, headers, body, now])
  t.same(
    verifyAll([...good, ...wrong]),
    [...good, ...wrong].map(one => good.includes(one)),
  )
})
