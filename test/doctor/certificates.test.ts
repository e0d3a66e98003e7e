// Checks of the server certificate, the authorities and the clients' certificates: names, dates, usages, lists, matches.
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
import { parseSettings, type Settings } from '../../src/settings/settings.ts'
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
    ...parseSettings({}),
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

t.test('checks names, dates and chain of the server certificate as clients of the issuer do', async t => {
  t.match(await prepare(t).own(), [
    /^✓ server\.crt: certificate CN=localhost \(issuer CN=upper\) expires on /,
    /^✓ server\.crt: intermediate certificate CN=upper \(issuer CN=root\) expires on /,
    '✓ server.crt: the names include localhost, the host of the issuer: DNS:localhost, IP Address:127.0.0.1',
    '✓ the chain leads to CN=root, which clients must trust',
  ])
  const elsewhere = { issuer: 'https://as.example:8443' }
  t.match(
    (await prepare(t, issue(), [upper], elsewhere).own())[2],
    /^✗ server\.crt: the names do not include as\.example, the host of the issuer: DNS:localhost.*; get a certificate for as\.example, or/,
  )
  for (const issuer of ['https://127.0.0.1:8443', 'https://LOCALHOST'])
    t.match((await prepare(t, issue(), [upper], { issuer }).own())[2], /^✓ /, issuer)
  const nameless = issue({ altNames: [] })
  t.match((await prepare(t, nameless).own())[2], /^✗ .*: none \(no subjectAltName\), so no client accepts it/)

  const soon = issue({ notAfter: new Date(now + 5.5 * day) })
  t.match(
    (await prepare(t, soon).own())[0],
    /^! server\.crt: certificate CN=localhost .* expires in 5 days, on .*; renew it$/,
  )
  const ended = issue({ notBefore: new Date(now - 2 * day), notAfter: new Date(now - day) })
  t.match((await prepare(t, ended).own())[0], /^✗ server\.crt: .* expired on .*; renew it$/)
  const later = issue({ notBefore: new Date(now + day) })
  t.match((await prepare(t, later).own())[0], /^✗ server\.crt: .* is not valid before .*; compare the clocks$/)

  const selfSigned = issueCertificate({
    subject: [['CN', 'localhost']],
    altNames: [{ dns: 'localhost' }],
    ...longLived,
  })
  t.match(
    (await prepare(t, selfSigned, []).own()).at(-1),
    /^! the certificate is self-signed; configure clients to trust it/,
  )
  t.match(
    (await prepare(t, issue(), [upper, root]).own()).at(-1),
    '✓ the chain includes its root, which clients must trust',
  )
})

t.test('reports invalid certificate files in the words of the server', async t => {
  const { put, own } = prepare(t)
  put('server.key', upper.key)
  t.match(await own(), [
    /^✗ server\.crt, line \d+: the certificate of the key in server\.key is not the first one in the file; move it to the top/,
  ])
  put('server.crt', 'x')
  t.match(await own(), ['✗ server.crt: there is no PEM block in this file, a CERTIFICATE block is needed here'])
})

t.test('reports keys and signatures that OpenSSL rejects', async t => {
  const valid = prepare(t)
  const material = readTlsFiles(valid.settings)
  t.same(linesOf([checkTlsContext(material, valid.settings)]), [
    '✓ OpenSSL accepts the certificate, key, authorities and revocation lists',
  ])
  const server = issue({ keyType: 'rsa1024' })
  const weak = { ...material, cert: server.certificate, key: server.key }
  t.match(linesOf([checkTlsContext(weak, valid.settings)]), [
    /^✗ OpenSSL rejects the .*key too small.*ERR_SSL_EE_KEY_TOO_SMALL/i,
  ])
  t.match(await prepare(t, server).own(), [
    /^✗ server\.crt: OpenSSL rejects this certificate, .*: ee key too small; use/,
  ])
})

t.test(
  'reports authorities and revocation lists that expire or are missing, and whose clients are rejected',
  async t => {
    const { put, trust, path, settings } = prepare(t)
    t.match(await trust(), [
      /^✓ ca\.crt, line \d+: authority CN=root expires on /,
      /^✓ ca\.crt, line \d+: authority CN=upper expires on /,
      '✓ no revocation lists are configured: a certificate is accepted until it expires',
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
      /^✓ lists\.crl: revocation list of CN=root \(number 0x\w+, 0 entries\) expires on /,
      /^✓ lists\.crl: revocation list of CN=upper \(number 0x\w+, 0 entries\) expires on /,
    ])
    t.match(await check(list(upper, long)), [
      /^✗ ca\.crt: no client could be accepted: there is no revocation list of CN=root; add it$/,
    ])
    const old = { thisUpdate: new Date(now - 9 * day), nextUpdate: new Date(now - day) }
    const ended = await check(list(root, long), list(upper, old))
    t.match(
      ended[1],
      /^✗ ca\.crt, line \d+: all clients of the authority CN=upper are rejected: the revocation list of CN=upper expired on .*; fetch the current one$/,
    )
    t.match(ended.at(-1), /^✗ lists\.crl: revocation list of CN=upper .* expired on .*; fetch the current one$/)
    const soon = await check(list(root, long), list(upper))
    t.match(soon.at(-1), /^! lists\.crl: revocation list of CN=upper .* expires in 6 days, .*; fetch the current one$/)

    const gone = issueCertificate({
      ca: true,
      subject: [['CN', 'gone']],
      notBefore: new Date(now - 2 * day),
      notAfter: new Date(now - day),
    })
    put('ca.crt', pem(root, upper, gone))
    t.match(
      (await trust())[2],
      /^! ca\.crt, line \d+: all clients of the authority CN=gone are rejected: the certificate of CN=gone expired on .*; replace it$/,
    )
    put('ca.crt', pem(gone))
    t.match(
      (await trust())[0],
      /^✗ ca\.crt, line \d+: all clients of the authority CN=gone are rejected/,
      'a failure, because no other authority is valid',
    )
  },
)

