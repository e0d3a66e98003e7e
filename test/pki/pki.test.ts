// What src/pki issues, as read by OpenSSL's command line and by node:crypto.

import { createPrivateKey } from 'node:crypto'
import fc from 'fast-check'
import t from 'tap'
import type { Identity } from '../../src/pki/certificate.ts'
import { issueCertificate } from '../../src/pki/certificate.ts'
import { issueCrl } from '../../src/pki/crl.ts'
import { openssl, verifyChain } from './openssl.ts'

const ca = issueCertificate({ subject: [['CN', 'a test CA']], ca: true })
const alice = issueCertificate({ subject: [['CN', 'alice']], issuer: ca, extendedKeyUsage: ['clientAuth'] })
const bob = issueCertificate({ subject: [['CN', 'bob']], issuer: ca, extendedKeyUsage: ['clientAuth'] })

t.test('issues strictly valid chains for each kind of key', async t => {
  for (const keyType of ['ec', 'ec384', 'ed25519', 'rsa'] as const) {
    const root = issueCertificate({ subject: [['O', 'root']], ca: true, keyType })
    const between = issueCertificate({ subject: [['O', 'sub']], ca: { pathLength: 0 }, issuer: root, keyType })
    const leaf = issueCertificate({
      subject: [['C', 'CH']],
      issuer: between,
      keyType,
      extendedKeyUsage: ['serverAuth'],
    })
    t.match(verifyChain(leaf, root, [between], '-purpose', 'sslserver'), { ok: true }, keyType)
    t.ok(leaf.x509.checkPrivateKey(createPrivateKey(leaf.key)), 'the key in PEM belongs to the certificate')
  }
})

t.test('issues invalid certificates with exactly the requested flaw', async t => {
  const pathLength0 = issueCertificate({ subject: [['CN', 'sub']], ca: { pathLength: 0 }, issuer: ca })
  const subSub = issueCertificate({ subject: [['CN', 'sub sub']], ca: true, issuer: pathLength0 })
  const deep = issueCertificate({ subject: [['CN', 'deep']], issuer: subSub })
  t.match(verifyChain(deep, ca, [pathLength0, subSub]), { ok: false, output: /path length constraint exceeded/ })

  const child = issueCertificate({ subject: [['CN', 'child']], issuer: alice })
  t.match(verifyChain(child, ca, [alice]), { ok: false, output: /invalid CA certificate/ })

  t.match(verifyChain(alice, ca, [], '-purpose', 'sslclient'), { ok: true })
  t.match(verifyChain(alice, ca, [], '-purpose', 'sslserver'), { ok: false, output: /unsuitable certificate purpose/ })

  const namesake = issueCertificate({ subject: ca.subject, ca: true })
  t.match(verifyChain(alice, namesake), { ok: false, output: /unable to get local issuer certificate/ })

  const sha1 = issueCertificate({ subject: [['CN', 'old']], issuer: ca, digest: 'sha1' })
  const rsa1024 = issueCertificate({ subject: [['CN', 'short']], issuer: ca, keyType: 'rsa1024' })
  t.match(verifyChain(alice, ca, [], '-auth_level', '2'), { ok: true })
  t.match(verifyChain(sha1, ca, [], '-auth_level', '2'), { ok: false, output: /digest algorithm too weak/ })
  t.match(verifyChain(rsa1024, ca, [], '-auth_level', '2'), { ok: false, output: /key too weak/ })
})

t.test('a CA with name constraints is trusted only for its DNS names', async t => {
  const confined = issueCertificate({
    subject: [['CN', 'sub']],
    ca: true,
    issuer: ca,
    permittedDns: ['a.test', 'b.test'],
  })
  const server = (dns: string) => issueCertificate({ subject: [], issuer: confined, altNames: [{ dns }] })
  t.match(verifyChain(server('www.a.test'), ca, [confined]), { ok: true })
  t.match(verifyChain(server('b.test'), ca, [confined]), { ok: true })
  t.match(verifyChain(server('c.test'), ca, [confined]), { ok: false, output: /permitted subtree violation/ })
})

t.test('writes a hostile name unchanged', async t => {
  const names = ['alice\0.evil', '\0alice', 'alice\n', 'x\nCN=alice', 'mallory/CN=alice', 'mallory, CN=alice']
  for (const name of [...names, ' alice ', '\u0430lice', '\u202eecila', '😀', 'a'.repeat(70_000)]) {
    const { x509 } = issueCertificate({ subject: [['CN', name]], issuer: ca, altNames: [{ dns: name }] })
    t.equal(x509.toLegacyObject().subject.CN, name)
    t.equal(x509.raw.indexOf(name, x509.raw.indexOf(name) + 1) > 0, true, 'and again as a DNS name')
  }
})

