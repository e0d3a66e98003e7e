// Changed proofs, and unusual proofs signed by their client, over real connections. N-57, N-63; I1, I2, I7, DS06; JW14, JW20
// and JW37 for proofs. Without a connection: test/core/binding-proof*.test.ts.
import fc from 'fast-check'
import t from 'tap'
import { hashToken } from '../../../src/core/binding-proof.ts'
import { startTestServer, type TestConnection } from '../../../src/testing/server.ts'
import { refusal } from '../../helpers/server/refusals.ts'
import { claimsOf } from '../../helpers/tokens/grants.ts'

const server = await startTestServer()
t.teardown(() => server.close())
const whoami = '/api/whoami'
const level = { token_binding: 'proof' }
const invalid = refusal('proof_invalid', 'invalid_proof')
const protocols = ['http/1.1', 'h2'] as const

for (const protocol of protocols)
  t.test(`rejects changed proofs, each with one security event: ${protocol} (N-57)`, async t => {
    const connection = await server.connect('alice', { ALPNProtocols: [protocol] })
    const other = await server.connect('alice')
    const [token, second] = [await connection.token(level), await connection.token(level)]
    const proof = connection.prove(token)
    const proofs = [proof, connection.prove(second), other.prove(token), connection.prove(token, { jti: 'a' })]
    t.match(await connection.get(whoami, token, proof), { status: 200 }, 'control')

    const text = fc.constantFrom(...proofs)
    const place = fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true })
    const octet = fc.integer({ min: 0x20, max: 0xff }).filter(code => code !== 0x7f)
    const changed = fc.tuple(place, fc.nat({ max: 3 }), octet).map(([where, length, code]) => {
      const at = Math.floor(proof.length * where)
      return proof.slice(0, at) + String.fromCharCode(code) + proof.slice(at + length)
    })
    const spliced = fc.tuple(text, text, place).map(([one, two, where]) => {
      return one.slice(0, Math.floor(one.length * where)) + two.slice(Math.floor(one.length * where))
    })
    const segments = fc.tuple(text, text, text).map(all => all.map((one, at) => one.split('.')[at]).join('.'))
    const isGood = (value: string) => proofs.includes(value.trim()) // HTTP removes spaces around a value
    const before = server.events.length
    let refused = 0
    const property = fc.asyncProperty(fc.oneof(changed, spliced, segments), async value => {
      if (isGood(value) || (protocol === 'h2' && value !== value.trim())) return // which Node's client does not send
      const { status, body } = await connection.get(whoami, token, value)
      if (status !== 401 || body.reason !== 'proof_invalid') throw new Error(`${status} for ${JSON.stringify(value)}`)
      refused++
    })
    await t.resolves(fc.assert(property, { numRuns: 400 }))
    t.ok(refused > 200, `${refused} were refused`)
    t.equal(server.events.length - before, refused)
    t.match(await connection.get(whoami, token, proof), { status: 200 }, 'the valid proof still works')
  })

t.test('rejects a long proof before parsing it (DS06, N-63)', async t => {
  for (const protocol of protocols) {
    const connection = await server.connect('alice', { ALPNProtocols: [protocol] })
    const token = await connection.token(level)
    const proof = connection.prove(token)
    t.match(await connection.get(whoami, token, proof), { status: 200 }, 'control')
    for (const long of ['a'.repeat(5120), `${proof}.`.repeat(10), '.'.repeat(5120)])
      t.match(await connection.get(whoami, token, long), invalid, `${protocol}: ${long.length} characters`)
    t.match(await connection.get(whoami, token, proof), { status: 200 })
    const huge = connection.get(whoami, token, 'a'.repeat(65_536)) // more than any header may have
    if (protocol === 'h2') await t.rejects(huge, { code: 'ERR_HTTP2_STREAM_ERROR' }, 'that request ends')
    else t.match(await huge, { status: 431 }, 'that connection ends')
    if (protocol === 'h2') t.match(await connection.get(whoami, token, proof), { status: 200 })
  }
  t.match(await (await server.connect('alice')).requestToken(), { status: 200 }, 'the server stays up')
})

t.test('rejects unusual proofs that the client itself has signed, without an internal error (I2)', async t => {
  const connection = await server.connect('alice')
  const token = await connection.token(level)
  const { ekm } = claimsOf(connection.prove(token))
  const odd: Parameters<TestConnection['prove']>[1][] = [
    ...['\u00e9', '\u20ac', '\ud800', '\0', '=', ' '].flatMap(letter => {
      const change = (value: string) => letter + value.slice(1)
      return [{ ekm: change(ekm) }, { ath: change(hashToken(token)) }]
    }),
    ...[Number.NaN, -1, 1e300, 0.5].map(iat => ({ iat })),
    ...['', 'j'.repeat(2000)].map(text => ({ jti: text, htm: text })),
    ...['', '%', '/%zz', 'https://', '\u0000'].map(htu => ({ htu })),
  ]
  for (const claims of odd)
    t.match(await connection.get(whoami, token, connection.prove(token, claims)), invalid, JSON.stringify(claims))
  t.notOk(server.log.some(line => line.includes('unhandled error')))
  t.match(await connection.get(whoami, token, connection.prove(token)), { status: 200 }, 'control')
})
