// Certificates that must be rejected, each in a real handshake: PK12, PK13, PK15 … PK19, PK25, PK29. Next to each is a valid
// one that differs only in the fault.
import { generateKeyPairSync } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { CertificateOrder } from '../../../src/pki/certificate.ts'
import { type Identity, issueCertificate, startTestServer } from '../../../src/testing/server.ts'
import { refusePresenter } from '../../helpers/server/refusals.ts'

const server = await startTestServer({ env: { TLSBOUND_TLS_MIN_VERSION: 'TLSv1.2' } })
t.teardown(() => server.close())
const { ca } = server.pki
const versions = ['TLSv1.3', 'TLSv1.2'] as const
/** The project's own client must not refuse first. */
const weakClient = { ciphers: 'DEFAULT@SECLEVEL=0', clientId: 'alice' }
const HOUR = 3_600_000

const alice = (order: Partial<CertificateOrder> = {}) =>
  issueCertificate({ subject: [['CN', 'alice']], issuer: ca, extendedKeyUsage: ['clientAuth'], ...order })
const authority = (order: Partial<CertificateOrder> = {}) =>
  issueCertificate({ subject: [['CN', 'sub']], issuer: ca, ca: true, ...order })
/** A client that also sends the certificates between its own and the root. */
const withChain = (leaf: Identity, ...between: Identity[]): Identity => ({
  ...leaf,
  certificate: [leaf, ...between].map(({ certificate }) => certificate).join(''),
})
const below = (between: Identity, order: Partial<CertificateOrder> = {}) =>
  withChain(alice({ issuer: between, ...order }), between)

t.test('accepts valid certificates of every kind, on TLS 1.2 and 1.3', async t => {
  const confined = authority({ permittedDns: ['a.test'] })
  const good: Record<string, Identity> = {
    'P-256': alice(),
    'P-384': alice({ keyType: 'ec384' }),
    Ed25519: alice({ keyType: 'ed25519' }),
    'RSA with 2048 bits': alice({ keyType: 'rsa' }),
    'clientAuth beside serverAuth': alice({ extendedKeyUsage: ['serverAuth', 'clientAuth'] }),
    'of a sub-CA': below(authority()),
    'of a sub-CA that may have none below it': below(authority({ ca: { pathLength: 0 } })),
    'of a sub-CA within its names': below(confined, { altNames: [{ dns: 'x.a.test' }] }),
    'PK19: valid until the year 9999': alice({ notAfter: new Date('9999-12-31T23:59:59Z') }),
  }
  for (const maxVersion of versions)
    for (const [name, identity] of Object.entries(good)) {
      const connection = await server.connect(identity, { ...weakClient, maxVersion })
      const token = await connection.token()
      t.match(await connection.get('/api/whoami', token), { status: 200, body: { client_id: 'alice' } }, name)
      connection.close()
    }
})

