// The core of the binding: a token is confirmed for its presenter, and rejected for every other one.
import t from 'tap'
import { confirm, isAtLeast, type TokenBinding, verifyConfirmation } from '../../src/core/confirmation.ts'
import type { Presenter } from '../../src/core/presenter.ts'
import { readCertificate } from '../../src/core/presenter.ts'
import { makeDemoPki } from '../../src/pki/demo.ts'

const { alice, bob } = makeDemoPki()
const thumbprintA = 'A'.repeat(42).concat('A')
const thumbprintB = 'B'.repeat(42).concat('A')
const presenterOn = (bindings: Presenter['bindings'], who = alice): Presenter => ({
  certificate: readCertificate(who.x509),
  bindings,
})
const onTls13 = presenterOn({ 'tls-exporter': thumbprintA })
const onTls12 = presenterOn({ 'tls-exporter': thumbprintA, 'tls-unique': thumbprintB })
const onNothing = presenterOn({})
const refusal = (reason: string) => ({ code: 'invalid_token', reason })

t.test('verifies a token for its presenter, at the level that it was issued at', async t => {
  for (const presenter of [onTls13, onTls12])
    for (const level of ['certificate', 'proof', 'connection'] as TokenBinding[])
      t.equal(
        verifyConfirmation(confirm(presenter, level), presenter, () => {}),
        level,
      )
})

t.test('issues only certificate-bound tokens on a connection without channel bindings', async t => {
  t.equal(verifyConfirmation(confirm(onNothing, 'certificate'), onNothing), 'certificate')
  for (const level of ['proof', 'connection'] as const)
    t.throws(() => confirm(onNothing, level), { code: 'invalid_request', reason: 'binding_unavailable' })
})

t.test('writes one member for each binding of the connection into cnf, and no other', async t => {
  const x5t = alice.x509 && readCertificate(alice.x509).thumbprint
  t.same(confirm(onTls13, 'connection'), { 'x5t#S256': x5t, 'tls-exporter#S256': thumbprintA })
  t.same(confirm(onTls12, 'connection'), {
    'x5t#S256': x5t,
    'tls-exporter#S256': thumbprintA,
    'tls-unique#S256': thumbprintB,
  })
  t.same(confirm(onTls12, 'certificate'), { 'x5t#S256': x5t })
  for (const presenter of [onTls12, onTls13])
    t.same(confirm(presenter, 'proof'), { 'x5t#S256': x5t, tls_exp: 'EXPORTER-oauth-tls-session-bound' }, 'N-58')
})

t.test('rejects another certificate at every level', async t => {
  const thief = presenterOn(onTls13.bindings, bob)
  for (const level of ['certificate', 'proof', 'connection'] as const)
    t.throws(() => verifyConfirmation(confirm(onTls13, level), thief, () => {}), refusal('certificate_mismatch'))
})

t.test('rejects a token at level proof without a valid proof', async t => {
  const cnf = confirm(onTls13, 'proof')
  t.equal(
    verifyConfirmation(cnf, onTls13, () => {}),
    'proof',
    'control',
  )
  t.throws(() => verifyConfirmation(cnf, onTls13), { code: 'use_session_binding', reason: 'proof_missing' })
  const refused = new Error('any fault of the proof')
  const prove = () => {
    throw refused
  }
  t.throws(() => verifyConfirmation(cnf, onTls13, prove), refused)
  t.equal(
    verifyConfirmation(confirm(onTls13, 'certificate'), onTls13, prove),
    'certificate',
    'proof not verified at other levels',
  )
  t.equal(verifyConfirmation(confirm(onTls13, 'connection'), onTls13, prove), 'connection')
  for (const wrong of [
    { ...cnf, tls_exp: 'EXPORTER-Channel-Binding' },
    { ...cnf, tls_exp: '' },
    { ...cnf, tls_exp: null },
    { ...cnf, tls_exp: [cnf.tls_exp] },
    { ...cnf, 'tls-exporter#S256': thumbprintA },
    { tls_exp: cnf.tls_exp },
  ])
    t.throws(
      () => verifyConfirmation(wrong, onTls13, () => {}),
      refusal('confirmation_malformed'),
      JSON.stringify(wrong),
    )
})

t.test('rejects another connection with the same certificate at level connection only', async t => {
  const elsewhere = presenterOn({ 'tls-exporter': thumbprintB })
  t.throws(() => verifyConfirmation(confirm(onTls13, 'connection'), elsewhere), refusal('connection_mismatch'))
  t.equal(verifyConfirmation(confirm(onTls13, 'certificate'), elsewhere), 'certificate')
})

t.test('requires the members to match exactly the bindings that the connection offers', async t => {
  const full = confirm(onTls12, 'connection')
  const { 'tls-unique#S256': _unique, ...withoutUnique } = full
  const { 'tls-exporter#S256': _exporter, ...withoutExporter } = full
  t.equal(verifyConfirmation(full, onTls12), 'connection')
  t.throws(() => verifyConfirmation(withoutUnique, onTls12), refusal('connection_mismatch'), 'tls-unique is missing')
  t.throws(
    () => verifyConfirmation(withoutExporter, onTls12),
    refusal('connection_mismatch'),
    'tls-exporter is missing',
  )
  t.throws(() => verifyConfirmation(full, onTls13), refusal('connection_mismatch'), 'tls-unique is not offered')
  t.throws(() => verifyConfirmation(full, onNothing), refusal('connection_mismatch'), 'no binding is offered')
  const oneWrong = { ...full, 'tls-unique#S256': thumbprintA }
  t.throws(() => verifyConfirmation(oneWrong, onTls12), refusal('connection_mismatch'), 'one matches, one does not')
})

t.test('rejects a cnf of an unknown shape, whatever its other members', async t => {
  const good = confirm(onTls13, 'connection')
  t.equal(verifyConfirmation(good, onTls13), 'connection')
  const { 'x5t#S256': x5t, ...withoutCertificate } = good
  const malformed: unknown[] = [
    undefined,
    null,
    0,
    true,
    '',
    x5t,
    [],
    [good],
    {},
    withoutCertificate,
    Object.create(good),
    { ...good, jkt: thumbprintA },
    { ...good, jwk: {} },
    { ...good, kid: 'x' },
    { ...good, toString: thumbprintA },
    { ...good, 'tls-server-end-point#S256': thumbprintA },
    { ...good, tls_exp: 'EXPORTER-oauth-tls-session-bound' },
    JSON.parse(`{"x5t#S256":"${x5t}","__proto__":{}}`),
    { ...good, 'tls-exporter#S256': undefined },
    { ...good, 'tls-exporter#S256': null },
    { ...good, 'tls-exporter#S256': [thumbprintA] },
    { ...good, 'tls-exporter#S256': '' },
    { ...good, 'tls-exporter#S256': `${thumbprintA}=` },
    { ...good, 'tls-exporter#S256': thumbprintA.slice(1) },
    { ...good, 'tls-exporter#S256': `${thumbprintA.slice(0, 42)}B` },
    { ...good, 'x5t#S256': `${x5t}\n` },
    { ...good, 'x5t#S256': ` ${x5t}` },
  ]
  for (const cnf of malformed)
    t.throws(() => verifyConfirmation(cnf, onTls13), refusal('confirmation_malformed'), JSON.stringify(cnf))
})

t.test('ranks a level as sufficient for itself and for weaker requirements', async t => {
  t.ok(isAtLeast('connection', 'connection'))
  t.ok(isAtLeast('connection', 'certificate'))
  t.ok(isAtLeast('certificate', 'certificate'))
  t.notOk(isAtLeast('certificate', 'connection'))
})
