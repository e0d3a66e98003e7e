// The server's certificate, whom it trusts, and whose certificates clients have: names, dates, usages, lists, and who matches.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { checkCertificates, checkClients } from '../../src/doctor/clients.ts'
import { findingsOf } from '../../src/doctor/finding.ts'
import { checkOwnCertificate } from '../../src/doctor/own-certificate.ts'
import { checkTlsContext, checkTrust } from '../../src/doctor/trust.ts'
import { type CertificateOrder, type Identity, issueCertificate } from '../../src/pki/certificate.ts'
import { issueCrl } from '../../src/pki/crl.ts'
import { readClientsFile, readOwnCertificate, readTlsFiles, readTrustFiles } from '../../src/process/files.ts'
import { readSettings, type Settings } from '../../src/settings/settings.ts'
import { linesOf } from '../helpers/process/findings.ts'
import { register } from '../helpers/tokens/grants.ts'

const now = Date.now()
const day = 86_400_000
const longLived = { notAfter: new Date(now + 400 * day) }
const authority = (name: string, issuer?: Identity) =>
  issueCertificate({ ca: true, subject: [['CN', name]], ...longLived, ...(issuer && { issuer }) })
const root = authority('root')
const upper = authority('upper', root)
const issue = (more: Partial<CertificateOrder> = {}) =>
  issueCertificate({
    issuer: upper,
    subject: [['CN', 'localhost']],
    altNames: [{ dns: 'localhost' }, { ip: '127.0.0.1' }],
    extendedKeyUsage: ['serverAuth'],
    ...longLived,
    ...more,
  })
const pem = (...identities: Identity[]) => identities.map(({ certificate }) => certificate).join('')

/** A folder with the files of a server, and the settings that name them. */
function prepare(t: Test, server = issue(), chain: readonly Identity[] = [upper], more: Partial<Settings> = {}) {
  const folder = t.testdir()
  const path = (name: string) => join(folder, name)
  const put = (name: string, content: string) => writeFileSync(path(name), content, { mode: 0o600 })
  put('server.crt', pem(server, ...chain))
  put('server.key', server.key)
  put('ca.crt', pem(root, upper))
  const settings: Settings = {
    ...readSettings({}),
    tlsCertFile: path('server.crt'),
    tlsKeyFile: path('server.key'),
    tlsClientCaFile: path('ca.crt'),
    clientsFile: path('clients.json'),
    ...more,
  }
  const own = async () =>
    linesOf(await findingsOf(() => checkOwnCertificate(readOwnCertificate(settings), settings, now)), folder)
  const trust = async () => linesOf(await findingsOf(() => checkTrust(readTrustFiles(settings), settings, now)), folder)
  return { folder, path, put, settings, own, trust }
}

t.test('certificate: names, dates and chain as clients of the issuer see them', async t => {
  t.match(await prepare(t).own(), [
    /^✓ server\.crt: certificate CN=localhost, issued by CN=upper, ends /,
    /^✓ server\.crt: intermediate certificate CN=upper, issued by CN=root, ends /,
    '✓ server.crt: for localhost, the host of the issuer, among DNS:localhost, IP Address:127.0.0.1',
    '✓ the chain leads to CN=root, which clients must have as an authority',
  ])
  const elsewhere = { issuer: 'https://as.example:8443' }
  t.match(
    (await prepare(t, issue(), [upper], elsewhere).own())[2],
    /^✗ server\.crt: not for as\.example, the host of the issuer; it has DNS:localhost.*; get a certificate for as\.example, or/,
  )
  for (const issuer of ['https://127.0.0.1:8443', 'https://LOCALHOST'])
    t.match((await prepare(t, issue(), [upper], { issuer }).own())[2], /^✓ /, issuer)
  const nameless = issue({ altNames: [] })
  t.match((await prepare(t, nameless).own())[2], /^✗ .*no subject alternative name, without which no client accepts it/)

  const soon = issue({ notAfter: new Date(now + 5.5 * day) })
  t.match(
    (await prepare(t, soon).own())[0],
    /^! server\.crt: certificate CN=localhost, .*, ends in 5 days, on .*; renew it$/,
  )
  const ended = issue({ notBefore: new Date(now - 2 * day), notAfter: new Date(now - day) })
  t.match((await prepare(t, ended).own())[0], /^✗ server\.crt: .*, ended on .*; renew it$/)
  const later = issue({ notBefore: new Date(now + day) })
  t.match((await prepare(t, later).own())[0], /^✗ server\.crt: .*, is not valid before .*; compare the clocks$/)

  const selfSigned = issueCertificate({
    subject: [['CN', 'localhost']],
    altNames: [{ dns: 'localhost' }],
    ...longLived,
  })
  t.match((await prepare(t, selfSigned, []).own()).at(-1), /^! the certificate is self-signed; give it to clients/)
  t.match(
    (await prepare(t, issue(), [upper, root]).own()).at(-1),
    '✓ the chain holds its root, which clients must have as an authority',
  )
})

