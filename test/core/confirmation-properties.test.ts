// Properties of cnf over generated values: a presenter passes verification only with its own confirmation.
import fc from 'fast-check'
import t from 'tap'
import { type ChannelBindings, proofExporterLabel } from '../../src/core/channel-binding.ts'
import { confirm, tokenBindings, verifyConfirmation } from '../../src/core/confirmation.ts'
import { type Presenter, readCertificate } from '../../src/core/presenter.ts'
import { makeDemoPki } from '../../src/pki/demo.ts'

const { alice } = makeDemoPki()
const x509 = readCertificate(alice.x509)
const thumbprint = fc
  .uint8Array({ minLength: 32, maxLength: 32 })
  .map(bytes => Buffer.from(bytes).toString('base64url'))
const bindings: fc.Arbitrary<ChannelBindings> = fc.oneof(
  fc.constant({}),
  fc.record({ 'tls-exporter': thumbprint }),
  fc.record({ 'tls-exporter': thumbprint, 'tls-unique': thumbprint }),
)
const presenter: fc.Arbitrary<Presenter> = fc.record({
  certificate: thumbprint.map(value => ({ ...x509, thumbprint: value })),
  bindings,
})
const bound = presenter.filter(({ bindings }) => Object.keys(bindings).length > 0)
const level = fc.constantFrom(...tokenBindings)
const members = ['x5t#S256', 'tls_exp', 'tls-exporter#S256', 'tls-unique#S256'] as const

/** Returns the level at which it verifies, or the reason of the refusal; rethrows any other error. */
function verdict(cnf: unknown, who: Presenter): string {
  try {
    return verifyConfirmation(cnf, who, () => {}) // a valid proof must not replace any other check
  } catch (error) {
    const { name, code, reason } = error as { name: string; code: string; reason: string }
    if (name !== 'OAuthError' || code !== 'invalid_token') throw error
    return reason
  }
}
const reasons = ['confirmation_malformed', 'certificate_mismatch', 'connection_mismatch']

t.test('verifies a confirmation for its presenter, at its level, also after serialization to JSON', async t => {
  fc.assert(
    fc.property(bound, level, (who, at) => {
      const cnf = confirm(who, at)
      return verdict(cnf, who) === at && verdict(JSON.parse(JSON.stringify(cnf)), who) === at
    }),
  )
  fc.assert(fc.property(presenter, who => verdict(confirm(who, 'certificate'), who) === 'certificate'))
  t.ok(
    fc.sample(presenter, 100).some(({ bindings }) => Object.keys(bindings).length === 0),
    'some presenters have no bindings',
  )
})

t.test('rejects arbitrary JSON as a confirmation', async t => {
  const member = fc.oneof(fc.constantFrom(...members), fc.string())
  const value = fc.oneof(fc.jsonValue(), thumbprint, fc.constant(proofExporterLabel))
  const cnf = fc.oneof(fc.jsonValue(), fc.dictionary(member, value), thumbprint)
  fc.assert(
    fc.property(cnf, presenter, (anything, who) => reasons.includes(verdict(anything, who))),
    { numRuns: 3000 },
  )
  t.equal(
    verdict(confirm({ certificate: x509, bindings: {} }, 'certificate'), { certificate: x509, bindings: {} }),
    'certificate',
  )
})

t.test('rejects a confirmation of another presenter', async t => {
  fc.assert(
    fc.property(bound, bound, level, (one, two, at) => {
      const [first, second] = [confirm(one, at), confirm(two, at)]
      return JSON.stringify(first) === JSON.stringify(second)
        ? verdict(first, two) === at
        : reasons.includes(verdict(first, two))
    }),
    { numRuns: 500 },
  )
  fc.assert(
    fc.property(bound, bindings, (who, elsewhere) => {
      const there = { ...who, bindings: elsewhere }
      const same = JSON.stringify(who.bindings) === JSON.stringify(elsewhere)
      return verdict(confirm(who, 'connection'), there) === (same ? 'connection' : 'connection_mismatch')
    }),
    { numRuns: 500 },
  )
  const [one, two] = fc.sample(bound, 2) as [Presenter, Presenter]
  t.ok(reasons.includes(verdict(confirm(one, 'connection'), two)))
})

t.test('rejects a confirmation with a changed, additional or missing member, except the certificate alone', async t => {
  const change = fc.oneof(
    fc.record({
      how: fc.constant('set' as const),
      member: fc.oneof(fc.constantFrom(...members), fc.string()),
      value: fc.oneof(thumbprint, fc.jsonValue()),
    }),
    fc.record({ how: fc.constant('leave out' as const), member: fc.constantFrom(...members) }),
    fc.record({
      how: fc.constant('flip' as const),
      member: fc.constantFrom(...members),
      at: fc.nat({ max: 42 }),
      by: fc.integer({ min: 1, max: 63 }),
    }),
  )
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
  fc.assert(
    fc.property(bound, level, change, (who, at, changes) => {
      const good = confirm(who, at)
      const cnf: Record<string, unknown> = { ...good }
      if (changes.how === 'set')
        Object.defineProperty(cnf, changes.member, {
          value: changes.value,
          enumerable: true,
          writable: true,
          configurable: true,
        })
      if (changes.how === 'leave out') delete cnf[changes.member]
      if (changes.how === 'flip') {
        const value = cnf[changes.member]
        if (typeof value !== 'string') return true
        const at = changes.at % value.length
        const letter = alphabet[alphabet.indexOf(value[at] as string) ^ changes.by] as string
        cnf[changes.member] = value.slice(0, at) + letter + value.slice(at + 1)
      }
      if (JSON.stringify(cnf) === JSON.stringify(good)) return verdict(cnf, who) === at
      const bare = Object.keys(cnf).join() === 'x5t#S256' && cnf['x5t#S256'] === good['x5t#S256']
      return bare ? verdict(cnf, who) === 'certificate' : reasons.includes(verdict(cnf, who))
    }),
    { numRuns: 5000 },
  )
  const [who] = fc.sample(bound, 1) as [Presenter]
  t.equal(verdict({ ...confirm(who, 'connection'), x: 1 }, who), 'confirmation_malformed')
})
