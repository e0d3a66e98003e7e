// Client secrets: how they are stored, parsed from a header and verified, and how failed attempts are delayed.
// N-38, OA32; RFC 6749 §2.3.1.
import t from 'tap'
import { hashSecret, readBasic, SecretChecker } from '../../src/server/clients/client-secret.ts'
import type { ClientSecret } from '../../src/store/store.ts'

const [one, two] = await Promise.all(
  ['first', 'second'].map(async secret => ({ id: secret, hash: await hashSecret(secret) })),
)
/** The connection of the owner of the secret, and that of another party with the same certificate. */
const [own, other] = [{}, {}]
const both = [one, two] as ClientSecret[]
const first = both.slice(0, 1) // each hash costs a tenth of a second
const mismatch = { name: 'OAuthError', code: 'invalid_client', reason: 'client_mismatch' }

t.test('stores a secret as a salted scrypt hash', async t => {
  const again = await hashSecret('first')
  for (const hash of [one?.hash, again]) t.match(hash, /^scrypt\$[\w-]{22}\$[\w-]{43}$/)
  t.not(again, one?.hash, 'a new salt each time')
})

t.test('accepts either of two secrets, and nothing else', async t => {
  let now = 0
  const checker = new SecretChecker(() => now)
  for (const good of ['first', 'second']) await t.resolves(checker.check('a', good, both, own), good)
  for (const wrong of ['', 'First', 'first\0', 'x'.repeat(257), one?.hash as string]) {
    await t.rejects(checker.check('a', wrong, first, {}), mismatch, JSON.stringify(wrong).slice(0, 20))
    now += 60_000
  }
  await t.rejects(checker.check('b', '', [], {}), mismatch, 'a client without secrets has no empty secret')
  now += 60_000
  for (const hash of ['', 'scrypt$AA$', 'plain$first$first']) {
    await t.rejects(checker.check('a', 'first', [{ id: 'x', hash }], {}), mismatch, `kept as ${hash}`)
    now += 60_000
  }
  await t.resolves(checker.check('a', 'first', first, own), 'control')
})

t.test(
  'doubles the delay with each failure up to a minute, resets it on success, and delays no other client (OA32)',
  async t => {
    let now = 1_000_000
    const checker = new SecretChecker(() => now)
    for (const delay of [1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000]) {
      await t.rejects(checker.check('a', 'x'.repeat(257), first, {}), mismatch)
      now += delay - 1
      await t.rejects(checker.check('a', 'first', first, own), mismatch, `${delay} ms have not passed`)
      now += 1
    }
    await t.resolves(checker.check('b', 'first', first, own), 'another client')
    await t.resolves(checker.check('a', 'first', first, own), 'the delay has passed')
    await t.resolves(checker.check('a', 'first', first, own), 'no delay after a success')
    await t.rejects(checker.check('a', 'x'.repeat(257), first, {}), mismatch)
    now += 1000
    await t.resolves(checker.check('a', 'second', both, own), 'the delay starts again at its minimum')
  },
)

t.test('does not extend the delay for an attempt within it', async t => {
  let now = 0
  const checker = new SecretChecker(() => now)
  await t.rejects(checker.check('a', 'x'.repeat(257), first, other), mismatch)
  for (; now < 1000; now += 50) await t.rejects(checker.check('a', 'first', first, own), mismatch)
  await t.resolves(checker.check('a', 'first', first, own))
})

t.test('treats many parallel attempts as one', async t => {
  const checker = new SecretChecker(() => 0)
  const guesses = Array.from({ length: 50 }, (_, index) =>
    checker.check('a', index === 49 ? 'first' : `guess ${index}`, first, own),
  )
  const results = await Promise.allSettled(guesses)
  t.same([...new Set(results.map(({ status }) => status))], ['rejected'], 'including the valid one')
})

t.test('accepts a previously matched secret at once, despite wrong ones in between', async t => {
  let now = 0
  const checker = new SecretChecker(() => now)
  for (const secret of ['first', 'second']) await checker.check('a', secret, both, own)
  for (; now < 300_000; now += 1000) {
    await t.rejects(checker.check('a', 'x'.repeat(257), both, other), mismatch)
    for (const secret of ['first', 'second']) await t.resolves(checker.check('a', secret, both, {}))
  }
  await t.rejects(checker.check('b', 'first', both.slice(1), other), mismatch, 'control: not for another client')
  await t.rejects(checker.check('a', 'First', both, own), mismatch)
})

t.test('does not speed up guessing while the owner is served', async t => {
  let now = 0
  const tried = async (serve: boolean) => {
    const checker = new SecretChecker(() => now)
    await checker.check('a', 'first', first, own)
    let tries = 0
    for (const end = now + 600_000; now < end; now += 250) {
      if (serve) await checker.check('a', 'first', first, own)
      const refusal = await checker.check('a', 'x'.repeat(257), first, {}).catch(error => error)
      if (refusal.detail === 'secret') tries++
    }
    return tries
  }
  const [without, among] = [await tried(false), await tried(true)]
  t.equal(among, without)
  t.ok(among <= 16, `${among} guesses in ten minutes`)
})