const client = (subject: CertificateOrder['subject'], more: Partial<CertificateOrder> = {}) =>
  issueCertificate({ issuer: upper, subject, extendedKeyUsage: ['clientAuth'], ...longLived, ...more })

t.test('warns of registered names in the order of OpenSSL, and of registered certificates that expire', async t => {
  const { settings } = prepare(t)
  const registered = client([['CN', 'pinned']], { notAfter: new Date(now + 3.5 * day) })
  const jwks = {
    keys: [{ ...registered.publicKey.export({ format: 'jwk' }), x5c: [registered.x509.raw.toString('base64')] }],
  }
  const check = (list: readonly object[]) => linesOf(checkClients(list, settings, now), t.testdirName)
  const dn = (name: string) => register('alice', { tls_client_auth_subject_dn: name })
  t.match(check([register('alice'), register('bob')]), [/^✓ .*clients\.json: 2 clients$/])
  t.match(check([]), [/^! .*clients\.json: no client is registered; register one$/])
  for (const valid of ['CN=alice,O=Example\\, Inc.,C=DE', 'CN=alice,DC=example,DC=org', 'O=alice', 'UID=a+CN=b,O=c'])
    t.equal(check([dn(valid)]).length, 1, valid)
  for (const reversed of ['C=DE, O=Example, CN=alice', 'DC=org,DC=example,UID=alice', 'O=x,CN=a'])
    t.match(
      check([dn(reversed)])[1],
      /^! client alice: the registered name .* may be in the wrong order; RFC 4514 .*-nameopt RFC2253$/,
      reversed,
    )
  const pinned = { client_id: 'pinned', token_endpoint_auth_method: 'self_signed_tls_client_auth', jwks }
  t.match(
    check([pinned])[1],
    /^! client pinned: the registered certificate expires in 3 days, .*; register the renewed one$/,
  )
})

t.test('matches the certificates of a folder with the clients, and explains those that match none', async t => {
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
  const lines = linesOf(
    checkCertificates(path('certs'), readClientsFile(path('clients.json')).list, options),
    t.testdirName,
  )
  const about = (what: string) => lines.filter(line => line.includes(what))
  t.match(about('client alice'), [
    /^✓ client alice: certs\/alice\.crt expires on /,
    '! client alice: certs/alice.crt is revoked; issue a new one',
  ])
  t.match(about('client bob'), [
    /^✓ client bob: certs\/bob\.crt expires on /,
    '! client bob: certs/bob.crt was issued by CN=other, which is not an authority in ca.crt; add that authority, or append the intermediate certificate to the client certificate',
  ])
  t.match(about('client dave'), [
    /^! client dave: certs\/dave\.crt expired on .*; renew it$/,
    '✗ client dave: certs/dave.crt is rejected: it has no extended key usage; issue it with the usage clientAuth',
  ])
  t.match(about('client carol'), [
    /^✗ client carol: no certificate in certs matches; certs\/carol\.crt: The subject of the certificate has the parts of the registered name in reverse order\. Registered: C=DE,O=Example,CN=carol\. Presented: CN=carol,O=Example,C=DE\.; Register /,
  ])
  t.match(about('client erin'), [
    /^! client erin: no certificate in certs matches; compare the names: CN=alice; CN=bob; .*CN=mallory$/,
  ])
  t.match(about('matches no registered client').sort(), [
    /^! certs\/carol\.crt: CN=carol,O=Example,C=DE matches no registered client/,
    '! certs/mallory.crt: CN=mallory matches no registered client; register it if it belongs to a client',
  ])
  t.match(about('broken.pem'), [/^! certs\/broken\.pem: there is no PEM block in this file/])
  t.equal(about('notes.txt').length + about('ca.crt is').length + about('server.crt').length, 0)
  const none = await findingsOf(() => checkCertificates(path('none'), registrations, options))
  t.match(linesOf(none, t.testdirName), ['✗ none: this directory cannot be read (ENOENT)'])
  t.match(readFileSync(path('certs/alice.crt'), 'utf8'), alice.certificate, 'the check changes no file')
})

t.test('warns of refresh tokens that are bound to a certificate and outlive it', async t => {
  const { put, path, settings } = prepare(t)
  mkdirSync(path('certs'))
  const hour = 3_600_000
  const short = { notAfter: new Date(now + hour) }
  const bound = { refresh_token_binding: 'certificate' }
  const registrations = [
    register('bound', bound),
    register('free'),
    register('without', { ...bound, grant_types: ['client_credentials'] }),
    register('long', bound),
  ]
  for (const { client_id: id } of registrations)
    put(`certs/${id}.crt`, client([['CN', id]], id === 'long' ? {} : short).certificate)
  const options = { trust: undefined, settings, now }
  const lines = linesOf(checkCertificates(path('certs'), registrations, options), t.testdirName)
  t.same(
    lines.filter(line => line.includes('refresh')),
    [
      '! client bound: certs/bound.crt expires before the refresh tokens that are bound to it; register refresh_token_binding client, or request new grants after the renewal',
    ],
  )
})
