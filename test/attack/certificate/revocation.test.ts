// Certificate revocation lists: PK20. With lists loaded, a certificate is accepted unless a valid list names it. If the list
// of its issuer is missing or has ended, it is rejected.
import t from 'tap'
import type { CertificateOrder } from '../../../src/pki/certificate.ts'
import type { CrlOrder } from '../../../src/pki/crl.ts'
import { makeDemoPki } from '../../../src/pki/demo.ts'
import {
  type Identity,
  issueCertificate,
  issueCrl,
  startTestServer,
  type TestServer,
} from '../../../src/testing/server.ts'
import type { TlsMaterial } from '../../../src/tls/options.ts'
import { refusePresenter } from '../../helpers/server/refusals.ts'

const pki = makeDemoPki()
const { ca, alice, bob } = pki
const DAY = 86_400_000
const authority = (order: Partial<CertificateOrder> = {}) =>
  issueCertificate({ subject: [['CN', 'the other CA']], ca: true, ...order })
const client = (issuer: Identity) =>
  issueCertificate({ subject: [['CN', 'alice']], issuer, extendedKeyUsage: ['clientAuth'] })
const list = (order: Partial<CrlOrder> = {}) => issueCrl({ issuer: ca, revoked: [], ...order })

type Asserts = Pick<typeof t, 'match' | 'equal' | 'teardown'>

async function serverWith(t: Asserts, crl: string, more: Partial<TlsMaterial> = {}): Promise<TestServer> {
  const server = await startTestServer({ pki, tls: { crl, ...more } })
  t.teardown(() => server.close())
  return server
}
async function accepts(t: Asserts, server: TestServer, who: Identity, name: string): Promise<void> {
  const connection = await server.connect(who, { clientId: who === bob ? 'bob' : 'alice' })
  const token = await connection.token()
  t.equal((await connection.get('/api/whoami', token)).status, 200, name)
  connection.close()
}

t.test('rejects the certificates that a list names, and accepts all others', async t => {
  await accepts(t, await serverWith(t, list()), alice, 'an empty list revokes no certificate')
  const server = await serverWith(t, list({ revoked: [bob.x509] }))
  await accepts(t, server, alice, 'not on the list')
  await refusePresenter(t, server, bob, 'certificate_revoked', 'on the list')
  await refusePresenter(t, server, pki.stranger, 'certificate_untrusted', 'a stranger is unknown, not revoked')
})

t.test('applies every list of a bundle, not only the first', async t => {
  const other = authority()
  const [good, bad] = [client(other), client(other)]
  const both = `${ca.certificate}${other.certificate}`
  const [ours, theirs] = [list({ revoked: [bob.x509] }), list({ issuer: other, revoked: [bad.x509] })]
  for (const bundle of [ours + theirs, theirs + ours, `a comment\n${ours}\n\n${theirs.replaceAll('\n', '\r\n')}`]) {
    const server = await serverWith(t, bundle, { ca: both })
    await accepts(t, server, alice, 'of the one authority')
    await accepts(t, server, good, 'of the other authority')
    await refusePresenter(t, server, bob, 'certificate_revoked', 'revoked by the first list')
    await refusePresenter(t, server, bad, 'certificate_revoked', 'revoked by the second list')
  }
  const server = await serverWith(t, ours, { ca: both })
  await accepts(t, server, alice, 'the list of the first authority is loaded')
  await refusePresenter(
    t,
    server,
    good,
    'certificate_untrusted',
    'the other authority has no list, so its clients are rejected',
  )
})

t.test('compares a serial number together with its issuer', async t => {
  const other = authority()
  const theirs = list({ issuer: other, revoked: [alice.x509] })
  await accepts(
    t,
    await serverWith(t, list() + theirs, { ca: `${ca.certificate}${other.certificate}` }),
    alice,
    'alice',
  )
})

t.test(
  'rejects all clients while a list has ended or is not yet valid, and does not start with a list of another issuer',
  async t => {
    const long = { thisUpdate: new Date(Date.now() - 30 * DAY) }
    const namesake = authority({ subject: ca.subject })
    const useless: Record<string, string> = {
      expired: list({ ...long, nextUpdate: new Date(Date.now() - DAY) }),
      'expired a second ago': list({ ...long, nextUpdate: new Date(Date.now() - 1000) }),
      'not yet valid': list({ thisUpdate: new Date(Date.now() + DAY) }),
    }
    await accepts(
      t,
      await serverWith(t, list({ ...long, nextUpdate: new Date(Date.now() + DAY) })),
      alice,
      'old, but current',
    )
    for (const [name, crl] of Object.entries(useless)) {
      const server = await serverWith(t, crl)
      for (const who of [alice, bob]) await refusePresenter(t, server, who, 'certificate_untrusted', name)
    }
    for (const [name, issuer] of Object.entries({
      'of another authority': authority(),
      'of an authority with the same name': namesake,
      'by a client of the authority': alice,
    }))
      await t.rejects(
        startTestServer({ pki, tls: { crl: list({ issuer }) } }),
        { message: /no client could be accepted: there is no revocation list of / },
        name,
      )
  },
)

t.test('requires a list for a sub-CA, and applies the revocation of a sub-CA', async t => {
  const sub = authority({ issuer: ca })
  const leaf = client(sub)
  const chained = { ...leaf, certificate: leaf.certificate + sub.certificate }
  await accepts(t, await serverWith(t, list() + list({ issuer: sub })), chained, 'both lists are loaded')
  const missing = await serverWith(t, list())
  await refusePresenter(t, missing, chained, 'certificate_untrusted', 'the list of the sub-CA is missing')
  const revoked = await serverWith(t, list({ revoked: [sub.x509] }) + list({ issuer: sub }))
  await refusePresenter(t, revoked, chained, 'certificate_revoked', 'the sub-CA is revoked')
  await accepts(t, revoked, alice, 'a client of another CA')
})

t.test('loads a list of a megabyte, without a measurable cost per connection', async t => {
  const many = Array.from({ length: 28_000 }, (_, number) => ({
    serialNumber: `01${(number + 1).toString(16).padStart(30, '0')}`,
  }))
  const crl = list({ revoked: [...many.slice(0, 14_000), bob.x509, ...many.slice(14_000)] })
  t.ok(crl.length > 1_000_000)
  const server = await serverWith(t, crl)
  await refusePresenter(t, server, bob, 'certificate_revoked', 'one in the middle')
  const start = performance.now()
  for (let count = 0; count < 20; count++) await accepts(t, server, alice, 'not on the list')
  t.ok(performance.now() - start < 8000, 'twenty connections')
})

t.test('does not start with an invalid bundle of lists', async t => {
  const good = list({ revoked: [bob.x509] })
  const key = ca.key
  const cut = good.slice(0, good.length / 2)
  const wrong: Record<string, string> = {
    nothing: '',
    words: 'no list',
    'a certificate': ca.certificate,
    'a certificate beside a list': good + ca.certificate,
    'a key beside a list': good + key,
    'a list that is cut off': cut,
    'a list that is cut off beside a whole one': good + cut,
    'a list without content': '-----BEGIN X509 CRL-----\n-----END X509 CRL-----\n',
    'a certificate labelled as a list': ca.certificate.replaceAll('CERTIFICATE', 'X509 CRL'),
    'a list with a missing line': good.split('\n').toSpliced(3, 1).join('\n'),
  }
  for (const [name, crl] of Object.entries(wrong)) await t.rejects(startTestServer({ pki, tls: { crl } }), name)
  await accepts(t, await serverWith(t, good), alice, 'control: the whole list')
})
