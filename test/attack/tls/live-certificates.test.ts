// A certificate becomes invalid while its connections are open: it expires, a list names it, or the trusted authorities
// change. TS08, TS09, TS12, N-08. Only OpenSSL decides in a handshake which certificates are trusted, so other connections
// end, and a new handshake decides.
import { sign, X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { connect as connectTcp } from 'node:net'
import t, { type Test } from 'tap'
import { readElements, readSequence } from '../../../src/core/der.ts'
import { makeDemoPki } from '../../../src/pki/demo.ts'
import {
  type Identity,
  issueCertificate,
  issueCrl,
  startTestServer,
  type TestConnection,
  type TestServer,
  type TestServerOptions,
} from '../../../src/testing/server.ts'
import type { MutualTlsOptions } from '../../../src/tls/listener-options.ts'
import { refusal } from '../../helpers/server/refusals.ts'
import { renderPem } from '../../helpers/tls/pem.ts'
import { until } from '../../helpers/until.ts'

type Material = Parameters<TestServer['tls']['reload']>[0]
type Who = Parameters<TestServer['connect']>[0]
type Options = Parameters<TestServer['connect']>[1]
type Timeouts = NonNullable<MutualTlsOptions['timeouts']>

/** Connections stay open after a change, until their deadline. */
const patient: Timeouts = { retirement: 100_000, retirementGrace: 100_000 }
/** The next response ends a connection. */
const answered: Timeouts = { retirement: 0, retirementGrace: 100_000 }
/** A connection ends without a response. */
const silent: Timeouts = { retirement: 0, retirementGrace: 0 }

async function start(t: Test, timeouts: Timeouts = patient, more: TestServerOptions = {}) {
  const server = await startTestServer({ ...more, tls: { ...more.tls, timeouts } })
  t.teardown(() => server.close())
  const { certificate: cert, key } = server.pki.server
  const ca = server.pki.ca.certificate
  return {
    server,
    pki: server.pki,
    reload: (change: Partial<Material>) => server.tls.reload({ cert, key, ca, ...change }),
  }
}

const issueAlice = (issuer: Identity, dates: { notAfter?: Date } = {}) =>
  issueCertificate({ subject: [['CN', 'alice']], issuer, extendedKeyUsage: ['clientAuth'], ...dates })
const authority = (name: string, notAfter?: Date) =>
  issueCertificate({ subject: [['CN', name]], ca: true, ...(notAfter && { notAfter }) })

/**
 * Three open connections of a client: with a token of its own, with a certificate-bound one, and with one that will request a
 * token.
 */
async function openThree(t: Test, server: TestServer, who: Who, options?: Options) {
  const open = () => server.connect(who, options)
  const [first, second, third] = [await open(), await open(), await open()]
  const clientId = who === 'bob' ? { client_id: 'bob' } : {}
  const own = await first.token(clientId)
  const moving = await first.token({ token_binding: 'certificate', ...clientId })
  const uses = (): Promise<{ status: number }>[] => [first.get('/api/whoami', own), second.get('/api/whoami', moving)]
  return {
    moving,
    async areGood(message = 'still valid') {
      for (const answer of await Promise.all(uses())) t.match(answer, { status: 200 }, message)
    },
    /** Checks that each gets its refusal once, which ends the connection. */
    async areRefused(reason: 'certificate_expired' | 'certificate_revoked') {
      for (const answer of await Promise.all(uses())) t.match(answer, refusal(reason))
      t.match(await third.requestToken(clientId), refusal(reason, 'invalid_client'))
    },
    /** Checks that each is answered as before, and ends with that response. */
    async endWithAnAnswer() {
      await this.areGood('is answered')
      await until(() => !first.isOpen() && !second.isOpen())
    },
  }
}

for (const protocol of ['http/1.1', 'h2']) {
  const options = { ALPNProtocols: [protocol] }

  t.test(`rejects a certificate from the second after its expiry: ${protocol} (TS08, TS09)`, async t => {
    const { server, pki } = await start(t, patient, { env: { TLSBOUND_ACCESS_TOKEN_LIFETIME: '3600' } })
    const end = server.clock + 600
    const short = issueAlice(pki.ca, { notAfter: new Date(end * 1000) })
    const [alice, bob] = [await openThree(t, server, short, options), await openThree(t, server, 'bob', options)]
    server.clock = end
    await alice.areGood('the last second')
    server.clock = end + 1
    await alice.areRefused('certificate_expired')
    t.match(server.events.at(-1), { detail: 'ended', facts: { subject: 'CN=alice', found: end, now: end + 1 } })
    const late = await server.connect(short, options)
    t.match(await late.get('/api/whoami', alice.moving), refusal('certificate_expired'), 'on a new connection too')
    await bob.areGood('other connections stay open')
  })

  t.test(`applies a loaded revocation list to open connections immediately: ${protocol} (TS12)`, async t => {
    const { server, pki, reload } = await start(t)
    const [alice, bob] = [await openThree(t, server, 'alice', options), await openThree(t, server, 'bob', options)]
    await alice.areGood()
    await bob.areGood()
    t.same(reload({ crl: issueCrl({ issuer: pki.ca, revoked: [pki.alice.x509] }) }), { revoked: 3, retired: 3 })
    await alice.areRefused('certificate_revoked')
    t.match(server.events.at(-1), { detail: 'listed', facts: { subject: 'CN=alice', found: /^20/ } })
    const late = await server.connect('alice', options)
    t.match(await late.get('/api/whoami', alice.moving), refusal('certificate_revoked'))
    await bob.areGood('another client continues until its deadline')
    reload({ crl: issueCrl({ issuer: pki.ca, revoked: [pki.alice.x509, pki.bob.x509] }) })
    await bob.areRefused('certificate_revoked')
  })

  t.test(`ends connections of a removed authority with the next response: ${protocol}`, async t => {
    const { server, pki, reload } = await start(t, answered)
    const newCa = authority('the new CA')
    const both = { ca: pki.ca.certificate + newCa.certificate }
    const before = await openThree(t, server, 'alice', options)
    reload(both)
    await before.endWithAnAnswer()
    const old = await openThree(t, server, 'alice', options)
    const renewed = await openThree(t, server, issueAlice(newCa), options)
    reload({ ca: newCa.certificate })
    await old.endWithAnAnswer()
    await renewed.endWithAnAnswer()
    const late = await server.connect('alice', options)
    t.match(await late.get('/api/whoami', old.moving), refusal('certificate_untrusted'))
    const again = await server.connect(issueAlice(newCa), options)
    t.match(await again.requestToken(), { status: 200 }, 'a client that has moved to the new CA is accepted again')
  })

  t.test(`ends a connection without requests too: ${protocol}`, async t => {
    const { server, pki, reload } = await start(t, silent)
    const idle = [await server.connect('alice', options), await server.connect('bob', options)]
    for (const connection of idle) t.match(await connection.get('/binding'), { status: 200 })
    reload({ ca: pki.ca.certificate + authority('the new CA').certificate })
    await until(() => idle.every(connection => !connection.isOpen()))
    t.same(server.alarms, [], 'no event, since nothing was refused')
    t.match(await (await server.connect('alice', options)).requestToken(), { status: 200 })
  })

  t.test(`completes a response in progress when the time of its connection is over: ${protocol}`, async t => {
    const [arrived, gate] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    const { server, pki, reload } = await start(t, silent, {
      routes: app => {
        app.get('/slow', async () => {
          arrived.resolve()
          await gate.promise
          return { slow: true }
        })
      },
    })
    const [busy, idle] = [await server.connect('alice', options), await server.connect('alice', options)]
    t.match(await idle.get('/binding'), { status: 200 })
    const answer = busy.get('/slow', await busy.token())
    await arrived.promise
    reload({ ca: pki.ca.certificate + authority('the new CA').certificate })
    await until(() => !idle.isOpen())
    gate.resolve()
    t.match(await answer, { status: 200, body: { slow: true } })
    await until(() => !busy.isOpen())
  })

  t.test(
    `ends a refused connection with its next response, and accepts the client after the list was corrected: ${protocol}`,
    async t => {
      const { server, pki, reload } = await start(t)
      const ended = { thisUpdate: new Date(Date.now() - 3_600_000), nextUpdate: new Date(Date.now() - 1000) }
      const crl = (dates: object) => issueCrl({ issuer: pki.ca, revoked: [], ...dates })
      const other = authority('another')
      const both = { ca: pki.ca.certificate + other.certificate }
      reload({ ...both, crl: crl(ended) + issueCrl({ issuer: other, revoked: [] }) })
      const refused = await server.connect('alice', options)
      const [watching, empty] = [await server.connect('alice', options), await server.connect(null, options)]
      for (const connection of [watching, empty]) t.match(await connection.get('/binding'), { status: 200 })
      const answer = await refused.requestToken()
      t.match(answer, refusal('certificate_untrusted', 'invalid_client'))
      if (protocol === 'http/1.1') t.match(answer.headers, { connection: 'close' })
      await until(() => !refused.isOpen()) // so that no pool reuses it
      t.match(
        [watching, empty].map(connection => connection.isOpen()),
        [true, true],
        'which were refused nothing yet',
      )
      reload({ ...both, crl: crl({}) + issueCrl({ issuer: other, revoked: [] }) })
      for (const connection of [watching, empty]) t.match(await connection.get('/binding'), { status: 200 })
      await until(() => !watching.isOpen() && !empty.isOpen())
      t.match(await (await server.connect('alice', options)).requestToken(), { status: 200 })
    },
  )

  t.test(`ends the connection with each refusal that is caused by the certificate: ${protocol} (N-08)`, async t => {
    const { server, pki, reload } = await start(t)
    const bob = await openThree(t, server, 'bob', options)
    const alice = await server.connect('alice', options)
    const token = await alice.token()
    reload({ crl: issueCrl({ issuer: pki.ca, revoked: [pki.alice.x509] }) })
    const expired = issueAlice(pki.ca, { notAfter: new Date(Date.now() - 1000) })
    for (const [connection, reason] of [
      [alice, 'certificate_revoked'],
      [await server.connect('stranger', options), 'certificate_untrusted'],
      [await server.connect(expired, options), 'certificate_expired'],
    ] as const) {
      t.match(await connection.get('/api/whoami', token), refusal(reason))
      await until(() => !connection.isOpen())
    }
    for (const [who, reason] of [
      ['bob', 'certificate_mismatch'],
      [null, 'no_certificate'],
    ] as const) {
      const other = await server.connect(who, options)
      for (let count = 0; count < 2; count++) t.match(await other.get('/api/whoami', token), refusal(reason))
    }
    await bob.areGood('another client’s connections stay open')
  })
}

t.test('changes nothing for a file with the same content in another form', async t => {
  const root = authority('root')
  const expired = issueCertificate({
    subject: [['CN', 'sub']],
    issuer: root,
    ca: true,
    notAfter: new Date(Date.now() - 1000),
  })
  const valid = issueCertificate({ subject: [['CN', 'sub']], issuer: root, ca: true, keyPair: expired })
  const { server, reload } = await start(t, silent)
  // The expired certificate of the same key comes first: OpenSSL uses the other one.
  const ca = [expired, valid, root].map(({ certificate }) => certificate)
  const crl = [root, expired].map(issuer => issueCrl({ issuer, revoked: [] }))
  reload({ ca: ca.join(''), crl: crl.join('') })
  const alice = await server.connect(issueAlice(valid))
  const token = await alice.token()
  for (const same of [
    { ca: `# one more comment line\n${ca.join('')}`, crl: crl.join('\n') },
    { ca: ca.join('').replaceAll('\n', '\r\n'), crl: `${crl.join('')}# the end` },
    { ca: [root.certificate, ...ca.slice(0, 2)].join('text between\n'), crl: crl.toReversed().join('') },
  ]) {
    t.same(reload(same), { revoked: 0, retired: 0 })
    t.match(await alice.get('/api/whoami', token), { status: 200 })
    t.match(await (await server.connect(issueAlice(valid))).requestToken(), { status: 200 }, 'a new handshake too')
  }
  t.same(reload({ ca: ca.join('') }), { revoked: 0, retired: 1 + 3 }, 'control: without the lists the trust differs')
  await until(() => !alice.isOpen())
})

t.test('distinguishes authorities of the same name with different keys', async t => {
  const { server, pki, reload } = await start(t, answered)
  const alice = await openThree(t, server, 'alice')
  reload({ ca: issueCertificate({ subject: pki.ca.subject, ca: true }).certificate })
  await alice.endWithAnAnswer()
  const late = await server.connect('alice')
  t.match(await late.requestToken(), refusal('certificate_untrusted', 'invalid_client'))
})

t.test('revokes with a list only certificates of its authority and scope, while it is in force', async t => {
  const { server, pki, reload } = await start(t)
  const other = authority('another CA')
  const namesake = issueCertificate({ subject: pki.ca.subject, ca: true })
  const ca = [pki.ca, other, namesake].map(({ certificate }) => certificate).join('')
  const [alice, bob] = [await openThree(t, server, 'alice'), await openThree(t, server, 'bob')]
  const by = (issuer: Identity, revoked: Identity | undefined, more: object = {}) =>
    issueCrl({ issuer, revoked: revoked ? [revoked.x509] : [], ...more })
  const [ofOther, ofNamesake] = [by(other, pki.alice), by(namesake, pki.alice)]
  t.match(reload({ ca, crl: by(pki.ca, undefined) + ofOther + ofNamesake }), { revoked: 0, retired: 6 })
  await alice.areGood('the serial number alone does not identify a certificate')
  const scoped = by(pki.ca, pki.alice, { scope: { onlyAuthorities: true } })
  const forClients = by(pki.ca, undefined, { scope: { onlyUserCertificates: true } })
  t.match(reload({ ca, crl: scoped + forClients + ofOther + ofNamesake }), { revoked: 0 })
  await alice.areGood('a list for authorities names no client')
  const old = { thisUpdate: new Date(Date.now() - 3_600_000), nextUpdate: new Date(Date.now() - 1000) }
  t.match(reload({ ca, crl: by(pki.ca, pki.alice, old) + ofOther + ofNamesake }), { revoked: 0 })
  await alice.areGood('a list that has ended is left to a new handshake')
  t.match(reload({ ca, crl: by(pki.ca, pki.bob) + ofOther + ofNamesake }), { revoked: 3, retired: 3 })
  await alice.areGood()
  t.match(await (await server.connect('alice')).requestToken(), { status: 200 })
  await bob.areRefused('certificate_revoked')
})

t.test('counts intermediate authorities of the file and of the client for live connections', async t => {
  const root = authority('root')
  const between = issueCertificate({ subject: [['CN', 'between']], issuer: root, ca: { pathLength: 0 } })
  const leaf = issueAlice(between)
  const chained: Identity = { ...leaf, certificate: leaf.certificate + between.certificate }
  const { server, pki, reload } = await start(t, answered)
  const revoking = (...revoked: Identity[]) => {
    const by = (issuer: Identity, names: Identity[]) =>
      issueCrl({ issuer, revoked: names.filter(name => revoked.includes(name)).map(({ x509 }) => x509) })
    return by(root, [between]) + by(between, [leaf]) + by(pki.ca, [])
  }
  for (const [who, ca] of [
    [leaf, [root, between, pki.ca]],
    [chained, [root, pki.ca]],
  ] as const) {
    const files = { ca: ca.map(({ certificate }) => certificate).join('') }
    reload({ ...files, crl: revoking() })
    const first = await openThree(t, server, who)
    reload({ ...files, crl: revoking(leaf) })
    await first.areRefused('certificate_revoked')
    reload({ ...files, crl: revoking() })
    const second = await openThree(t, server, who)
    reload({ ...files, crl: revoking(between) })
    await second.endWithAnAnswer() // the list does not name the client's certificate
    t.match(await (await server.connect(who)).requestToken(), refusal('certificate_revoked', 'invalid_client'))
    t.match(server.events.at(-1), { detail: 'authority_listed', facts: { authority: 'CN=between' } })
    reload({ ...files, crl: revoking() })
    const third = await openThree(t, server, who)
    reload({ ca: between.certificate + pki.ca.certificate, crl: revoking() })
    await third.endWithAnAnswer()
    t.match(await (await server.connect(who)).requestToken(), refusal('certificate_untrusted', 'invalid_client'))
  }
})

t.test('keeps a registered self-signed certificate for as long as it is registered', async t => {
  const own = issueCertificate({ subject: [['CN', 'alice']], extendedKeyUsage: ['clientAuth'] })
  const issued = makeDemoPki().alice // of an authority that is not trusted
  let isPinned = true
  const { server, pki, reload } = await start(t, silent, { tls: { isPinned: () => isPinned } })
  const [pinned, below] = [await server.connect(own), await server.connect(issued)]
  for (const connection of [pinned, below])
    t.match(await connection.get('/binding'), { body: { certificate: { subject: 'CN=alice' } } })
  t.same(reload({ ca: pki.ca.certificate + authority('new').certificate }), { revoked: 0, retired: 1 })
  await until(() => !below.isOpen()) // issued by an authority, whose list may name it
  t.match(await pinned.get('/binding'), { body: { certificate: { subject: 'CN=alice' } } })
  isPinned = false
  t.match(await pinned.get('/binding'), { body: { certificate: { reason: 'certificate_untrusted' } } })
})

t.test('does not accept a certificate after a reload that was rejected at its handshake', async t => {
  const { server, pki, reload } = await start(t)
  const serverOnly = issueCertificate({ subject: [['CN', 'alice']], issuer: pki.ca, extendedKeyUsage: ['serverAuth'] })
  const strangers = makeDemoPki()
  const open = () => Promise.all([server.connect(strangers.alice), server.connect(serverOnly), server.connect(null)])
  const reasons = ['certificate_untrusted', 'certificate_untrusted', 'no_certificate'] as const
  const [before, after] = [await open(), await open()]
  const areRefused = async (connections: readonly TestConnection[]) => {
    for (const [index, reason] of reasons.entries())
      t.match(await connections[index]?.requestToken(), refusal(reason, 'invalid_client'))
  }
  await areRefused(before)
  reload({ ca: pki.ca.certificate + strangers.ca.certificate })
  await areRefused(after)
  t.match(await (await server.connect(strangers.alice)).requestToken(), { status: 200 }, 'a new handshake decides')
})

t.test('ends a connection whose handshake began before a change of trust', async t => {
  const { server, pki, reload } = await start(t, answered)
  const begin = async () => {
    const accepted = once(server.app.server, 'connection')
    const socket = connectTcp(server.port, '127.0.0.1')
    await Promise.all([accepted, once(socket, 'connect')])
    return socket
  }
  const [revoked, other, late] = [await begin(), await begin(), await begin()]
  const list = (...revoked: Identity[]) => issueCrl({ issuer: pki.ca, revoked: revoked.map(({ x509 }) => x509) })
  reload({ crl: list(pki.alice) })
  const alice = await server.connect('alice', { socket: revoked })
  t.match(await alice.requestToken(), refusal('certificate_revoked', 'invalid_client'))
  const bob = await server.connect('bob', { socket: other })
  t.match(await bob.requestToken(), { status: 200 })
  await until(() => !bob.isOpen())
  const stranger = await server.connect('stranger', { socket: late })
  t.match(await stranger.get('/binding'), { body: { certificate: { reason: 'certificate_untrusted' } } })
  await until(() => !stranger.isOpen())
  const control = await server.connect('bob')
  t.match(await control.requestToken(), { status: 200 })
  t.match(await control.requestToken(), { status: 200 }, 'a connection that began afterwards stays open')
})

for (const [what, materialUntil] of [
  ['an authority', (end: Date) => ({ ca: authority('ends soon', end).certificate })],
  [
    'a revocation list',
    (nextUpdate: Date) => {
      const other = authority('another')
      return { ca: other.certificate, crl: issueCrl({ issuer: other, revoked: [], nextUpdate }) }
    },
  ],
] as const)
  t.test(`ends live connections when ${what} ends, so that new handshakes decide`, async t => {
    const told: object[] = []
    const { server, pki, reload } = await start(t, silent, { tls: { onEnd: retired => void told.push(retired) } })
    const end = new Date(Math.ceil(Date.now() / 1000) * 1000 + 2000)
    const { ca, crl } = { crl: '', ...materialUntil(end) }
    reload({ ca: pki.ca.certificate + ca, ...(crl && { crl: crl + issueCrl({ issuer: pki.ca, revoked: [] }) }) })
    const alice = await server.connect('alice')
    await until(() => told.length > 0)
    t.ok(Date.now() >= end.getTime())
    t.match(told, [{ revoked: 0 }])
    await until(() => !alice.isOpen())
    t.match(await (await server.connect('alice')).requestToken(), { status: 200 }, 'a client of another authority')
    t.equal(told.length, 1)
  })

t.test('evaluates a certificate whose DER only OpenSSL parses, before and after a reload', async t => {
  const { server, pki, reload } = await start(t, answered)
  const odd = withLongLength(issueAlice(pki.ca), pki.ca)
  const mismatch = { status: 401, body: { reason: 'client_mismatch' } }
  const connection = await server.connect(odd)
  t.match(await connection.requestToken(), mismatch, 'its name is not one that a client can be registered with')
  reload({ crl: issueCrl({ issuer: pki.ca, revoked: [] }) })
  t.match(await connection.requestToken(), mismatch)
  await until(() => !connection.isOpen())
  reload({ crl: issueCrl({ issuer: pki.ca, revoked: [odd.x509] }) })
  const late = await server.connect(odd)
  t.match(await late.requestToken(), refusal('certificate_revoked', 'invalid_client'))
  t.match(server.events.at(-1), { detail: 'listed', facts: { subject: 'CN=alice', thumbprint: String } })
  const foreign = authority('foreign')
  t.match(
    await (await server.connect(withLongLength(issueAlice(foreign), foreign))).requestToken(),
    refusal('certificate_untrusted', 'invalid_client'),
  )
  t.match(server.events.at(-1), { detail: 'malformed', facts: { code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE' } })
  t.notMatch(server.log.join(), /unexpected exception|fault/)
})

t.test('ends a connection whose evaluation throws, with an error in the log', async t => {
  let isBroken = false
  const isPinned = () => {
    if (isBroken) throw new Error('canary of a registration')
    return false
  }
  const { server } = await start(t, silent, { tls: { isPinned } })
  const errors = () => server.log.filter(line => /"level":50.*canary of a registration/.test(line)).length
  const before = await server.connect('stranger')
  t.match(await before.get('/binding'), { status: 200 }, 'control')
  isBroken = true
  const broken = await server.connect('stranger')
  await t.rejects(broken.get('/binding'))
  t.equal(errors(), 1)
  t.match(await (await server.connect('alice')).requestToken(), { status: 200 }, 'others are served')
  isBroken = false
  t.match(await before.get('/binding'), { body: { certificate: { reason: 'certificate_untrusted' } } })
  t.match(await (await server.connect('stranger')).get('/binding'), { status: 200 })
})

/** The same certificate, signed again, with one octet more for the length of its subject than DER allows. */
function withLongLength(identity: Identity, issuer: Identity): Identity {
  const { raw } = identity.x509
  const signed = readElements(readSequence(raw)[0]?.content as Buffer)
  const parts = signed.map(({ tag, content }, index) => wrap(tag, content, index === 5))
  const content = wrap(0x30, Buffer.concat(parts))
  const algorithm = wrap(0x30, readSequence(raw)[1]?.content as Buffer)
  const signature = wrap(0x03, Buffer.concat([Buffer.alloc(1), sign('sha256', content, issuer.privateKey)]))
  const der = wrap(0x30, Buffer.concat([content, algorithm, signature]))
  const x509 = new X509Certificate(der)
  if (!x509.raw.equals(der)) throw new Error('OpenSSL has written it in another way')
  return { ...identity, x509, certificate: renderPem('CERTIFICATE', der) }
}

function wrap(tag: number, content: Buffer, isLong = false): Buffer {
  const { length } = content
  const size =
    length < 0x80
      ? isLong
        ? [0x81, length]
        : [length]
      : length < 0x100
        ? [0x81, length]
        : [0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.from([tag, ...size]), content])
}
