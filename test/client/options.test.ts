// Options of callers without types: each wrong member of each option is a TypeError that names it and what was found.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { type Client, type ClientOptions, connect, createClient, readIdentityFiles } from '../../src/client/client.ts'
import { startFakeUpstream } from '../helpers/client/fake-upstream.ts'

const upstream = await startFakeUpstream(t, (_request, response) => response.end())
const { origin, identity } = upstream
const create = (options: unknown): Client => createClient(options as ClientOptions)
const found: readonly (readonly [value: unknown, name: string])[] = [
  [null, 'null'],
  [true, 'true'],
  [7, '7'],
  [['a'], 'a list'],
  [{}, 'an object'],
  [Buffer.from('a'), 'a Buffer'],
  [Promise.resolve(), 'a promise'],
  [Symbol('a'), 'a symbol'],
  [7n, 'a bigint'],
]

/** Values that an option refuses beyond those of another type, with how messages describe them. */
const wrong: Readonly<Record<string, readonly (readonly [value: unknown, name: string])[]>> = {
  origin: [[undefined, 'undefined']],
  clientId: [['', '""']],
  issuer: [
    ['http://a.example', '"http://a.example"'],
    ['a.example', '"a.example"'],
    ['', '""'],
  ],
  scope: [
    ['a  b', '"a  b"'],
    ['a\nb', 'a text of several lines'],
  ],
  resource: [['', '""']],
  tokenBinding: [
    ['none', '"none"'],
    ['', '""'],
  ],
  http2: [['false', '"false"']],
  minVersion: [['TLSv1.1', '"TLSv1.1"']],
  connections: ['1', 0, -1, 1.5, Number.NaN].map(value => [value, typeof value === 'string' ? '"1"' : String(value)]),
  timeout: ['1', 0, -1, Number.NaN, Number.POSITIVE_INFINITY, 2_147_484].map(value => [
    value,
    typeof value === 'string' ? '"1"' : String(value),
  ]),
}
const right: Readonly<Record<string, readonly unknown[]>> = {
  origin: [origin, `${origin}/`],
  clientId: ['a', undefined],
  issuer: ['https://a.example', undefined],
  scope: ['', 'a b', undefined],
  resource: ['https://a.example', undefined],
  tokenBinding: ['connection', 'proof', 'certificate', undefined],
  http2: [true, false, undefined],
  minVersion: ['TLSv1.2', 'TLSv1.3', undefined],
  connections: [1, 32, undefined],
  timeout: [0.1, 30, 2_147_483, undefined],
}
const ofType: Readonly<Record<string, string>> = { http2: 'boolean', connections: 'number', timeout: 'number' }

for (const [name, more] of Object.entries(wrong))
  t.test(`createClient names a wrong ${name}, and what was found`, async t => {
    const others = found.filter(([value]) => typeof value !== (ofType[name] ?? 'string'))
    for (const [value, description] of [...others, ...more]) {
      const options = { origin, identity, [name]: value }
      let message = 'accepted'
      try {
        await create(options).close()
      } catch (error) {
        message = String(error)
      }
      t.ok(message.startsWith(`TypeError: ${name} must be `) && message.endsWith(`, not ${description}`), message)
      if (['connections', 'timeout'].includes(name)) continue
      const { origin: to, identity: who, ...rest } = options as ClientOptions
      await t.rejects(
        connect(to, who as never, rest as never),
        { name: 'TypeError', message: message.replace('TypeError: ', '') },
        `connect: ${description}`,
      )
    }
    for (const value of right[name] ?? []) await create({ origin, identity, [name]: value }).close()
  })