t.test('rejects certificates with a fault, with the reason, on TLS 1.2 and 1.3 (N-31)', async t => {
  const pathLength0 = authority({ ca: { pathLength: 0 } })
  // A name of its own: RFC 5280 §4.2.1.9 does not count a CA that has its issuer's name.
  const subSub = authority({ subject: [['CN', 'sub sub']], issuer: pathLength0 })
  const confined = authority({ permittedDns: ['a.test'] })
  const leaf = alice()
  const namesake = issueCertificate({ subject: ca.subject, ca: true })
  const past = { notBefore: new Date(Date.now() - 2 * HOUR), notAfter: new Date(Date.now() - 1000) }
  const stolen = await (await server.connect('alice')).token({ token_binding: 'certificate' })
  const untrusted: Record<string, Identity> = {
    'PK12: for servers': alice({ extendedKeyUsage: ['serverAuth'] }),
    'PK12: the certificate of the server itself': server.pki.server,
    'PK13: for no purpose by name': alice({ extendedKeyUsage: [] }),
    'PK15: below a CA that may have none below it': withChain(alice({ issuer: subSub }), subSub, pathLength0),
    'PK15: a name outside those of its CA': below(confined, { altNames: [{ dns: 'b.test' }] }),
    'PK15: one name of two outside': below(confined, { altNames: [{ dns: 'x.a.test' }, { dns: 'b.test' }] }),
    'PK15: its CA left out': alice({ issuer: authority() }),
    'PK16: of a client that acts as a CA': below(leaf),
    'PK16: of a client below a client': withChain(alice({ issuer: below(leaf) }), below(leaf), leaf),
    'PK16: a CA as a client': authority({ subject: [['CN', 'alice']], extendedKeyUsage: ['clientAuth'] }),
    'PK16: the root itself': ca,
    "PK17: self-signed with the CA's name": issueCertificate({ subject: ca.subject, extendedKeyUsage: ['clientAuth'] }),
    'PK17: of a CA with the name of the trusted CA': below(namesake),
    "PK17: self-signed with alice's name": issueCertificate({
      subject: [['CN', 'alice']],
      extendedKeyUsage: ['clientAuth'],
    }),
    'PK17: of an untrusted CA': server.pki.stranger,
    'PK18: RSA with 1024 bits': alice({ keyType: 'rsa1024' }),
    'PK18: signed with SHA-1': alice({ digest: 'sha1' }),
    'PK18: of a CA with 1024 bits': below(authority({ keyType: 'rsa1024' })),
    'PK18: of a CA whose certificate is signed with SHA-1': below(authority({ digest: 'sha1' })),
    'PK19: of a CA that has expired': below(authority(past)),
    'two faults: for servers, and weak': alice({ extendedKeyUsage: ['serverAuth'], keyType: 'rsa1024' }),
  }
  const expired: Record<string, Identity> = {
    'PK19: valid from the next hour on': alice({ notBefore: new Date(Date.now() + HOUR) }),
    'PK19: valid until a second ago': alice(past),
  }
  for (const maxVersion of versions) {
    const options = { ...weakClient, maxVersion, stolen }
    for (const [name, identity] of Object.entries(untrusted))
      await refusePresenter(t, server, identity, 'certificate_untrusted', name, options)
    for (const [name, identity] of Object.entries(expired))
      await refusePresenter(t, server, identity, 'certificate_expired', name, options)
    await refusePresenter(t, server, null, 'no_certificate', 'none', options)
  }
  for (const twice of [alice({ ...past, extendedKeyUsage: ['serverAuth'] }), alice({ ...past, digest: 'sha1' })]) {
    const { status } = await (await server.connect(twice, weakClient)).requestToken()
    t.equal(status, 401, 'the first of two faults suffices')
  }
})

t.test('rejects keys on P-192 and secp256k1 in the handshake (PK18)', async t => {
  for (const namedCurve of ['prime192v1', 'secp256k1']) {
    const weak = alice({ keyPair: generateKeyPairSync('ec', { namedCurve }) })
    await refusePresenter(t, server, weak, 'no_certificate', `${namedCurve} on TLS 1.3`, weakClient)
    await t.rejects(server.connect(weak, { ...weakClient, maxVersion: 'TLSv1.2' }), `${namedCurve} on TLS 1.2`)
  }
})

t.test('serves public resources without a certificate, and with a rejected one', async t => {
  for (const who of [null, 'stranger'] as const) {
    const { status, body } = await (await server.connect(who)).get('/oauth/jwks')
    t.match({ status, body }, { status: 200, body: { keys: [{ use: 'sig' }] } })
  }
})

t.test(
  "never parses a peer's certificate with node-forge: only src/pki imports it, and the server does not import src/pki (PK25, N-31)",
  async t => {
    const sources = readdirSync('src', { recursive: true, withFileTypes: true })
      .filter(entry => entry.name.endsWith('.ts'))
      .map(entry => join(entry.parentPath, entry.name))
    const importing = (module: RegExp) => sources.filter(path => module.test(readFileSync(path, 'utf8')))
    const forge = importing(/^(import|export) .*from '(node-forge|.*\/node-forge)/m)
    t.ok(forge.length > 0)
    t.same(
      forge.filter(path => !path.startsWith(join('src', 'pki'))),
      [],
    )
    const pki = importing(/ from '[./]*\/pki\//)
    t.ok(pki.length > 0)
    t.same(
      pki.filter(path => /src.(core|http|store|client)./.test(path)),
      [],
    )
  },
)