t.test('certificate: what the server would refuse is said as it says it', async t => {
  const { put, own } = prepare(t)
  put('server.key', upper.key)
  t.match(await own(), [
    /^✗ server\.crt, line \d+: the certificate of the key in server\.key is not the first one in the file; move it to the top/,
  ])
  put('server.crt', 'x')
  t.match(await own(), ['✗ server.crt: there is no PEM block in this file, a CERTIFICATE block is needed here'])
})

t.test('certificate: OpenSSL has the last word on keys and signatures', async t => {
  const right = prepare(t)
  const material = readTlsFiles(right.settings)
  t.same(linesOf([checkTlsContext(material, right.settings)]), [
    '✓ OpenSSL takes certificate, key, authorities and lists',
  ])
  const server = issue({ keyType: 'rsa1024' })
  const weak = { ...material, cert: server.certificate, key: server.key }
  t.match(linesOf([checkTlsContext(weak, right.settings)]), [
    /^✗ OpenSSL does not take .*key too small.*ERR_SSL_EE_KEY_TOO_SMALL/i,
  ])
  t.match(await prepare(t, server).own(), [
    /^✗ server\.crt: OpenSSL rejects this certificate, .*: ee key too small; use/,
  ])
})

t.test('authorities: dates, lists that are missing or have ended, and whom that locks out', async t => {
  const { put, trust, path, settings } = prepare(t)
  t.match(await trust(), [
    /^✓ ca\.crt, line \d+: authority CN=root, ends /,
    /^✓ ca\.crt, line \d+: authority CN=upper, ends /,
    '✓ no revocation lists are given: a certificate is accepted until it ends',
  ])
  const withLists = { ...settings, tlsClientCrlFile: path('lists.crl') }
  const check = async (...lists: string[]) => {
    put('lists.crl', lists.join(''))
    return linesOf(await findingsOf(() => checkTrust(readTrustFiles(withLists), withLists, now)), t.testdirName)
  }
  const list = (issuer: Identity, more = {}) => issueCrl({ issuer, revoked: [], ...more })
  const long = { nextUpdate: new Date(now + 100 * day) }
  t.match(await check(list(root, long), list(upper, long)), [
    /^✓ ca\.crt, line \d+: authority CN=root/,
    /^✓ ca\.crt, line \d+: authority CN=upper/,
    /^✓ lists\.crl: revocation list of CN=root, number 0x\w+, 0 entries, ends /,
    /^✓ lists\.crl: revocation list of CN=upper, number 0x\w+, 0 entries, ends /,
  ])
  t.match(await check(list(upper, long)), [
    /^✗ ca\.crt: no client could be accepted: there is no revocation list of CN=root; add it$/,
  ])
  const old = { thisUpdate: new Date(now - 9 * day), nextUpdate: new Date(now - day) }
  const ended = await check(list(root, long), list(upper, old))
  t.match(
    ended[1],
    /^✗ ca\.crt, line \d+: all clients of the authority CN=upper are refused: the revocation list of CN=upper ended on .*; fetch the current one$/,
  )
  t.match(ended.at(-1), /^✗ lists\.crl: revocation list of CN=upper.*, ended on .*; fetch the current one$/)
  const soon = await check(list(root, long), list(upper))
  t.match(soon.at(-1), /^! lists\.crl: revocation list of CN=upper.*, ends in 6 days, .*; fetch the current one$/)

  const gone = issueCertificate({
    ca: true,
    subject: [['CN', 'gone']],
    notBefore: new Date(now - 2 * day),
    notAfter: new Date(now - day),
  })
  put('ca.crt', pem(root, upper, gone))
  t.match(
    (await trust())[2],
    /^! ca\.crt, line \d+: all clients of the authority CN=gone are refused: the certificate of CN=gone ended on .*; replace it$/,
  )
  put('ca.crt', pem(gone))
  t.match(
    (await trust())[0],
    /^✗ ca\.crt, line \d+: all clients of the authority CN=gone are refused/,
    'nobody is left',
  )
})

const client = (subject: CertificateOrder['subject'], more: Partial<CertificateOrder> = {}) =>
  issueCertificate({ issuer: upper, subject, extendedKeyUsage: ['clientAuth'], ...longLived, ...more })

