// The one name of a registration against the names of a certificate; N-22, RFC 8705 §2.1.2.
import { X509Certificate } from 'node:crypto'
import t from 'tap'
import { parseName } from '../../src/core/distinguished-name.ts'
import { matchesSubject, parseSubjectRule, type SubjectRule, subjectRules } from '../../src/core/subject-rule.ts'
import { type CertificateOrder, issueCertificate } from '../../src/pki/certificate.ts'

const certificate = (order: Partial<CertificateOrder>) =>
  issueCertificate({ subject: [['CN', 'mallory']], ...order }).x509
const alice = certificate({ subject: [['CN', 'alice']] })

t.test('parses a rule into the spelling that it is compared in, and rejects malformed rules', async t => {
  const rows: [SubjectRule['type'], string, string][] = [
    ['subject_dn', '2.5.4.3 = alice', parseName('CN=alice')],
    ['san_dns', 'A.Test', 'a.test'],
    ['san_dns', 'Localhost', 'localhost'],
    ['san_dns', 'a-1.example.test', 'a-1.example.test'],
    ['san_uri', 'urn:Example:A', 'urn:Example:A'],
    ['san_ip', '2001:DB8:0::1', '2001:db8::1'],
    ['san_ip', '192.0.2.1', '192.0.2.1'],
    ['san_email', 'A.b@C.Test', 'A.b@c.test'],
  ]
  for (const [type, given, value] of rows) t.same(parseSubjectRule(type, given), { type, value }, given)
  for (const type of subjectRules)
    for (const wrong of ['', ' ', 'a b', '*', '.a.test', 'CN=\\FF', 7, null, undefined, {}, ['a.test'], 'x\0y'])
      t.equal(parseSubjectRule(type, wrong), undefined, `${type} ${JSON.stringify(wrong)}`)
  for (const [type, wrongs] of Object.entries({
    san_dns: ['a..test', 'a.test.', '-a.test', 'a.-test', `${'a'.repeat(64)}.test`],
    san_uri: [['urn:a']],
    san_ip: [['192.0.2.1'], 'fe80::1%eth0', 'x]@[2001:db8::1', '192.0.2.1/24', '[2001:db8::1]'],
    san_email: ['x a@a.test', 'a@a@a.test', '@a.test', 'a@', 'a@a.test/x', 'a@a.test\n'],
  }))
    for (const wrong of wrongs)
      t.equal(parseSubjectRule(type as SubjectRule['type'], wrong), undefined, `${type} ${JSON.stringify(wrong)}`)
})

t.test('matches a parsed rule with a certificate that spells the name differently (N-22)', async t => {
  const x509 = certificate({
    subject: [['CN', 'alice']],
    altNames: [{ dns: 'A.test' }, { uri: 'urn:a' }, { ip: '2001:db8::1' }, { email: 'a@A.test' }],
  })
  const names = {
    subject_dn: ['CN=alice', 'CN=bob'],
    san_dns: ['a.TEST', 'b.test'],
    san_uri: ['urn:a', 'urn:b'],
    san_ip: ['2001:db8:0:0::1', '2001:db8::2'],
    san_email: ['a@a.test', 'b@a.test'],
  }
  for (const type of subjectRules) {
    const [same, other] = names[type].map(name => parseSubjectRule(type, name) as SubjectRule) as [
      SubjectRule,
      SubjectRule,
    ]
    t.ok(matchesSubject(same, x509), type)
    t.notOk(matchesSubject(other, x509), `${type}, another name`)
  }
})

t.test('compares each rule with its own kind of name only (N-22)', async t => {
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

t.test('does not use the subject as an alternative name, nor match wildcards', async t => {
  const x509 = certificate({
    subject: [
      ['CN', 'a.test'],
      ['emailAddress', 'a@a.test'],
    ],
  })
  t.ok(x509.checkHost('a.test'), 'node:crypto matches it by default')
  t.notOk(matchesSubject({ type: 'san_dns', value: 'a.test' }, x509))
  t.notOk(matchesSubject({ type: 'san_email', value: 'a@a.test' }, x509))
  const wildcard = certificate({ altNames: [{ dns: '*.a.test' }] })
  t.ok(wildcard.checkHost('x.a.test'))
  t.notOk(matchesSubject({ type: 'san_dns', value: 'x.a.test' }, wildcard))
})

t.test('matches no name of a certificate whose names cannot be parsed', async t => {
  // This octet is invalid in a PrintableString. OpenSSL reads it as Latin-1; this parser rejects the name.
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
  der[der.indexOf(Buffer.from('551d11', 'hex')) + 5] = 0x31 // a SET instead of a SEQUENCE of names
  t.notOk(matchesSubject({ type: 'san_uri', value: 'urn:a' }, new X509Certificate(der)))
  const empty = certificate({ subject: [], altNames: [{ uri: 'urn:a' }] })
  t.notOk(matchesSubject({ type: 'subject_dn', value: parseName('CN=alice') }, empty), 'an empty subject')
  t.ok(matchesSubject({ type: 'san_uri', value: 'urn:a' }, empty))
})
