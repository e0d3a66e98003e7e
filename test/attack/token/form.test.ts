// Texts that resemble a token: JW14 … JW16, JW20. A token has one spelling and a maximum length. Characters that RFC 6750
// §2.1 forbids in a bearer token make a malformed request, 400; all else is 401.
import { randomBytes } from 'node:crypto'
import t from 'tap'
import { generateTokenKey } from '../../../src/keys/token-keys.ts'
import { startTestServer, type TestConnection } from '../../../src/testing/server.ts'
import { type Row, refusal, refuseEach } from '../../helpers/server/refusals.ts'
import {
  claimsFor,
  encode,
  forgeToken,
  headerOf,
  signatureOf,
  withSignature,
} from '../../helpers/tokens/forge-token.ts'

const jwk = await generateTokenKey('ES256')
const server = await startTestServer({ signingKeys: [jwk] })
t.teardown(() => server.close())
const alice = await server.connect('alice')
const claims = claimsFor(alice, server)
const token = tokenWith(/[-_]/)
const [head, body, signature] = token.split('.') as [string, string, string]

t.test('accepts the unchanged token, with spaces around it that belong to HTTP', async t => {
  t.equal((await alice.get('/api/whoami', token)).status, 200)
  t.equal((await alice.get('/api/whoami', `${token} \t `)).status, 200, 'RFC 9110 §5.5: they are not part of the value')
})

t.test('accepts a token in one spelling only (JW14)', async t => {
  const { length } = token
  const half = Math.floor(length / 2)
  await refuseEach(t, server, alice, [
    ['one = behind', `${token}=`],
    ['three = behind', `${token}===`],
    ['. behind', `${token}.`],
    ['. before', `.${token}`],
    ['a fourth segment', `${token}.${signature}`],
    ['the header twice', `${head}.${token}`],
    ['two segments', `${head}.${body}`],
    ['one segment', head],
    ['no dots', token.replaceAll('.', '')],
    ['dots only', '..'],
    ['an empty header', `.${body}.${signature}`],
    ['an empty payload', `${head}..${signature}`],
    ['the segments turned round', `${signature}.${body}.${head}`],
    ['a payload for a header', `${body}.${head}.${signature}`, 'wrong_type'],
    ['all in lower case', token.toLowerCase()],
    ['all in upper case', token.toUpperCase()],
    ['the signature in lower case', `${head}.${body}.${signature.toLowerCase()}`],
    ['base64 instead of base64url', token.replaceAll('-', '+').replaceAll('_', '/')],
    ['~ in the middle', `${token.slice(0, half)}~${token.slice(half)}`],
    ['without its last character', token.slice(0, -1)],
    ['without its first character', token.slice(1)],
    ['a character more', `${token}A`],
    ['stray bits behind the header', `${nextTo(head)}.${body}.${signature}`],
    ['stray bits behind the payload', `${head}.${nextTo(body)}.${signature}`],
    ['stray bits behind the signature', `${head}.${body}.${nextTo(signature)}`],
    ['the signature in hexadecimal', withSignature(token, signatureOf(token).toString('hex'))],
    ['the whole in base64url', encode(token)],
    ['Bearer in front', `Bearer.${token}`],
    ['a digit', '0'],
  ])
})

t.test('rejects characters outside of a bearer token as a malformed request (JW14, JW16)', async t => {
  const jws = { payload: body, protected: head, signature }
  const texts: Record<string, string> = {
    'a space before': ` ${token}`,
    'a space in the middle': `${head}. ${body}.${signature}`,
    'a tab in the middle': `${head}.\t${body}.${signature}`,
    '= in the middle': `${head}=.${body}.${signature}`,
    'a comma and another': `${token}, Bearer ${token}`,
    'in quotes': `"${token}"`,
    'a parameter': `token=${token}`,
    'a byte order mark before': `\xef\xbb\xbf${token}`,
    'percent encoding': `${token}%0A`,
    'a semicolon': `${token};`,
    'flattened JSON serialisation': JSON.stringify(jws),
    'general JSON serialisation': JSON.stringify({ payload: body, signatures: [jws] }),
    nothing: '',
  }
  for (const [name, text] of Object.entries(texts)) {
    const before = server.events.length
    t.match(
      await alice.get('/api/whoami', text),
      { status: 400, body: { error: 'invalid_request', reason: 'malformed_request' } },
      name,
    )
    t.match(server.events.slice(before), [{ event: 'token.refused', reason: 'malformed_request' }])
  }
  await refuseEach(t, server, alice, [
    ['flattened JSON serialisation in base64url', encode(jws)],
    ['general JSON serialisation in base64url', encode({ payload: body, signatures: [jws] })],
    ['JSON serialisation as each segment', `${encode(jws)}.${encode(jws)}.${signature}`, 'wrong_type'],
  ])
})

