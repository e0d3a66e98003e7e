// Tokens with random changes, thousands of them over real connections. A token with one changed bit is invalid. The faults
// searched for are a 2xx, a 5xx, or a server that has ended.
import fc from 'fast-check'
import t from 'tap'
import { isPaseto } from '../../../src/core/paseto.ts'
import { generateTokenKey } from '../../../src/keys/token-keys.ts'
import { startTestServer } from '../../../src/testing/server.ts'
import { forgePaseto } from '../../helpers/tokens/forge-paseto.ts'
import { claimsFor, encode, forgeToken } from '../../helpers/tokens/forge-token.ts'

const keys = await Promise.all((['ES256', 'EdDSA', 'RS256'] as const).map(generateTokenKey))
const [jwk] = keys as [(typeof keys)[0]]
const ofPaseto = await generateTokenKey('v4.public')
const server = await startTestServer({ signingKeys: [...keys, ofPaseto] })
t.teardown(() => server.close())
const [alice, http2, bob] = await Promise.all([
  server.connect('alice'),
  server.connect('alice', { ALPNProtocols: ['h2'] }),
  server.connect('bob'),
])
const issued = await alice.token()
const ofCertificate = await alice.token({ token_binding: 'certificate' })
const forged = [
  ...keys.map(key => forgeToken({ jwk: key, claims: claimsFor(alice, server) })),
  forgePaseto({ jwk: ofPaseto, claims: claimsFor(alice, server) }),
]
const others = [await http2.token(), await bob.token(), await bob.token({ token_binding: 'certificate' })]
const expired = forgeToken({ jwk, claims: { ...claimsFor(alice, server), iat: server.clock - 300, exp: server.clock } })
const tokens = [issued, ofCertificate, ...forged, ...others, expired]
/** Valid on the connection `alice`. */
const good = new Set([issued, ofCertificate, ...forged])

const token = fc.constantFrom(...tokens)
const place = fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true })
const at = (text: string, where: number) => Math.floor(text.length * where)
const replace = (text: string, where: number, length: number, by: string) =>
  text.slice(0, at(text, where)) + by + text.slice(at(text, where) + length)
/** A JWT has three, a PASETO four. */
const segment = fc.nat({ max: 3 })
const withSegment = (text: string, index: number, change: (segment: string) => string) =>
  text
    .split('.')
    .map((part, position) => (position === index ? change(part) : part))
    .join('.')
const base64url = fc.string({ unit: fc.constantFrom(...'ABCXYZabcxyz0189-_'), minLength: 1, maxLength: 40 })

/** A segment with one more member in its JSON. The signature behind the claims of a PASETO stays. */
function withMember(part: string, name: string, value: unknown): string {
  const bytes = Buffer.from(part, 'base64url')
  const end = bytes.lastIndexOf('}') + 1
  for (let at = end; at > 1; at = bytes.lastIndexOf('}', at - 2) + 1)
    try {
      const json = JSON.stringify({ ...JSON.parse(bytes.toString('utf8', 0, at)), [name]: value })
      return encode(Buffer.concat([Buffer.from(json), bytes.subarray(at)]))
    } catch {} // an octet of the signature
  return encode(bytes)
}

/** Ways to change a token; each result may, by chance, equal the token. */
const mutation = fc.oneof(
  // a bit of the text
  fc
    .tuple(token, place, fc.nat({ max: 7 }))
    .map(([text, where, bit]) =>
      replace(text, where, 1, String.fromCharCode(text.charCodeAt(at(text, where)) ^ (1 << bit))),
    ),
  // a bit of what a segment encodes
  fc.tuple(token, segment, place, fc.nat({ max: 7 })).map(([text, index, where, bit]) =>
    withSegment(text, index, part => {
      const bytes = Buffer.from(part, 'base64url')
      const position = Math.floor(bytes.length * where)
      bytes[position] = (bytes[position] as number) ^ (1 << bit)
      return encode(bytes)
    }),
  ),
  // the beginning of one and the end of another
  fc.tuple(token, token, place).map(([one, two, where]) => one.slice(0, at(one, where)) + two.slice(at(two, where))),
  // segments of several
  fc.tuple(token, token, token).map(texts => texts.map((text, index) => text.split('.')[index]).join('.')),
  // segments reordered, omitted or added
  fc
    .tuple(token, fc.array(segment, { maxLength: 6 }))
    .map(([text, order]) => order.map(index => text.split('.')[index]).join('.')),
  // cut off at either end
  fc
    .tuple(token, place, fc.boolean())
    .map(([text, where, head]) => (head ? text.slice(at(text, where)) : text.slice(0, at(text, where)))),
  // characters inserted, removed or replaced
  fc
    .tuple(token, place, fc.nat({ max: 8 }), base64url)
    .map(([text, where, length, by]) => replace(text, where, length, by)),
  fc
    .tuple(token, place, fc.nat({ max: 8 }), fc.string())
    .map(([text, where, length, by]) => replace(text, where, length, by)),
  // the case of one letter
  fc.tuple(token, place).map(([text, where]) => {
    const letter = text[at(text, where)] as string
    return replace(text, where, 1, letter === letter.toLowerCase() ? letter.toUpperCase() : letter.toLowerCase())
  }),
  // a piece of JSON in the header or the payload replaced, the signature retained
  fc
    .tuple(token, fc.nat({ max: 1 }), fc.string({ maxLength: 12 }), fc.jsonValue({ maxDepth: 2 }))
    .map(([text, index, name, value]) =>
      withSegment(text, isPaseto(text) ? 2 + index : index, part => withMember(part, name, value)),
    ),
  // spaces and padding around it
  fc
    .tuple(
      token,
      fc.constantFrom('', ' ', '\t', '=', '==', '.', 'A'),
      fc.constantFrom('', ' ', '\t', '=', '==', '.', 'A'),
    )
    .map(([text, before, behind]) => before + text + behind),
)

/** Characters that a header can contain (RFC 9110 §5.5). */
const canBeSent = (text: string) => /^[\t\x20-\x7e\x80-\xff]*$/.test(text)

for (const [name, connection, numRuns] of [
  ['HTTP/1.1', alice, 4000],
  ['HTTP/2', http2, 1000],
] as const)
  t.test(`rejects ${numRuns} tokens with random changes over ${name} (JW37, N-14, N-72)`, async t => {
    const here = name === 'HTTP/1.1' ? good : new Set([others[0], ofCertificate])
    for (const text of tokens) t.equal((await connection.get('/api/whoami', text)).status, here.has(text) ? 200 : 401)
    const before = server.events.length
    let refused = 0
    const property = fc.asyncProperty(mutation.filter(canBeSent), async text => {
      // HTTP/1.1 removes spaces after a value; HTTP/2 rejects such a value.
      const unchanged = here.has(name === 'HTTP/1.1' ? text.replace(/[ \t]+$/, '') : text)
      const { status, body } = await connection.get('/api/whoami', text)
      if (status !== 200) refused++
      if (unchanged ? status !== 200 : !(status === 401 || status === 400) || body.reason === undefined)
        throw new Error(`${status} for ${JSON.stringify(text)}`)
    })
    await fc.assert(property, { numRuns })
    t.ok(refused > numRuns / 2, `${refused} were refused`)
    t.equal(server.events.length - before, refused, 'one security event each (I7)')
    t.equal((await connection.get('/api/whoami', [...here][0])).status, 200, 'the valid token still works')
    t.notOk(server.log.some(line => line.includes('unhandled error')))
  })