t.test('clients: registrations, and names that look as if OpenSSL had written them', async t => {
  const { settings } = prepare(t)
  const registered = client([['CN', 'pinned']], { notAfter: new Date(now + 3.5 * day) })
  const jwks = {
    keys: [{ ...registered.publicKey.export({ format: 'jwk' }), x5c: [registered.x509.raw.toString('base64')] }],
  }
  const check = (list: readonly object[]) => linesOf(checkClients(list, settings, now), t.testdirName)
  const dn = (name: string) => register('alice', { tls_client_auth_subject_dn: name })
  t.match(check([register('alice'), register('bob')]), [/^✓ .*clients\.json: 2 clients$/])
  t.match(check([]), [/^! .*clients\.json: no client is registered; register one$/])
  for (const right of ['CN=alice,O=Example\\, Inc.,C=DE', 'CN=alice,DC=example,DC=org', 'O=alice', 'UID=a+CN=b,O=c'])
    t.equal(check([dn(right)]).length, 1, right)
  for (const wrong of ['C=DE, O=Example, CN=alice', 'DC=org,DC=example,UID=alice', 'O=x,CN=a'])
    t.match(
      check([dn(wrong)])[1],
      /^! client alice: the registered name .* may be in the wrong order; RFC 4514 .*-nameopt RFC2253$/,
      wrong,
    )
  const pinned = { client_id: 'pinned', token_endpoint_auth_method: 'self_signed_tls_client_auth', jwks }
  t.match(
    check([pinned])[1],
    /^! client pinned: its registered certificate, ends in 3 days, .*; register its renewed one$/,
  )
})

t.test('clients: which certificate of a folder is whose, and why others are nobody’s', async t => {
  const { put, path, settings } = prepare(t)
  mkdirSync(path('certs'))
  const name: CertificateOrder['subject'] = [
    ['C', 'DE'],
    ['O', 'Example'],
    ['CN', 'carol'],
  ]
  const [alice, other] = [client([['CN', 'alice']]), authority('other')]
  const bob = client([['CN', 'bob']], { issuer: other })
  const dave = client([['CN', 'dave']], {
    extendedKeyUsage: [],
    notAfter: new Date(now - 1000),
    notBefore: new Date(now - day),
  })
  const files = {
    alice,
    bob,
    carol: client(name),
    dave,
    mallory: client([['CN', 'mallory']]),
    ca: root,
    server: issue(),
  }
  for (const [file, { certificate }] of Object.entries(files)) put(`certs/${file}.crt`, certificate)
  put('certs/broken.pem', 'x')
  put('certs/notes.txt', 'no certificate')
  const registrations = [
    register('alice'),
    register('bob'),
    register('carol', { tls_client_auth_subject_dn: 'C=DE,O=Example,CN=carol' }),
    register('dave'),
    register('erin'),
  ]
  put('clients.json', JSON.stringify(registrations))
  put(
    'lists.crl',
    [root, upper].map(issuer => issueCrl({ issuer, revoked: issuer === upper ? [alice.x509] : [] })).join(''),
  )
  const withLists = { ...settings, tlsClientCrlFile: path('lists.crl') }
  const { trust } = readTrustFiles(withLists)
  const options = { trust, settings: withLists, now }
  const lines = linesOf(checkCertificates(path('certs'), readClientsFile(path('clients.json')), options), t.testdirName)
  const about = (what: string) => lines.filter(line => line.includes(what))
  t.match(about('client alice'), [
    /^✓ client alice: certs\/alice\.crt, ends /,
    '! client alice: certs/alice.crt is revoked; issue another one',
  ])
  t.match(about('client bob'), [
    /^✓ client bob: certs\/bob\.crt, ends /,
    '! client bob: certs/bob.crt was issued by CN=other, which is no authority in ca.crt; add that authority, or put the intermediate certificate of it behind the certificate',
  ])
  t.match(about('client dave'), [
    /^! client dave: certs\/dave\.crt, ended on .*; renew it$/,
    '✗ client dave: certs/dave.crt is refused: it has no extended key usage; issue it with the usage clientAuth',
  ])
  t.match(about('client carol'), [
    /^✗ client carol: no certificate of certs is its own; certs\/carol\.crt: The subject of the certificate has the parts of the registered name in reverse order\. Registered: C=DE,O=Example,CN=carol\. Presented: CN=carol,O=Example,C=DE\.; Register /,
  ])
  t.match(about('client erin'), [
    /^! client erin: no certificate of certs is its own; compare the names: CN=alice; CN=bob; .*CN=mallory$/,
  ])
  t.match(about('is registered for no client').sort(), [
    /^! certs\/carol\.crt: CN=carol,O=Example,C=DE is registered for no client/,
    '! certs/mallory.crt: CN=mallory is registered for no client; register it, if it is a client’s',
  ])
  t.match(about('broken.pem'), [/^! certs\/broken\.pem: there is no PEM block in this file/])
  t.equal(about('notes.txt').length + about('ca.crt is').length + about('server.crt').length, 0)
  const none = await findingsOf(() => checkCertificates(path('none'), registrations, options))
  t.match(linesOf(none, t.testdirName), ['✗ none: this directory cannot be read (ENOENT)'])
  t.match(readFileSync(path('certs/alice.crt'), 'utf8'), alice.certificate, 'nothing was changed')
})
