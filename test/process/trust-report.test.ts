// What start and reload report of certificates, authorities and lists; which reloads are rejected because no client could
// be served; and how production and the demo handle expired certificates.
import { X509Certificate } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pino } from 'pino'
import t from 'tap'
import { issueCertificate } from '../../src/pki/certificate.ts'
import { type CrlOrder, issueCrl } from '../../src/pki/crl.ts'
import { makeDemoPki, writeDemoPki } from '../../src/pki/demo.ts'
import { ensureDemoPki, renewDemoPki } from '../../src/process/demo.ts'
import { reportTrust } from '../../src/process/trust-report.ts'
import { startTestServer } from '../../src/testing/server.ts'
import { parseMaterial } from '../../src/tls/options.ts'
import { loadTrust } from '../../src/tls/trust.ts'
import { runTlsbound, startTlsbound } from '../helpers/process/process.ts'
import { writeOwnPki } from '../helpers/process/production.ts'
import { register } from '../helpers/tokens/grants.ts'
import { until } from '../helpers/until.ts'

t.setTimeout(240_000)
const DAY = 86_400_000
const inDays = (days: number) => new Date(Date.now() + days * DAY)
const past = { thisUpdate: inDays(-3), nextUpdate: inDays(-1) }
const authority = (name: string, notAfter = inDays(90)) =>
  issueCertificate({ subject: [['CN', name]], ca: true, notAfter, notBefore: inDays(-100) })
const listOf = (issuer: ReturnType<typeof authority>, order: Partial<CrlOrder> = {}) =>
  issueCrl({ issuer, revoked: [], ...order })

t.test('reports each certificate and list with its expiry, at a level according to its state', async t => {
  const [good, soon, ended, noList] = [
    authority('good'),
    authority('soon', inDays(20)),
    authority('ended', inDays(-1)),
    authority('no list'),
  ]
  const server = issueCertificate({ subject: [['CN', 'localhost']], issuer: good, notAfter: inDays(29) })
  const ca = [good, soon, ended, noList].map(({ certificate }) => certificate).join('')
  const crl =
    listOf(good, { nextUpdate: inDays(60), number: 7, revoked: [server.x509] }) +
    listOf(soon, past) +
    listOf(ended, { nextUpdate: null })
  const { chain, authorities, lists } = parseMaterial({ cert: server.certificate, key: server.key, ca, crl })
  const say = (days: number) => {
    const lines: { level: number; msg: string }[] = []
    const log = pino({ base: null }, { write: line => void lines.push(JSON.parse(line)) })
    reportTrust(log, { chain, trust: loadTrust(authorities, lists) }, Date.now(), days)
    return (level: number, pattern: RegExp) =>
      lines.filter(line => line.level === level && pattern.test(line.msg)).length
  }
  const told = say(30)
  const serial = server.x509.serialNumber.toLowerCase()
  const own = new RegExp(
    `^the server's certificate expires in 2[89] days: CN=localhost, serial ${serial}, issued by CN=good, expires on 20`,
  )
  t.equal(told(40, own), 1)
  t.equal(told(30, /^authority for clients: CN=good, serial [0-9a-f]+, issued by CN=good, expires on 20/), 1)
  t.equal(told(40, /^authority for clients expires in (19|20) days: CN=soon/), 1)
  t.equal(told(50, /^authority for clients expired on 20.*CN=ended/), 1)
  t.equal(told(30, /^revocation list: of CN=good, number 0x07, 1 entry, from 20.*, expires on 20/), 1)
  t.equal(told(50, /^revocation list expired on 20.*of CN=soon/), 1)
  t.equal(told(30, /^revocation list: of CN=ended, .*0 entries, .*does not expire/), 1)
  t.equal(
    told(50, /^all clients of the authority CN=no list are rejected: there is no revocation list of CN=no list/),
    1,
  )
  t.equal(told(50, /^all clients of the authority CN=soon are rejected: the revocation list of CN=soon expired/), 1)
  t.equal(told(50, /^all clients of the authority CN=ended are rejected/), 1)
  t.equal(told(50, /CN=good are rejected/), 0)
  t.equal(say(10)(40, /expires in/), 0, 'by the configured number of days')
})

