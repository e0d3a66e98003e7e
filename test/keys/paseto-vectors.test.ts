// The official test vectors of PASETO v4 and of PASERK k4.public and k4.pid (test/vectors/paseto): every v4.public one is signed and
// verified, and every other one is rejected. The library `paseto` reads the same vectors.
import { createPrivateKey, createPublicKey, hash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { PublicProtocol } from 'paseto'
import { ImportPublicKeyFactory, VerifyFactory } from 'paseto/v4/public'
import t from 'tap'
import { OAuthError } from '../../src/core/errors.ts'
import { joinPaseto, parsePaseto } from '../../src/core/paseto.ts'
import { parsePasetoPayload } from '../../src/core/paseto-claims.ts'
import { paserkIdOf, paserkOf } from '../../src/keys/paserk.ts'
import { isSigned, signParts } from '../../src/keys/paseto-key.ts'

interface Vector {
  readonly name: string
  readonly 'expect-fail': boolean
  readonly key?: string
  readonly paserk?: string | null
  readonly token: string
  readonly payload: string | null
  readonly footer: string
  readonly 'implicit-assertion': string
  readonly 'secret-key-pem'?: string
  readonly 'public-key-pem'?: string
}

const read = (name: string): Vector[] =>
  JSON.parse(readFileSync(new URL(`../vectors/paseto/${name}`, import.meta.url), 'utf8')).tests
const vectors = read('v4.json')
const [good, bad] = [true, false].map(is =>
  vectors.filter(({ token, 'expect-fail': fails }) => (token.startsWith('v4.public.') && !fails) === is),
) as [Vector[], Vector[]]

function partsOf({ token }: Vector) {
  const [, , payload = '', footer = ''] = token.split('.')
  const signed = Buffer.from(payload, 'base64url')
  return {
    message: signed.subarray(0, -64),
    signature: signed.subarray(-64),
    footer: Buffer.from(footer, 'base64url'),
  }
}

const refusalOf = (token: string) => {
  try {
    parsePaseto(token)
  } catch (error) {
    if (error instanceof OAuthError) return error.detail
    throw error
  }
  return 'accepted'
}

t.test('has the official vectors, unchanged', async t => {
  t.equal(vectors.length, 17)
  t.same([good.length, bad.length], [3, 14])
  const text = readFileSync(new URL('../vectors/paseto/v4.json', import.meta.url))
  t.equal(hash('sha256', text), '0b72948b65d1f73f574c9ad2aa3481ec27bf8c632f5f6e1596cd41f5b9703387')
})

t.test(
  'signs each v4.public vector as it is, and verifies it with its implicit assertion only (N-71, N-74)',
  async t => {
    for (const vector of good) {
      const { name, token, payload, footer, 'implicit-assertion': implicit } = vector
      const key = createPrivateKey(vector['secret-key-pem'] as string)
      const parts = partsOf(vector)
      t.equal(parts.message.toString(), payload, name)
      t.equal(parts.footer.toString(), footer, name)
      const signature = signParts(parts, key, Buffer.from(implicit))
      const joined = joinPaseto(parts.message, signature, parts.footer)
      t.equal(footer === '' ? joined.slice(0, -1) : joined, token, name)

      const publicKey = createPublicKey(vector['public-key-pem'] as string)
      t.ok(isSigned(parts, publicKey, Buffer.from(implicit)), name)
      t.notOk(isSigned(parts, publicKey, Buffer.from(`${implicit} `)), `${name}: another implicit assertion`)
      t.notOk(isSigned({ ...parts, footer: Buffer.from(`${footer} `) }, publicKey, Buffer.from(implicit)), name)
      const moved = { ...parts, footer: Buffer.concat([parts.footer, Buffer.from(implicit)]) }
      t.equal(isSigned(moved, publicKey, Buffer.alloc(0)), implicit === '', `${name}: octets moved between the parts`)
      t.match(parsePasetoPayload(parts.message), { data: 'this is a signed message', exp: 1_640_995_200 }, name)
    }
  },
)

t.test('rejects each other vector: v4.local, v3, and those that must fail (N-72)', async t => {
  for (const { name, token } of bad)
    t.equal(refusalOf(token), token.startsWith('v4.public.') ? 'footer' : 'paseto_version', name)
  // A vector of v4.public has a footer that is not a PASERK id, so that a server does not accept it either.
  for (const { name, token } of good) t.equal(refusalOf(token), 'footer', name)
  const failing = bad.find(({ name }) => name === '4-F-2') as Vector
  const key = createPublicKey(good[0]?.['public-key-pem'] as string)
  t.notOk(isSigned(partsOf(failing), key, Buffer.from(failing['implicit-assertion'])), 'control: by its signature too')
})

t.test('agrees with the library paseto about each v4.public vector', async t => {
  const library = new PublicProtocol(ImportPublicKeyFactory, VerifyFactory)
  for (const { name, token, 'public-key-pem': pem, payload, footer, 'implicit-assertion': implicit } of good) {
    const { x } = createPublicKey(pem as string).export({ format: 'jwk' })
    const key = await library.ImportPublicKey(paserkOf(String(x)) as `k4.public.${string}`)
    const options = { implicitAssertion: octets(implicit), now: new Date('2021-12-31T00:00:00Z') }
    const found = await library.Verify(key, token, options)
    t.same(found.claims, JSON.parse(String(payload)), name)
    t.equal(Buffer.from(found.footer).toString(), footer, name)
  }
})

t.test('computes k4.public and k4.pid of each vector (N-76)', async t => {
  for (const [file, compute] of [
    ['k4.public.json', paserkOf],
    ['k4.pid.json', paserkIdOf],
  ] as const) {
    const cases = read(file).filter(({ 'expect-fail': fails }) => !fails)
    t.equal(cases.length, 3, file)
    for (const { name, key, paserk } of cases)
      t.equal(await compute(Buffer.from(String(key), 'hex').toString('base64url')), paserk, name)
  }
})

/** The library takes octets with a buffer of their own. */
function octets(text: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Buffer.from(text))
}
