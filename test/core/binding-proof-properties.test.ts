// Properties of proofs, over generated input: a changed proof is invalid, and a proof of one presenter for one token and one
// time is invalid for any other. N-57, N-59; JW37 for proofs.
import { generateKeyPairSync } from 'node:crypto'
import fc from 'fast-check'
import t from 'tap'
import { hashToken, proofWindow } from '../../src/core/binding-proof.ts'
import type { KeyPair } from '../../src/pki/signing.ts'
import { makePresenter, now, type ProofPresenter, request } from '../helpers/tokens/proof-presenter.ts'

const pairs: [alg: string, pair: KeyPair][] = [
  ['ES256', generateKeyPairSync('ec', { namedCurve: 'P-256' })],
  ['ES384', generateKeyPairSync('ec', { namedCurve: 'P-384' })],
  ['EdDSA', generateKeyPairSync('ed25519')],
  ['PS256', generateKeyPairSync('rsa', { modulusLength: 2048 })],
]
const [exported, exportedLater] = ['E'.repeat(43), 'I'.repeat(43)]
/** For each key: two certificates on equal connections, and a third on a connection with other keying material. */
const presenters: ProofPresenter[] = pairs.flatMap(([alg, pair]) =>
  [exported, exported, exportedLater].map(ekm => makePresenter(alg, pair, ekm)),
)
const proofs = presenters.map(one => ({ one, proof: one.forge() }))
const good = fc.constantFrom(...proofs)
const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
const letter = fc.constantFrom(...letters, '.', '=', '+', '/', ' ', '\n', '\0', '~', '\u00e9', '\u0410')
const place = fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true })
const refused = (verdict: string) => verdict === 'proof_invalid'

t.beforeEach(t => {
  for (const { one, proof } of proofs) t.equal(one.verdict(proof), 'accepted', 'control')
})

t.test('rejects a proof with one letter changed, removed or inserted', async t => {
  const property = fc.property(good, place, letter, fc.constantFrom(0, 1, 2), ({ one, proof }, where, by, how) => {
    const at = Math.floor(proof.length * where)
    const text = proof.slice(0, at) + (how === 2 ? '' : by) + proof.slice(how === 0 ? at : at + 1)
    return text === proof || refused(one.verdict(text))
  })
  fc.assert(property, { numRuns: 2000 })
  const { one, proof } = proofs[0] as (typeof proofs)[number]
  const changed = [...proof].map((old, at) => proof.slice(0, at) + (old === 'A' ? 'B' : 'A') + proof.slice(at + 1))
  t.ok(
    changed.every(text => refused(one.verdict(text))),
    'each letter of one proof',
  )
})

t.test('rejects a proof that is assembled from pieces of several proofs', async t => {
  const splice = fc.tuple(good, good, place).map(([a, b, where]) => {
    const at = Math.floor(a.proof.length * where)
    return { one: a.one, text: a.proof.slice(0, at) + b.proof.slice(at), was: a.proof }
  })
  const segments = fc.tuple(good, good, good).map(parts => {
    const text = parts.map(({ proof }, index) => proof.split('.')[index]).join('.')
    return { one: parts[0].one, text, was: parts[0].proof }
  })
  const property = fc.property(fc.oneof(splice, segments), ({ one, text, was }) => {
    return text === was || refused(one.verdict(text))
  })
  fc.assert(property, { numRuns: 1000 })
  t.ok(fc.sample(splice, 100).some(({ text, was }) => text !== was))
})

t.test('rejects arbitrary text and signed JSON as a proof', async t => {
  const anything = fc.oneof(fc.string(), fc.string({ unit: fc.constantFrom(...letters, '.') }))
  const json = fc.oneof(fc.jsonValue(), fc.dictionary(fc.constantFrom('ath', 'ekm', 'iat', 'jti'), fc.jsonValue()))
  const verdicts = (make: (one: ProofPresenter, value: unknown) => string, values: fc.Arbitrary<unknown>) =>
    fc.assert(fc.property(good, values, ({ one }, value) => refused(one.verdict(make(one, value)))))
  t.doesNotThrow(() => verdicts((_one, text) => text as string, anything))
  t.doesNotThrow(() => verdicts((one, payload) => one.forge({ payload }), json))
  t.doesNotThrow(() => verdicts((one, header) => one.forge({ header }), json))
})

t.test('rejects a correctly signed proof in which any one member has another value', async t => {
  const member = fc.constantFrom('typ', 'alg', 'x5t#S256', 'ath', 'ekm', 'htm', 'htu')
  const value = fc.oneof(fc.jsonValue(), fc.string(), fc.string({ minLength: 43, maxLength: 43 }))
  const property = fc.property(good, member, value, ({ one }, name, changed) => {
    const { header, payload } = one
    const right: Record<string, unknown> = { ...header, ...payload, htm: request.method, htu: '/notes' }
    const part = Object.hasOwn(header, name) ? { header: { ...header, [name]: changed } } : undefined
    const verdict = one.verdict(one.forge(part ?? { payload: { ...payload, [name]: changed } }))
    return changed === right[name] ? verdict === 'accepted' : refused(verdict)
  })
  t.doesNotThrow(() => fc.assert(property, { numRuns: 1000 }))
})

t.test('rejects a proof with any other presenter, token, request or time (N-59)', async t => {
  const use = fc.record({
    by: fc.constantFrom(...presenters),
    token: fc.constantFrom(request.token, 'another.token.here'),
    method: fc.constantFrom('GET', 'POST'),
    target: fc.constantFrom('/notes', '/notes?limit=10', '/other'),
    at: fc.integer({ min: now - 70, max: now + 70 }),
  })
  const limits = fc.subarray(['htm', 'htu'])
  let accepted = 0
  const property = fc.property(use, use, limits, fc.boolean(), (made, used, limited, isElsewhere) => {
    const by = isElsewhere ? used.by : made.by
    const htu = made.target.split('?')[0]
    const payload = {
      ...{ ...made.by.payload, ath: hashToken(made.token), iat: made.at },
      ...(limited.includes('htm') && { htm: made.method }),
      ...(limited.includes('htu') && { htu }),
    }
    const fits =
      by === made.by &&
      made.token === used.token &&
      used.at - made.at <= proofWindow.past &&
      made.at - used.at <= proofWindow.future &&
      (!limited.includes('htm') || made.method === used.method) &&
      (!limited.includes('htu') || htu === used.target.split('?')[0])
    if (fits) accepted++
    const verdict = by.verdict(made.by.forge({ payload }), used.at, used)
    return fits ? verdict === 'accepted' : refused(verdict)
  })
  fc.assert(property, { numRuns: 1500 })
  t.ok(accepted > 50, `${accepted} proofs were accepted`)
})
