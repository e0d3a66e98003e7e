// The list of webhooks: its valid values, all problems in one message, and no secret in messages. RE21, RE25, LK01.
import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { parseReceivers } from '../../src/notify/receiver.ts'
import { issueCertificate } from '../../src/pki/certificate.ts'
import { readWebhooksFile } from '../../src/process/files.ts'
import { readKnown, secret } from '../helpers/server/webhook-receiver.ts'

const url = 'https://hooks.example/tlsbound?key=1'

t.test('accepts an https URL and a secret, with thefts, leaks and reuse of all clients as the default events', t => {
  t.match(readKnown({ url, secret }, undefined), {
    url: new URL(url),
    clientId: undefined,
    secrets: [Buffer.alloc(32, 7)],
    allowInternal: false,
    caFile: undefined,
  })
  t.same(
    [...readKnown({ url, secret }, undefined).events],
    ['theft.suspected', 'proxy.suspected', 'token.leaked', 'refresh.reused'],
  )
  const other = { url, secrets: [secret, `whsec_${Buffer.alloc(24).toString('base64')}`], client_id: 'alice' }
  t.match(readKnown({ ...other, events: ['key.rotated'] }, undefined), {
    clientId: 'alice',
    secrets: [{}, { length: 24 }],
  })
  t.end()
})

t.test('keeps waiting notifications for the same address and client, whatever the secrets are', t => {
  const key = (entry: object) => readKnown({ url, secret, ...entry }, undefined).key
  t.equal(key({ secret: undefined, secrets: [secret, secret], events: ['key.rotated'] }), key({}))
  const keys = [key({}), key({ client_id: 'alice' }), key({ client_id: 'bob' }), key({ url: `${url}2` })]
  t.equal(new Set(keys).size, 4)
  t.end()
})

t.test('reports all errors in one message, without a secret', t => {
  const text = (length: number) => `whsec_${Buffer.alloc(length, 9).toString('base64')}`
  const wrong: [object | null | string, RegExp][] = [
    [{ secret }, /url must be an https URL/],
    ...['http://127.0.0.1/', 'ftp://hooks.example', 'https://u:p@hooks.example', `${url}#x`, 'hooks.example', 7].map(
      (address): [object, RegExp] => [{ url: address, secret, allow_internal: true }, /url must be an https URL/],
    ),
    [{ url }, /secret must be whsec_/],
    ...[secret.slice(6), text(23), text(65), `${secret}=`, `${secret} `, 'whsec_', 'whsec_ä', [secret], 7, null].map(
      (odd): [object, RegExp] => [{ url, secret: odd }, /secret must be whsec_/],
    ),
    ...[[], [secret, secret, secret, secret], secret, [secret, 7]].map((odd): [object, RegExp] => [
      { url, secrets: odd },
      /secret must be whsec_/,
    ]),
    [{ url, secret, secrets: [secret] }, /secret and secrets cannot both be given/],
    [{ url, secret, client_id: '' }, /client_id must be a non-empty string/],
    ...[[], 'theft.suspected', ['theft'], ['notification.failed']].map((events): [object, RegExp] => [
      { url, secret, events },
      /events must be a list of token\.issued, /,
    ]),
    [{ url, secret, ca_file: 1 }, /ca_file must be a path/],
    [{ url, secret, allow_internal: 'yes' }, /allow_internal must be true or false/],
    [{ url, secret, scret: 1 }, /unknown member scret/],
    ...[null, 'x', []].map((entry): [object | null | string, RegExp] => [entry, /must be a JSON object/]),
  ]
  for (const [entry, sentence] of wrong) {
    const problems: string[] = []
    t.same(parseReceivers([{ url, secret }, entry], problems).length, 1, 'the valid one beside it')
    t.match(problems, [sentence], JSON.stringify(entry))
    t.ok(problems.every(problem => problem.startsWith('webhook number 2: ')))
    t.notMatch(problems.join(), /whsec_[^ ]/)
  }
  const problems: string[] = []
  parseReceivers(
    [
      { url, secret },
      { url, secrets: [secret] },
      { url, secret, client_id: 'alice' },
    ],
    problems,
  )
  t.same(problems, ['webhook listed twice for the same client: hooks.example'])
  for (const list of [{}, null, Array(101).fill({ url, secret })]) {
    const found: string[] = []
    t.same(parseReceivers(list, found), [])
    t.match(found, [/must be a JSON array of at most 100/])
  }
  t.end()
})

t.test('requires a file that only its owner can read, and finds the authorities beside it', t => {
  const folder = t.testdir({
    'ca.pem': issueCertificate({ subject: [['CN', 'x']], ca: true }).certificate,
    'no.pem': 'x',
  })
  const path = join(folder, 'webhooks.json')
  const write = (list: unknown, mode = 0o600) => {
    writeFileSync(path, typeof list === 'string' ? list : JSON.stringify(list))
    chmodSync(path, mode)
  }
  t.same(readWebhooksFile(undefined), [], 'no file, no webhooks')
  write([{ url, secret, ca_file: 'ca.pem' }])
  t.match(readWebhooksFile(path), [{ url: new URL(url), ca: /BEGIN CERTIFICATE/ }], 'control')
  write([{ url, secret }], 0o640)
  t.throws(() => readWebhooksFile(path), { message: /others can read this secret \(mode 640\); chmod 600/ })
  const broken = [
    { url, secret, ca_file: 'none.pem' },
    { url: `${url}2`, secret, ca_file: 'no.pem' },
    { url: 'x', secret },
  ]
  write(broken)
  t.throws(() => readWebhooksFile(path), {
    message:
      /webhooks\.json:\n {2}- .*number 3: url must .*\n {2}- .*none\.pem: there is no such file.*\n {2}- .*no\.pem: there is no PEM block/,
  })
  write(`[{"secret": "${secret}"`)
  t.throws(() => readWebhooksFile(path), {
    message:
      /^(?!.*whsec_).*webhooks\.json, line 1, column \d+: the text ends inside the object that begins at line 1, column 2$/,
  })
  t.throws(() => readWebhooksFile(join(folder, 'none.json')), {
    message: /none\.json: there is no such file \(ENOENT\)/,
  })
  t.end()
})
