// Flaws of a certificate that are found before a handshake; handshakes measure which critical extensions OpenSSL accepts.
import { X509Certificate } from 'node:crypto'
import t from 'tap'
import { readFields } from '../../src/core/certificate-fields.ts'
import { sequence } from '../../src/pki/der.ts'
import * as extensions from '../../src/pki/extensions.ts'
import { issueCertificate } from '../../src/testing/server.ts'
import { findExtensionFlaw, findWeak, hasWeakSignature } from '../../src/tls/certificate-flaws.ts'
import { buildAuthority } from '../helpers/corpus/certificate.ts'
import { verdictOf } from '../helpers/tls/handshakes.ts'

const root = issueCertificate({ subject: [['CN', 'root']], ca: true })

t.test('accepts the critical extensions that OpenSSL accepts, and no other', async t => {
  const arcs = (base: string, count: number) => Array.from({ length: count }, (_, arc) => `${base}.${arc + 1}`)
  // Extensions that the certificate already has are left out: duplicates are invalid.
  const usual = ['2.5.29.14', '2.5.29.15', '2.5.29.19', '2.5.29.35', '2.5.29.37']
  const ids = [...arcs('2.5.29', 60), ...arcs('1.3.6.1.5.5.7.1', 34), '1.3.6.1.5.5.7.48.1.5', '1.3.6.1.4.1.11129.2.4.3']
  for (const id of ids.filter(id => !usual.includes(id))) {
    const extension = extensions.extension(id, sequence([]), { critical: true })
    const who = issueCertificate({
      subject: [['CN', 'alice']],
      issuer: root,
      extendedKeyUsage: ['clientAuth'],
      extensions: [extension],
    })
    const verdict = await verdictOf({ authorities: [root], who }).catch(() => 'the handshake fails')
    const flaw = findExtensionFlaw(readFields(new X509Certificate(who.certificate).raw))
    t.equal(flaw === undefined, verdict === 'accepted', `${id}: ${verdict}`)
  }
})

t.test('finds the certificates with weak keys', async t => {
  const good = Array.from(
    { length: 5 },
    (_, at) => new X509Certificate(buildAuthority(`good ${at}`, { key: 'other' }).der),
  )
  const weak = new X509Certificate(buildAuthority('weak', { key: 'RSA 1024' }).der)
  const unusual = new X509Certificate(buildAuthority('unusual', { key: 'SLH-DSA' }).der)
  t.same(findWeak([]), [])
  t.same(findWeak(good), [])
  t.same(findWeak([...good, weak, unusual]), [weak])
  t.same(findWeak([unusual, weak, ...good, weak]), [weak, weak])
})

t.test('distinguishes weak signatures by the name of the algorithm', async t => {
  const signedWith = (signatureAlgorithm: string | undefined) =>
    hasWeakSignature({ signatureAlgorithm } as X509Certificate)
  for (const name of ['ecdsa-with-SHA1', 'sha1WithRSAEncryption', 'md5WithRSAEncryption', 'dsa_with_SHA1'])
    t.ok(signedWith(name), name)
  for (const name of [
    'ecdsa-with-SHA256',
    'sha512WithRSAEncryption',
    'rsassaPss',
    'ED25519',
    'SLH-DSA-SHA2-128f',
    undefined,
  ])
    t.notOk(signedWith(name), String(name))
})
