// Presenter × registration → client, or refusal; N-21, N-22. Through real handshakes: test/attack/certificate-identity.
import { X509Certificate } from 'node:crypto'
import t from 'tap'
import { type Client, readClients, type SubjectRule } from '../../src/core/client.ts'
import { authenticateClient, matchesSubject } from '../../src/core/client-authentication.ts'
import { parseName } from '../../src/core/distinguished-name.ts'
import { readCertificate } from '../../src/core/presenter.ts'
import { type CertificateOrder, issueCertificate } from '../../src/pki/certificate.ts'

const certificate = (order: Partial<CertificateOrder>) =>
  issueCertificate({ subject: [['CN', 'mallory']], ...order }).x509
const presenter = (x509: X509Certificate) => ({ certificate: readCertificate(x509), bindings: {} })
const problems: string[] = []
const clients = readClients(
  ['alice', 'bob'].map(name => ({
    client_id: name,
    token_endpoint_auth_method: 'tls_client_auth',
    tls_client_auth_subject_dn: `CN=${name}`,
  })),
  problems,
)
const alice = certificate({ subject: [['CN', 'alice']] })

t.test('a client is authenticated by its id and its certificate together', async t => {
  t.same(problems, [])
  t.equal(authenticateClient('alice', presenter(alice), clients), clients.get('alice') as Client)
  const refusal = (reason: string) => ({ name: 'OAuthError', code: 'invalid_client', reason })
  t.throws(() => authenticateClient('bob', presenter(alice), clients), refusal('client_mismatch'))
  t.throws(() => authenticateClient('alice', presenter(certificate({})), clients), refusal('client_mismatch'))
  for (const id of ['mallory', 'Alice', 'alice ', '', '__proto__', 'constructor'])
    t.throws(() => authenticateClient(id, presenter(alice), clients), refusal('unknown_client'), id)
})

t.test('each rule looks at its own kind of name', async t => {
  const x509 = certificate({
    subject: [['CN', 'alice']],
    altNames: [{ dns: 'a.test' }, { uri: 'urn:a' }, { ip: '192.0.2.1' }, { ip: '2001:db8::1' }, { email: 'a@a.test' }],
  })
  const rows: [SubjectRule['type'], string[], string[]][] = [
    ['subject_dn', [parseName('CN=alice')], [parseName('CN=Alice'), parseName('CN=alice,O=x'), 'CN=alice', '']],
    ['san_dns', ['a.test', 'A.TEST'], ['alice', 'b.test', 'x.a.test', 'urn:a', '192.0.2.1']],
    ['san_uri', ['urn:a'], ['urn:A', 'URN:a', 'urn:a/', 'a.test', '']],
    ['san_ip', ['192.0.2.1', '2001:db8::1', '2001:DB8:0:0::1'], ['192.0.2.2', '::ffff:192.0.2.1', '2001:db8::2']],
    ['san_email', ['a@a.test', 'a@A.test'], ['A@a.test', 'b@a.test', 'a.test']],
  ]
  for (const [type, same, others] of rows) {
    for (const value of same) t.ok(matchesSubject({ type, value }, x509), `${type} ${value}`)
    for (const value of others) t.notOk(matchesSubject({ type, value }, x509), `${type} ${value}`)
  }
})

t.test('the subject is never taken for an alternative name, nor a wildcard for a name', async t => {
  const x509 = certificate({
    subject: [
      ['CN', 'a.test'],
      ['emailAddress', 'a@a.test'],
    ],
  })
  t.ok(x509.checkHost('a.test'), 'which node:crypto would do if it were not told otherwise')
  t.notOk(matchesSubject({ type: 'san_dns', value: 'a.test' }, x509))
  t.notOk(matchesSubject({ type: 'san_email', value: 'a@a.test' }, x509))
  const wildcard = certificate({ altNames: [{ dns: '*.a.test' }] })
  t.ok(wildcard.checkHost('x.a.test'))
  t.notOk(matchesSubject({ type: 'san_dns', value: 'x.a.test' }, wildcard))
})

t.test('a certificate whose names cannot be read matches no name', async t => {
  // A PrintableString may not have this octet; OpenSSL takes it for Latin-1, we take the name for none.
  const raw = Buffer.from(alice.raw)
  for (const at of [raw.indexOf('alice'), raw.lastIndexOf('alice')]) {
    raw[at - 2] = 0x13
    raw[at + 4] = 0xe9
  }
  const spoiled = new X509Certificate(raw)
  t.equal(spoiled.subject, 'CN=alicé')
  t.notOk(matchesSubject({ type: 'subject_dn', value: parseName('CN=alicé') }, spoiled))
  t.notOk(matchesSubject({ type: 'san_uri', value: 'urn:a' }, spoiled))
  t.ok(matchesSubject({ type: 'subject_dn', value: parseName('CN=alice') }, alice))
  const named = certificate({ altNames: [{ uri: 'urn:a' }] })
  t.ok(matchesSubject({ type: 'san_uri', value: 'urn:a' }, named))
  const der = Buffer.from(named.raw)
  der[der.indexOf(Buffer.from('551d11', 'hex')) + 5] = 0x31 // a SET where the names are a SEQUENCE
  t.notOk(matchesSubject({ type: 'san_uri', value: 'urn:a' }, new X509Certificate(der)))
  const empty = certificate({ subject: [], altNames: [{ uri: 'urn:a' }] })
  t.notOk(matchesSubject({ type: 'subject_dn', value: parseName('CN=alice') }, empty), 'an empty subject')
  t.ok(matchesSubject({ type: 'san_uri', value: 'urn:a' }, empty))
})