t.test('every kind of alternative name can be read', async t => {
  const altNames = [{ dns: 'a.test' }, { ip: '192.0.2.1' }, { uri: 'urn:example:a' }, { email: 'a@a.test' }]
  const { x509 } = issueCertificate({ subject: [], altNames })
  t.equal(x509.subjectAltName, 'DNS:a.test, IP Address:192.0.2.1, URI:urn:example:a, email:a@a.test')
  t.equal(x509.subject, undefined, 'the subject may be empty')
  t.throws(() => issueCertificate({ subject: [], altNames: [{ ip: 'localhost' }] }), TypeError)
})

t.test('encodes each notation of an IP address equally', async t => {
  const { privateKey, publicKey } = ca
  const survives = (ip: string) => {
    const { x509 } = issueCertificate({ subject: [], keyPair: { privateKey, publicKey }, altNames: [{ ip }] })
    return x509.checkIP(ip) === ip
  }
  for (const ip of ['::', '::1', '1::', '1:2:3:4:5:6:7:8', '2001:DB8::0001', '::ffff:192.0.2.1']) t.ok(survives(ip), ip)
  fc.assert(fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), survives))
})

t.test('writes the requested dates, also beyond 2049', async t => {
  for (const [end, written] of [
    ['2049-12-31T23:59:59.000Z', '\x17\x0d491231235959Z'],
    ['2050-01-01T00:00:00.000Z', '\x18\x0f20500101000000Z'],
    ['9999-12-31T23:59:59.000Z', '\x18\x0f99991231235959Z'],
  ] as const) {
    const leaf = issueCertificate({ subject: [['CN', 'alice']], issuer: ca, notAfter: new Date(end) })
    t.equal(leaf.x509.validToDate.toISOString(), end)
    t.ok(leaf.x509.raw.includes(written), 'as UTCTime or GeneralizedTime, as RFC 5280 §4.1.2.5 requires')
    t.match(verifyChain(leaf, ca), { ok: true })
  }
})

t.test('renews a certificate with the old key and a new serial number', async t => {
  const renewed = issueCertificate({ subject: alice.subject, issuer: ca, keyPair: alice })
  t.ok(renewed.x509.publicKey.equals(alice.x509.publicKey))
  t.not(renewed.x509.serialNumber, alice.x509.serialNumber)
  t.match(alice.x509.serialNumber, /^01[0-9A-F]{30}$/)
})

t.test('a revocation list revokes only its entries', async t => {
  const trusting = (files: Record<string, string>, command: string, ...args: string[]) =>
    openssl({ ...files, 'ca.crt': ca.certificate }, command, '-CAfile', 'ca.crt', ...args)
  const read = (list: string, what: string) => trusting({ list }, 'crl', '-noout', '-in', 'list', what)
  const verify = ({ certificate: leaf }: Identity, list: string) =>
    trusting({ leaf, list }, 'verify', '-x509_strict', '-crl_check', '-CRLfile', 'list', 'leaf')

  const list = issueCrl({ issuer: ca, revoked: [alice.x509], number: 129 })
  t.match(read(list, '-verify'), { ok: true, output: 'verify OK' })
  t.match(read(list, '-crlnumber'), { output: 'crlNumber=0x81' })
  t.match(read(list, '-text'), { output: /Version 2.*Authority Key Identifier/s })
  t.match(verify(bob, list), { ok: true })
  t.match(verify(alice, list), { ok: false, output: /certificate revoked/ })

  const empty = issueCrl({ issuer: ca, revoked: [] })
  t.match(verify(alice, empty), { ok: true }, 'an empty list revokes nothing')

  const past = { thisUpdate: new Date('2020-01-01'), nextUpdate: new Date('2020-01-02') }
  t.match(verify(bob, issueCrl({ issuer: ca, revoked: [], ...past })), { ok: false, output: /CRL has expired/ })

  const namesake = issueCertificate({ subject: ca.subject, ca: true })
  const forged = issueCrl({ issuer: namesake, revoked: [] })
  t.match(
    verify(bob, forged),
    { ok: false, output: /unable to get certificate CRL/ },
    'a list of another authority with the same name does not count',
  )
})