t.test('rejects a reload with which no client could be served, and uses the old files', async t => {
  const server = await startTestServer()
  t.teardown(() => server.close())
  const { pki, tls } = server
  const sub = issueCertificate({ subject: [['CN', 'sub']], issuer: authority('root of sub'), ca: true })
  const usable = { cert: pki.server.certificate, key: pki.server.key, ca: pki.ca.certificate }
  const own = { subject: [['CN', 'localhost']], issuer: pki.ca } as const
  const [endedOwn, earlyOwn] = [
    issueCertificate({ ...own, notBefore: inDays(-3), notAfter: inDays(-1) }),
    issueCertificate({ ...own, notBefore: inDays(1) }),
  ]
  const alice = await server.connect('alice')
  const token = await alice.token()
  for (const [change, message] of [
    [{ crl: listOf(pki.ca, past) }, /no client could be accepted: the revocation list of .*demo CA expired on/],
    [{ crl: listOf(authority('other')) }, /no client could be accepted: there is no revocation list of .*demo CA/],
    [{ crl: listOf(pki.ca, { thisUpdate: inDays(1) }) }, /not valid before/],
    [{ crl: listOf(pki.ca, { scope: { onlyUserCertificates: true } }) }, /scope of the revocation list/],
    [{ crl: listOf(pki.ca, { scope: { uris: ['http://crl.test'], onlyUserCertificates: true } }) }, /scope of the/],
    [{ ca: authority('ended', inDays(-1)).certificate }, /certificate of CN=ended expired on/],
    [{ ca: sub.certificate }, /issuer CN=root of sub is missing/],
    [
      { cert: endedOwn.certificate, key: endedOwn.key },
      /the server's certificate is valid from .* which does not include the current time/,
    ],
    [{ cert: earlyOwn.certificate, key: earlyOwn.key }, /the server's certificate is valid from/],
  ] as const) {
    t.throws(() => tls.reload({ ...usable, ...change }), { message }, String(message))
    t.match(await alice.get('/api/whoami', token), { status: 200 })
    const newcomer = await server.connect('bob')
    t.match(await newcomer.requestToken({ client_id: 'bob' }), { status: 200 }, 'new handshakes too')
    newcomer.close()
  }
  const other = authority('other')
  const half = { ca: pki.ca.certificate + other.certificate, crl: listOf(other) }
  t.doesNotThrow(() => tls.reload({ ...usable, ...half }), 'a reload that excludes some clients is accepted')
  t.doesNotThrow(() => tls.reload({ ...usable, crl: listOf(pki.ca) }), 'control')
})

t.test('starts without a current list, reports it, and then accepts each reload', async t => {
  const crl = (order: Partial<CrlOrder>) => listOf(makeDemo.ca, order)
  const makeDemo = makeDemoPki()
  const server = await startTestServer({ pki: makeDemo, tls: { crl: crl(past) } })
  t.teardown(() => server.close())
  t.match(await (await server.connect('alice')).requestToken(), { status: 401 })
  const material = { cert: makeDemo.server.certificate, key: makeDemo.server.key, ca: makeDemo.ca.certificate }
  t.doesNotThrow(
    () => server.tls.reload({ ...material, crl: crl({ ...past, number: 1 }) }),
    'it excludes no further client',
  )
  t.doesNotThrow(() => server.tls.reload({ ...material, crl: crl({}) }))
  t.match(await (await server.connect('alice')).requestToken(), { status: 200 })
})

t.test('reports at the start and on SIGHUP what is in use, and why it is kept', async t => {
  const folder = t.testdir()
  writeOwnPki(join(folder, 'certs'))
  writeFileSync(join(folder, 'clients.json'), JSON.stringify([register('alice')]))
  const env = {
    TLSBOUND_TLS_CERT_FILE: 'certs/server.crt',
    TLSBOUND_TLS_KEY_FILE: 'certs/server.key',
    TLSBOUND_TLS_CLIENT_CA_FILE: 'certs/ca.crt',
    TLSBOUND_CLIENTS_FILE: 'clients.json',
  }
  const server = await startTlsbound(t, folder, env)
  await server.seen(/"level":30[^\n]*the server's certificate: CN=localhost/)
  await server.seen(/"level":30[^\n]*authority for clients: CN=an authority/)
  const ca = readFileSync(join(folder, 'certs/ca.crt'), 'utf8')
  const reload = async (text: string, ...patterns: RegExp[]) => {
    const since = server.stderr().length
    writeFileSync(join(folder, 'certs/ca.crt'), text)
    server.child.kill('SIGHUP')
    for (const pattern of patterns) await server.seen(pattern, since)
    return server.stderr().slice(since)
  }
  t.notMatch(await reload(`# a comment\n${ca}`, /were loaded again/), /connections end/)
  await reload(
    authority('ended', inDays(-1)).certificate,
    /"level":50[^\n]*stay as they were[^\n]*certificate of CN=ended expired on/,
  )
  await reload(
    ca + authority('soon', inDays(20)).certificate,
    /"level":40[^\n]*expires in (19|20) days: CN=soon/,
    /were loaded again/,
  )
})

t.test('does not start in production with a certificate that has expired or is not yet valid', async t => {
  const folder = t.testdir()
  writeOwnPki(join(folder, 'certs'))
  writeFileSync(join(folder, 'clients.json'), JSON.stringify([register('alice')]))
  const env = {
    TLSBOUND_TLS_CERT_FILE: 'certs/own.crt',
    TLSBOUND_TLS_KEY_FILE: 'certs/own.key',
    TLSBOUND_TLS_CLIENT_CA_FILE: 'certs/ca.crt',
    TLSBOUND_CLIENTS_FILE: 'clients.json',
  }
  const altNames = [{ dns: 'localhost' }]
  for (const [dates, pattern] of [
    [
      { notBefore: inDays(-20), notAfter: inDays(-10) },
      /TLSBOUND_TLS_CERT_FILE: the certificate in certs\/own\.crt expired on 20/,
    ],
    [{ notBefore: inDays(1) }, /TLSBOUND_TLS_CERT_FILE: the certificate in certs\/own\.crt is not valid before 20/],
  ] as const) {
    const own = issueCertificate({
      subject: [['CN', 'localhost']],
      altNames,
      extendedKeyUsage: ['serverAuth'],
      ...dates,
    })
    writeFileSync(join(folder, 'certs/own.crt'), own.certificate)
    writeFileSync(join(folder, 'certs/own.key'), own.key, { mode: 0o600 })
    const { code, stderr } = await runTlsbound(['serve'], folder, { ...env, NODE_ENV: 'production' })
    t.equal(code, 1)
    t.match(stderr, pattern)
  }
})

t.test('the demo renews certificates that expire within a day, and reports it; others are unchanged', async t => {
  const folder = join(t.testdir(), 'certs')
  t.same(ensureDemoPki(folder, Date.now()), [], 'creates missing ones')
  const read = (name: string) => readFileSync(join(folder, name), 'utf8')
  const before = ['ca.crt', 'server.crt', 'alice.key'].map(read)
  t.same(ensureDemoPki(folder, Date.now()), [])
  t.same(ensureDemoPki(folder, inDays(28).getTime()), [], 'more than a day before the expiry')
  t.same(['ca.crt', 'server.crt', 'alice.key'].map(read), before)
  for (const now of [inDays(29.5), inDays(31)]) {
    const [said = '', ...more] = ensureDemoPki(folder, now.getTime())
    t.match(said, /demo certificates in .*certs\/ were renewed/)
    t.same(more, [])
  }
  for (const [index, name] of ['ca.crt', 'server.crt', 'alice.key'].entries()) t.not(read(name), before[index])
  const own = issueCertificate({
    subject: [['CN', 'not the demo']],
    ca: true,
    notAfter: inDays(-1),
    notBefore: inDays(-2),
  })
  writeFileSync(join(folder, 'ca.crt'), own.certificate)
  t.match(ensureDemoPki(folder, Date.now()), [/is not renewed, because .*ca\.crt is not a demo authority/])
  t.equal(read('ca.crt'), own.certificate)
  t.throws(() => writeDemoPki(folder), /exists, nothing was written/, 'control: nothing is replaced without need')
})

t.test('a running demo renews its certificates, says so once, and serves them', async t => {
  const folder = t.testdir()
  const server = await startTlsbound(t, folder)
  t.match(await (await server.connect('alice')).get('/binding'), { status: 200 }, 'control')
  const certs = join(folder, 'certs')
  const before = readFileSync(join(certs, 'ca.crt'), 'utf8')
  const warnings: string[] = []
  let later: number | undefined
  const stop = renewDemoPki(certs, {
    log: { warn: (sentence: string) => void warnings.push(sentence), error: t.fail } as never,
    clock() {
      const now = later ?? Date.now()
      later = undefined // once: then the new certificates are valid
      return now
    },
    interval: 10,
  })
  t.teardown(stop)
  await new Promise(resolve => setTimeout(resolve, 100))
  t.same(warnings, [], 'not before')
  const since = server.stderr().length
  const end = new X509Certificate(readFileSync(join(certs, 'alice.crt'))).validToDate.getTime()
  later = end - 3_600_000
  await until(() => warnings.length > 0)
  t.not(readFileSync(join(certs, 'ca.crt'), 'utf8'), before)
  t.match(warnings[0], /the demo certificates in .* were renewed with new keys, because .* expires within a day/)
  await server.seen(/lists were loaded again/, since)
  t.match(await (await server.connect('alice')).get('/binding'), { status: 200 }, 'with the new certificates')
  t.equal(warnings.length, 1)
})
