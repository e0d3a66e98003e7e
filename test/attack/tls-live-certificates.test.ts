// A certificate stops being good while its connections are open: it expires, is revoked, or its authority goes.
// TS08, TS09, TS12, N-08. OpenSSL has looked at it once, at the handshake; whoever is still good is not disturbed.
import t, { type Test } from 'tap'
import {
  type Identity,
  issueCertificate,
  issueCrl,
  startTestServer,
  type TestConnection,
  type TestServer,
} from '../../src/testing/server.ts'
import { refusal } from '../helpers/refusals.ts'

type Material = Parameters<TestServer['tls']['reload']>[0]
type Who = Parameters<TestServer['connect']>[0]
type Options = Parameters<TestServer['connect']>[1]

async function start(t: Test, env: Record<string, string> = {}) {
  const server = await startTestServer({ env })
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

/** Three open connections of a client: with a token of its own, with one that moves, and one that will ask for one. */
async function openThree(t: Test, server: TestServer, who: Who, options?: Options) {
  const open = () => server.connect(who, options)
  const [first, second, third] = [await open(), await open(), await open()]
  const clientId = who === 'bob' ? { client_id: 'bob' } : {}
  const own = await first.token(clientId)
  const moving = await first.token({ token_binding: 'certificate', ...clientId })
  const uses = (): Promise<{ status: number }>[] => [first.get('/api/whoami', own), second.get('/api/whoami', moving)]
  return {
    moving,
    async areGood(message = 'still good') {
      for (const answer of await Promise.all(uses())) t.match(answer, { status: 200 }, message)
    },
    /** Each gets its refusal, once: after it a connection may end. */
    async areRefused(reason: 'certificate_expired' | 'certificate_revoked' | 'certificate_untrusted') {
      for (const answer of await Promise.all(uses())) t.match(answer, refusal(reason))
      t.match(await third.requestToken(clientId), refusal(reason, 'invalid_client'))
    },
  }
}

for (const protocol of ['http/1.1', 'h2']) {
  const options = { ALPNProtocols: [protocol] }

  t.test(`${protocol}: a certificate that expires is refused from the next second on (TS08, TS09)`, async t => {
    const { server, pki } = await start(t, { TLSBOUND_ACCESS_TOKEN_LIFETIME: '3600' })
    const end = server.clock + 600
    const short = issueAlice(pki.ca, { notAfter: new Date(end * 1000) })
    const [alice, bob] = [await openThree(t, server, short, options), await openThree(t, server, 'bob', options)]
    server.clock = end
    await alice.areGood('the last second')
    server.clock = end + 1
    await alice.areRefused('certificate_expired')
    const late = await server.connect(short, options)
    t.match(await late.get('/api/whoami', alice.moving), refusal('certificate_expired'), 'on a new connection too')
    await bob.areGood('others go on')
  })

  t.test(`${protocol}: a revocation list that is loaded counts for open connections (TS12)`, async t => {
    const { server, pki, reload } = await start(t)
    const [alice, bob] = [await openThree(t, server, 'alice', options), await openThree(t, server, 'bob', options)]
    await alice.areGood()
    await bob.areGood()
    reload({ crl: issueCrl({ issuer: pki.ca, revoked: [pki.alice.x509] }) })
    await alice.areRefused('certificate_revoked')
    const late = await server.connect('alice', options)
    t.match(await late.get('/api/whoami', alice.moving), refusal('certificate_revoked'))
    await bob.areGood('another client goes on')
    reload({ crl: issueCrl({ issuer: pki.ca, revoked: [pki.alice.x509, pki.bob.x509] }) })
    await bob.areRefused('certificate_revoked')
  })

  t.test(`${protocol}: an authority that is gone takes its certificates with it`, async t => {
    const { server, pki, reload } = await start(t)
    const newCa = issueCertificate({ subject: [['CN', 'the new CA']], ca: true })
    const both = { ca: pki.ca.certificate + newCa.certificate }
    const [old, silent] = [await openThree(t, server, 'alice', options), await openThree(t, server, 'alice', options)]
    reload(both)
    await old.areGood('one more authority does no harm')
    const renewed = await openThree(t, server, issueAlice(newCa), options)
    reload({ ca: newCa.certificate })
    await old.areRefused('certificate_untrusted')
    const late = await server.connect('alice', options)
    t.match(await late.get('/api/whoami', old.moving), refusal('certificate_untrusted'))
    await renewed.areGood('whoever has moved goes on')
    reload(both)
    await silent.areGood('what is trusted again is good again')
  })

  t.test(`${protocol}: the refusal of what was good before ends its connection (N-08)`, async t => {
    const { server, pki, reload } = await start(t)
    const [alice, bob] = [await server.connect('alice', options), await openThree(t, server, 'bob', options)]
    const token = await alice.token()
    t.match(await alice.get('/api/whoami', token), { status: 200 })
    reload({ crl: issueCrl({ issuer: pki.ca, revoked: [pki.alice.x509] }) })
    const refused = await alice.get('/api/whoami', token)
    t.match(refused, refusal('certificate_revoked'))
    if (protocol === 'http/1.1') t.match(refused.headers, { connection: 'close' })
    await t.rejects(alice.get('/api/whoami', token), 'nothing more is answered on it')
    await bob.areGood()
    await bob.areGood('another client’s connections stay open')
  })
}

t.test('an authority of the same name with another key is another authority', async t => {
  const { server, pki, reload } = await start(t)
  const alice = await openThree(t, server, 'alice')
  await alice.areGood()
  reload({ ca: issueCertificate({ subject: pki.ca.subject, ca: true }).certificate })
  await alice.areRefused('certificate_untrusted')
})

t.test('a list of another authority with the same serial number revokes nobody here', async t => {
  const { server, pki, reload } = await start(t)
  const other = issueCertificate({ subject: [['CN', 'another CA']], ca: true })
  const [alice, bob] = [await openThree(t, server, 'alice'), await openThree(t, server, 'bob')]
  const by = (issuer: Identity, { x509 }: Identity) => issueCrl({ issuer, revoked: [x509] })
  reload({ ca: pki.ca.certificate + other.certificate, crl: by(pki.ca, pki.bob) + by(other, pki.alice) })
  await alice.areGood()
  t.match(await (await server.connect('alice')).requestToken(), { status: 200 })
  await bob.areRefused('certificate_revoked')
})

t.test('intermediate authorities of the file are followed, and can be revoked under open connections', async t => {
  const root = issueCertificate({ subject: [['CN', 'root']], ca: true })
  const between = issueCertificate({ subject: [['CN', 'between']], issuer: root, ca: { pathLength: 0 } })
  const leaf = issueAlice(between)
  const { server, reload } = await start(t)
  const revoking = (...revoked: Identity[]): Partial<Material> => {
    const by = (issuer: Identity, names: Identity[]) =>
      issueCrl({ issuer, revoked: names.filter(name => revoked.includes(name)).map(({ x509 }) => x509) })
    return { ca: root.certificate + between.certificate, crl: by(root, [between]) + by(between, [leaf]) }
  }
  for (const [what, change, reason] of [
    ['the certificate is revoked', revoking(leaf), 'certificate_revoked'],
    ['the intermediate authority is revoked', revoking(between), 'certificate_revoked'],
    ['the root is gone', { ca: between.certificate }, 'certificate_untrusted'],
  ] as const)
    await t.test(what, async t => {
      reload(revoking())
      const deep = await openThree(t, server, leaf)
      reload(revoking())
      await deep.areGood()
      reload(change)
      await deep.areRefused(reason)
      const late = await server.connect(leaf)
      t.match(await late.get('/api/whoami', deep.moving), refusal(reason), 'on a new connection too')
    })
})

t.test(
  'an intermediate authority that only the client sends is followed, or the client has to connect again',
  async t => {
    const { server, pki, reload } = await start(t)
    const between = issueCertificate({ subject: [['CN', 'between']], issuer: pki.ca, ca: { pathLength: 0 } })
    const leaf = issueAlice(between)
    const chained: Identity = { ...leaf, certificate: leaf.certificate + between.certificate }
    const [early, other] = [await server.connect(chained), await openThree(t, server, chained)]
    const token = await early.token()
    await other.areGood()

    reload({ crl: issueCrl({ issuer: pki.ca, revoked: [] }) + issueCrl({ issuer: between, revoked: [] }) })
    // Node forgets the chain before anybody can see it (nodejs/node issue 65579); what cannot be judged is refused.
    const answer = await early.get('/api/whoami', token)
    if (answer.status !== 200) t.match(answer, refusal('certificate_untrusted'))
    t.match(await (await server.connect(chained)).get('/api/whoami', other.moving), { status: 200 })

    reload({ crl: issueCrl({ issuer: pki.ca, revoked: [] }) + issueCrl({ issuer: between, revoked: [leaf.x509] }) })
    await other.areRefused('certificate_revoked')
  },
)

t.test('a certificate that was bad at its handshake does not become good by a reload', async t => {
  const { server, pki, reload } = await start(t)
  const serverOnly = issueCertificate({ subject: [['CN', 'alice']], issuer: pki.ca, extendedKeyUsage: ['serverAuth'] })
  const open = await Promise.all([server.connect('stranger'), server.connect(serverOnly), server.connect(null)])
  const reasons = ['certificate_untrusted', 'certificate_untrusted', 'no_certificate'] as const
  for (let round = 0; round < 2; round++) {
    for (const [index, reason] of reasons.entries())
      t.match(await (open[index] as TestConnection).requestToken(), refusal(reason, 'invalid_client'))
    reload({})
  }
})