t.test('verifies a previously matched secret again after the secret or the client was removed or disabled', async t => {
  let now = 0
  const checker = new SecretChecker(() => now)
  const [hash = ''] = await Promise.all([hashSecret('first')])
  const refused = async (name: string, known: readonly ClientSecret[]) => {
    const wrong = await checker.check('a', 'x'.repeat(257), known, other).catch(error => error)
    const [first, next] = known.length > 0 ? ['secret', 'secret_delayed'] : ['secret_none_stored', 'secret_none_stored']
    t.equal(wrong.detail, first, name)
    await t.rejects(checker.check('a', 'first', known, own), { ...mismatch, detail: next }, name)
    now += 90_000
  }
  const matched = () => checker.check('a', 'first', both, own)
  await matched()
  await refused('the secret was removed', both.slice(1))
  await refused('all secrets were removed', [])
  await refused('it was hashed anew, with another salt', [{ id: 'first', hash }])
  await matched()
  checker.forget('a')
  await refused('the client was disabled', both)
  await matched()
  await checker.check('a', 'second', both.slice(1), own)
  await refused('replaced by another one', [])
  await t.resolves(matched(), 'control')
})

t.test('serves another connection before the one with the wrong secret', async t => {
  let now = 0
  const checker = new SecretChecker(() => now)
  const refusal = async () => (await checker.check('a', 'x'.repeat(257), first, other).catch(error => error)).detail
  for (const delay of [1000, 2000, 4000]) {
    const start = now
    t.equal(await refusal(), 'secret')
    for (; now < start + 1.5 * delay; now += 50) t.equal(await refusal(), 'secret_delayed')
  }
  t.equal(await refusal(), 'secret')
  for (const start = now; now < start + 8000; now += 50)
    await t.rejects(checker.check('a', 'first', first, own), mismatch)
  t.equal(await refusal(), 'secret_delayed')
  await t.resolves(checker.check('a', 'first', first, own), 'the owner, who was not served before')
})

t.test('refuses a missing secret at once, and delays no valid attempt for it', async t => {
  const checker = new SecretChecker(() => 0)
  for (let attempt = 0; attempt < 10; attempt++)
    await t.rejects(checker.check('a', '', first, own), { ...mismatch, detail: 'secret_missing' })
  await t.resolves(checker.check('a', 'first', first, own))
  await t.rejects(checker.check('a', 'x'.repeat(257), first, other), { ...mismatch, detail: 'secret' }, 'control')
  await t.rejects(checker.check('a', '', [], own), { ...mismatch, detail: 'secret_none_stored' })
})

t.test('accepts parallel valid attempts', async t => {
  const checker = new SecretChecker(() => 0)
  const results = await Promise.allSettled(
    ['first', 'first', 'first'].map(secret => checker.check('a', secret, first, own)),
  )
  t.same(
    results.map(({ status }) => status),
    ['fulfilled', 'fulfilled', 'fulfilled'],
  )
})

t.test('RFC 6749 §2.3.1: decodes id and secret from the header once, in one form', async t => {
  const header = (text: string, scheme = 'Basic') => `${scheme} ${Buffer.from(text).toString('base64')}`
  const rows: [string, { id: string; secret: string } | undefined][] = [
    [header('a:b'), { id: 'a', secret: 'b' }],
    [header('a:b', 'bASIC'), { id: 'a', secret: 'b' }],
    [header('a:b:c'), { id: 'a', secret: 'b:c' }],
    [header('a%3Ab:c'), { id: 'a:b', secret: 'c' }],
    [header('a+b:c%2Bd'), { id: 'a b', secret: 'c+d' }],
    [header('%C3%A4:%25%26%3D'), { id: 'ä', secret: '%&=' }],
    [header('a%2525:b'), { id: 'a%25', secret: 'b' }],
    [header('a:b=c'), { id: 'a', secret: 'b=c' }],
    [header('a:'), { id: 'a', secret: '' }],
    ...['', 'Basic', 'Basic ', 'Basic a:b', 'Bearer YTpi', 'Basic YTpi YTpi', 'Basic YTpi,', 'BasicYTpi'].map(
      (text): [string, undefined] => [text, undefined],
    ),
    [header('ab'), undefined],
    ['Basic YT-_', undefined],
  ]
  for (const [text, expected] of rows) t.same(readBasic(text), expected, text)
  t.equal(readBasic(undefined), undefined)
  for (const text of ['a&b:c', 'a:b&c', 'a:b&x=d', 'a:%zz', 'a:%', 'a:%FF'])
    t.equal(readBasic(header(text)), undefined, `${text} is not form-encoded`)
})