t.test('rejects an encrypted token without decrypting it (JW15)', async t => {
  const parts = [256, 12, 400, 16].map(size => randomBytes(size))
  const encrypted = (header: object) => [header, ...parts].map(encode).join('.')
  const algorithms = ['dir', 'RSA-OAEP', 'RSA1_5', 'ECDH-ES', 'A256KW', 'PBES2-HS256+A128KW', 'none', 'ES256']
  await refuseEach(t, server, alice, [
    ...algorithms.flatMap((alg): Row[] =>
      [{}, { zip: 'DEF' }, { cty: 'JWT' }, { p2c: 2 ** 31 }].map((more): Row => {
        const header = { ...headerOf(jwk), alg, enc: 'A256GCM', ...more }
        return [`${alg} ${JSON.stringify(more)}`, encrypted(header)]
      }),
    ),
    ['five segments of a valid token', `${token}.${body}.${signature}`],
    ['five segments, four of them empty', `${head}....`],
  ])
})

t.test('rejects tokens of any length, and stays up (JW20)', async t => {
  const long = (length: number) => `${head}.${'A'.repeat(length - token.length + body.length)}.${signature}`
  const withJunk = (length: number) => forgeToken({ jwk, claims: { ...claims, junk: 'x'.repeat(length) } })
  t.equal((await alice.get('/api/whoami', withJunk(2000))).status, 200, 'one of 3500 characters is parsed')
  await refuseEach(t, server, alice, [
    ['well signed, 8 KB', withJunk(5500)],
    ...[4097, 8192, 15_360].map((length): Row => [`${length} characters`, long(length)]),
  ])
  for (const length of [17_408, 1_048_576]) {
    const connection = await server.connect('alice')
    t.ok([431, 'closed'].includes(await outcome(connection, long(length))), `${length} characters`)
    const http2 = await server.connect('alice', { ALPNProtocols: ['h2'] })
    t.ok([401, 431, 'closed'].includes(await outcome(http2, long(length))), `${length} characters over HTTP/2`)
  }
  t.match(await alice.get('/api/whoami', `${token}A`), refusal('bad_signature'))
  t.equal((await alice.get('/api/whoami', token)).status, 200)
})

async function outcome(connection: TestConnection, text: string): Promise<number | 'closed'> {
  const answer = await connection.get('/api/whoami', text).catch(() => undefined)
  connection.close()
  return answer?.status ?? 'closed'
}

/** A valid token whose signature has a character that differs between base64 and base64url. */
function tokenWith(characters: RegExp): string {
  for (let count = 0; count < 100; count++) {
    const candidate = forgeToken({ jwk, claims: { ...claims, jti: `forged-${count}`, pad: 'x'.repeat(count % 3) } })
    const segments = candidate.split('.')
    if (characters.test(segments[2] as string) && segments.every(segment => segment.length % 4 !== 0)) return candidate
  }
  throw new Error('no such token in a hundred')
}

/** Returns the same octets in another spelling: sets bits that a lenient decoder ignores. */
function nextTo(segment: string): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
  const other = segment.slice(0, -1) + alphabet[alphabet.indexOf(segment.at(-1) as string) + 1]
  if (!Buffer.from(other, 'base64url').equals(Buffer.from(segment, 'base64url'))) throw new Error('not the same octets')
  return other
}