t.test('names a wrong identity and its wrong member', async t => {
  const whole = 'identity must be an object with certificate, key, ca, not '
  for (const [value, description] of [[undefined, 'undefined'] as const, ...found, ['PEM', '"PEM"'] as const]) {
    if (['an object', 'a Buffer'].includes(description)) continue // their members are wrong
    const expected = { name: 'TypeError', message: `${whole}${description}` }
    t.throws(() => create({ origin, identity: value }), expected)
    t.throws(() => create({ origin, identity: () => value }), {
      name: 'TypeError',
      message: `the result of ${whole.replace('identity', 'identity()')}${description}`,
    })
    await t.rejects(connect(origin, value as never), expected)
  }
  for (const member of ['certificate', 'key', 'ca'])
    for (const [value, description] of [[undefined, 'undefined'] as const, ...found]) {
      const message = `identity.${member} must be a PEM text, not ${description}`
      t.throws(() => create({ origin, identity: { ...identity, [member]: value } }), { name: 'TypeError', message })
      await t.rejects(connect(origin, { ...identity, [member]: value } as never), { name: 'TypeError', message })
    }
  for (const member of ['certificate', 'key', 'ca'])
    for (const path of ['ca.pem', './certs/ca.crt', '/etc/tlsbound/alice.key', 'C:\\certs\\alice.CER']) {
      const message = new RegExp(`^identity\\.${member} is the path of a file, .*readIdentityFiles\\(`)
      t.throws(() => create({ origin, identity: { ...identity, [member]: path } }), { name: 'TypeError', message })
      await t.rejects(connect(origin, { ...identity, [member]: path } as never), { name: 'TypeError', message })
    }
  const other = { code: 'identity_unusable' } // what is no path is not quoted: it may be a key
  t.throws(() => create({ origin, identity: { ...identity, key: 'MIGHAgEAMBMGByqGSM49AgEG/wIBAQ==' } }), other)
  const { certificate: cert, ...rest } = identity
  t.throws(() => create({ origin, identity: { cert, ...rest } }), { message: /^identity\.certificate must be/ })
  t.throws(() => create({ origin, identity: async () => identity }), { message: /key, ca, not a promise$/ })
  await create({ origin, identity: () => identity }).close()
})

t.test('an identity that becomes wrong later is a problem, and the one before stays in use', async t => {
  let given: unknown = identity
  const client = create({ origin, identity: () => given })
  t.equal((await client.fetch('/')).status, 200, 'control')
  given = { ...identity, key: undefined }
  t.equal((await client.fetch('/')).status, 200)
  t.match(client.state().lastProblem, { code: 'identity_unusable' })
  await client.close()
})

t.test('options that are no object', async t => {
  for (const [value, description] of [
    [undefined, 'undefined'],
    [null, 'null'],
    ['x', '"x"'],
    [[], 'a list'],
  ] as const) {
    const message = `options must be an object with origin, identity, not ${description}`
    t.throws(() => create(value), { name: 'TypeError', message })
  }
  await t.rejects(connect(origin, identity, 7 as never), { name: 'TypeError', message: /^options must be an object/ })
})

t.test('readIdentityFiles names a member that is no path', async t => {
  const folder = t.testdir()
  const path = (name: string, content: string) => {
    writeFileSync(join(folder, name), content, { mode: 0o600 })
    return join(folder, name)
  }
  const { certificate, key, ca } = identity
  const files = { certFile: path('crt', certificate), keyFile: path('key', key), caFile: path('ca', ca) }
  t.match(readIdentityFiles(files)(), { certificate: /BEGIN/ }, 'control')
  for (const member of ['certFile', 'keyFile', 'caFile', 'keyPassphraseFile'])
    for (const [value, description] of [...found, ['', '""'] as const])
      t.throws(() => readIdentityFiles({ ...files, [member]: value } as never), {
        name: 'TypeError',
        message: `files.${member} must be the path of a file, not ${description}`,
      })
  t.throws(() => readIdentityFiles({ ...files, caFile: undefined } as never), { message: /not undefined$/ })
  t.throws(() => readIdentityFiles('x' as never), {
    message: /^files must be an object with certFile, keyFile, caFile, /,
  })
})
