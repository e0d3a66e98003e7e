// Why a client certificate was rejected: each cause in a real handshake, with its detail and the facts that were compared.
// The client receives only the reason.
import { generateKeyPairSync, X509Certificate } from 'node:crypto'
import type { ConnectionOptions } from 'node:tls'
import t from 'tap'
import type { DetailOf, RefusalFacts } from '../../../src/core/details.ts'
import type { CertificateOrder } from '../../../src/pki/certificate.ts'
import type { CrlOrder } from '../../../src/pki/crl.ts'
import { sequence } from '../../../src/pki/der.ts'
import * as extensions from '../../../src/pki/extensions.ts'
import { keyIdentifier } from '../../../src/pki/signing.ts'
import { type Identity, issueCertificate, issueCrl, startTestServer } from '../../../src/testing/server.ts'
import type { CertificateRejection } from '../../../src/tls/certificate-rejection.ts'
import { loadTrust } from '../../../src/tls/trust.ts'
import { evaluationOf } from '../../helpers/tls/handshakes.ts'
import { listsOf, renderPem } from '../../helpers/tls/pem.ts'
import { tryHandshake } from '../../helpers/tls/raw-tls.ts'

const DAY = 86_400_000
const past = { notBefore: new Date(Date.now() - 3 * DAY), notAfter: new Date(Date.now() - DAY) }
const future = { notBefore: new Date(Date.now() + DAY), notAfter: new Date(Date.now() + 3 * DAY) }
const authority = (name: string, issuer?: Identity, order: Partial<CertificateOrder> = {}) =>
  issueCertificate({ subject: [['CN', name]], ca: true, ...(issuer && { issuer }), ...order })
const clientOf = (issuer: Identity, order: Partial<CertificateOrder> = {}) =>
  issueCertificate({ subject: [['CN', 'alice']], issuer, extendedKeyUsage: ['clientAuth'], ...order })
const listOf = (issuer: Identity, order: Partial<CrlOrder> = {}) => issueCrl({ issuer, revoked: [], ...order })

const root = authority('root')
const sub = authority('sub', root)
const subSub = authority('sub sub', sub)
const foreign = authority('foreign')
const foreignSub = authority('foreign sub', foreign)
const namesake = authority('root')
const alice = clientOf(root)
const below = (name: string, order: Partial<CertificateOrder>) => {
  const between = authority(name, root, order)
  return { who: clientOf(between), chain: [between] }
}
const unknown = { extensions: [extensions.extension('1.2.3.4', sequence([]), { critical: true })] }
/** The key identifier of an authority, hexadecimal. */
const keyOf = ({ publicKey }: Identity) => keyIdentifier(publicKey).toString('hex')
/** Replaces the authority's signature with another one. */
const altered = (identity: Identity): Identity => {
  const der = Buffer.from(identity.x509.raw)
  der[der.length - 1] = (der.at(-1) as number) ^ 1
  return { ...identity, certificate: renderPem('CERTIFICATE', der) }
}

interface Row {
  readonly detail: DetailOf<'certificate_untrusted' | 'certificate_expired' | 'certificate_revoked' | 'no_certificate'>
  readonly facts?: { readonly [name in keyof RefusalFacts]?: string | number | RegExp | undefined }
  readonly who?: Identity
  readonly chain?: readonly Identity[]
  readonly authorities?: readonly Identity[]
  readonly lists?: readonly string[]
}

const confined = authority('confined', root, { permittedDns: ['a.test'] })
const short = authority('short', root, { ca: { pathLength: 0 } })
const tooLong = authority('too long', short)
const noLists = authority('no lists', undefined, { keyUsage: ['keyCertSign'] })
const selfSigned = issueCertificate({ subject: [['CN', 'alice']], extendedKeyUsage: ['clientAuth'] })
const revokedAt = new Date('2026-11-20T10:00:00Z')
const endedList = { thisUpdate: past.notBefore, nextUpdate: past.notAfter, number: 7 }

const untrusted: Record<string, Row> = {
  'of an unknown authority, which the client does not send': {
    detail: 'issuer_unknown',
    who: clientOf(foreign),
    facts: { issuer: 'CN=foreign', authority: 'CN=foreign', sent: undefined },
  },
  'of an unknown authority, sent to its root': {
    detail: 'authority_unknown',
    who: clientOf(foreign),
    chain: [foreign],
    facts: { authority: 'CN=foreign', sent: 'CN=foreign' },
  },
  'the same with an intermediate one between': {
    detail: 'authority_unknown',
    who: clientOf(foreignSub),
    chain: [foreignSub, foreign],
    facts: { issuer: 'CN=foreign sub', sent: 'CN=foreign sub' },
  },
  'the same without its root': {
    detail: 'issuer_unknown',
    who: clientOf(foreignSub),
    chain: [foreignSub],
    facts: { authority: 'CN=foreign', sent: 'CN=foreign sub' },
  },
  'the intermediate authority is not sent': {
    detail: 'issuer_unknown',
    who: clientOf(sub),
    facts: { issuer: 'CN=sub' },
  },
  'one of two intermediate authorities is not sent': {
    detail: 'issuer_unknown',
    who: clientOf(subSub),
    chain: [subSub],
    facts: { authority: 'CN=sub', sent: 'CN=sub sub' },
  },
  'the intermediate authority is trusted, and its root is missing': {
    detail: 'chain_incomplete',
    who: clientOf(sub),
    authorities: [sub],
    facts: { authority: 'CN=sub' },
  },
  'of another authority of the same name': {
    detail: 'same_name',
    who: clientOf(namesake),
    facts: { authority: 'CN=root', found: keyOf(namesake), expected: keyOf(root) },
  },
  'the same, sent to its root': { detail: 'same_name', who: clientOf(namesake), chain: [namesake] },
  'of the second of two authorities of one name, without a key identifier': {
    detail: 'same_name',
    who: clientOf(namesake, { authorityKeyIdentifier: null }),
    authorities: [root, namesake],
    facts: { found: 'absent', expected: `${keyOf(root)} ${keyOf(namesake)}` },
  },
  'a wrong signature': { detail: 'signature', who: altered(alice), facts: { authority: 'CN=root' } },
  'a wrong signature, of an authority that the client sends': {
    detail: 'signature',
    who: altered(clientOf(sub)),
    chain: [sub],
    facts: { authority: 'CN=sub', expected: undefined },
  },
  'self-signed': { detail: 'self_signed', who: selfSigned, facts: { subject: 'CN=alice', issuer: 'CN=alice' } },
  "self-signed with the authority's name": {
    detail: 'self_signed',
    who: issueCertificate({ subject: root.subject, extendedKeyUsage: ['clientAuth'] }),
  },
  'without extended key usage': { detail: 'usage_missing', who: clientOf(root, { extendedKeyUsage: [] }) },
  'for servers': { detail: 'usage_not_client', who: clientOf(root, { extendedKeyUsage: ['serverAuth'] }) },
  'for any usage': { detail: 'usage_not_client', who: clientOf(root, { extendedKeyUsage: ['anyExtendedKeyUsage'] }) },
  'a key for encipherment': { detail: 'key_usage', who: clientOf(root, { keyUsage: ['keyEncipherment'] }) },
  'a CA as a client': { detail: 'key_usage', who: authority('sub ca', root, { extendedKeyUsage: ['clientAuth'] }) },
  'a weak key': {
    detail: 'key_too_weak',
    who: clientOf(root, { keyType: 'rsa1024' }),
    facts: { code: /EE certificate key/, found: 'rsa 1024' },
  },
  'a weak signature': {
    detail: 'signature_too_weak',
    who: clientOf(root, { digest: 'sha1' }),
    facts: { alg: /sha1/i },
  },
  'a critical extension': { detail: 'critical_extension', who: clientOf(root, unknown) },
  'a critical extension of the authority': { detail: 'critical_extension', ...below('critical', unknown) },
  'an authority that has ended': {
    detail: 'authority_ended',
    ...below('ended', past),
    facts: {
      authority: 'CN=ended',
      issuer: 'CN=ended',
      code: 'CERT_HAS_EXPIRED',
      found: Math.floor(past.notAfter.getTime() / 1000),
    },
  },
  'a root that has ended': rootWith('ended root', past, 'authority_ended'),
  'an authority that is not yet valid': {
    detail: 'authority_not_yet_valid',
    ...below('early', future),
    facts: { authority: 'CN=early', found: Math.floor(future.notBefore.getTime() / 1000) },
  },
  'an authority for servers': {
    detail: 'authority_usage',
    ...below('server only', { extendedKeyUsage: ['serverAuth'] }),
    facts: { authority: 'CN=server only' },
  },
  'a root for servers': rootWith('server root', { extendedKeyUsage: ['serverAuth'] }, 'authority_usage'),
  'an authority without keyCertSign': {
    detail: 'authority_key_usage',
    ...below('no issuing', { keyUsage: ['cRLSign'] }),
    facts: { authority: 'CN=no issuing' },
  },
  'of a client': { detail: 'authority_key_usage', who: clientOf(alice), chain: [alice] },
  'a chain that is too long': { detail: 'authority_constraints', who: clientOf(tooLong), chain: [tooLong, short] },
  'a name that the authority must not certify': {
    detail: 'authority_constraints',
    who: clientOf(confined, { altNames: [{ dns: 'b.test' }] }),
    chain: [confined],
  },
  'an authority with a weak key': { detail: 'authority_too_weak', ...below('weak', { keyType: 'rsa1024' }) },
  'an authority with a weak signature': { detail: 'authority_too_weak', ...below('sha1', { digest: 'sha1' }) },

  'no list of the authority': { detail: 'list_missing', lists: [listOf(foreign)], facts: { authority: 'CN=root' } },
  'no list of the intermediate authority': {
    detail: 'list_missing',
    who: clientOf(sub),
    chain: [sub],
    lists: [listOf(root)],
    facts: { authority: 'CN=sub' },
  },
  'no list of the root': {
    detail: 'list_missing',
    who: clientOf(sub),
    authorities: [root, sub],
    lists: [listOf(sub)],
    facts: { authority: 'CN=root' },
  },
  'a list for another key of that name': { detail: 'list_missing', lists: [listOf(namesake)] },
  'a list that has ended': {
    detail: 'list_ended',
    lists: [listOf(root, endedList)],
    facts: { authority: 'CN=root', list: /^CN=root, number 0x07, ends 20/ },
  },
  'a list of the intermediate authority that has ended': {
    detail: 'list_ended',
    who: clientOf(sub),
    authorities: [root, sub],
    lists: [listOf(root), listOf(sub, endedList)],
    facts: { authority: 'CN=sub' },
  },
  'a list that is not yet valid': {
    detail: 'list_not_yet_valid',
    lists: [listOf(root, { thisUpdate: future.notBefore })],
    facts: { authority: 'CN=root' },
  },
  'a list for clients, of a root': {
    detail: 'list_scope',
    lists: [listOf(root, { scope: { onlyUserCertificates: true } })],
    facts: { authority: 'CN=root', found: 'CN=root', list: /for clients only/ },
  },
  'a list for another distribution point': {
    detail: 'list_scope',
    who: clientOf(sub),
    authorities: [root, sub],
    lists: [listOf(root), listOf(sub, { scope: { uris: ['http://crl.test/1'] } })],
    facts: { authority: 'CN=sub', found: 'CN=alice', list: /for distribution point http:\/\/crl\.test\/1 only/ },
  },
  // If the certificate of its authority were trusted, the list would not be loaded.
  'a list of another signer, of an authority that the client sends': {
    detail: 'list_signature',
    who: clientOf(sub),
    chain: [sub],
    lists: [listOf(root), listOf(authority('sub', root), { authorityKeyIdentifier: null })],
    facts: { authority: 'CN=sub' },
  },
  'a list of an authority that may not sign lists': {
    detail: 'list_signature',
    who: clientOf(noLists),
    authorities: [noLists],
    lists: [listOf(noLists)],
    facts: { authority: 'CN=no lists' },
  },
  // OpenSSL's last error is a missing list, which is not the cause.
  'of an unknown authority, where lists are loaded': {
    detail: 'authority_unknown',
    who: clientOf(foreign),
    chain: [foreign],
    lists: [listOf(root)],
    facts: { code: 'UNABLE_TO_GET_CRL', authority: 'CN=foreign' },
  },
  'self-signed, where lists are loaded': {
    detail: 'self_signed',
    who: selfSigned,
    lists: [listOf(root)],
    facts: { code: 'UNABLE_TO_GET_CRL' },
  },
}

function rootWith(name: string, order: Partial<CertificateOrder>, detail: DetailOf<'certificate_untrusted'>): Row {
  const own = authority(name, undefined, order)
  return { detail, who: clientOf(own), authorities: [own], facts: { authority: `CN=${name}` } }
}

const own = (issuer: Identity, order: Partial<CrlOrder>) => [listOf(issuer, { thisUpdate: revokedAt, ...order })]
const aliceOfSub = clientOf(sub)
const revoked: Record<string, Row> = {
  'named in the list': {
    detail: 'listed',
    lists: own(root, {
      nextUpdate: null,
      revoked: [{ serialNumber: alice.x509.serialNumber, extensions: [extensions.reasonCode(1)] }],
    }),
    facts: { found: `${revokedAt.toISOString()} keyCompromise` },
  },
  'named without a reason': {
    detail: 'listed',
    lists: own(root, { nextUpdate: null, revoked: [alice.x509] }),
    facts: { found: revokedAt.toISOString() },
  },
  'the intermediate authority is named': {
    detail: 'authority_listed',
    who: aliceOfSub,
    chain: [sub],
    lists: [listOf(root, { revoked: [sub.x509] }), listOf(sub)],
    facts: { authority: 'CN=sub' },
  },
}

const expired: Record<string, Row> = {
  'past its end': {
    detail: 'ended',
    who: clientOf(root, past),
    facts: { found: Math.floor(past.notAfter.getTime() / 1000) },
  },
  'before its beginning': { detail: 'not_yet_valid', who: clientOf(root, future) },
  'past its end, of an authority that has ended too': (() => {
    const between = authority('ended', root, past)
    return { detail: 'ended', who: clientOf(between, past), chain: [between] } satisfies Row
  })(),
}

for (const [reason, rows] of Object.entries({
  certificate_untrusted: untrusted,
  certificate_revoked: revoked,
  certificate_expired: expired,
} satisfies Partial<Record<CertificateRejection[0], Record<string, Row>>>))
  t.test(`names the cause in detail and facts: ${reason}`, async t => {
    for (const [name, row] of Object.entries(rows)) {
      const { detail, facts = {}, who = alice, chain = [], authorities = [root], lists = [] } = row
      const trust = loadTrust(
        authorities.map(({ certificate }) => new X509Certificate(certificate)),
        lists.flatMap(listsOf),
      )
      const { rejection } = await evaluationOf({ authorities, lists, who, chain }, trust)
      t.match(rejection?.slice(0, 2), [reason, detail], name)
      const x509 = new X509Certificate(who.certificate)
      t.match(
        rejection?.[2],
        {
          serial: x509.serialNumber.toLowerCase(),
          subject: String,
          issuer: String,
          thumbprint: /^[\w-]{43}$/,
          ...facts,
        },
        `${name}: facts`,
      )
      for (const [fact, value] of Object.entries(facts))
        if (value === undefined) t.notOk(rejection?.[2]?.[fact as keyof RefusalFacts], `${name}: no ${fact}`)
    }
  })

t.test('records the detail and the certificate of a refusal, and sends the client only the reason', async t => {
  const server = await startTestServer()
  t.teardown(() => server.close())
  const { ca } = server.pki
  const cases: [Identity, DetailOf<'certificate_untrusted'>, told: RegExp][] = [
    [
      clientOf(foreign),
      'issuer_unknown',
      /This server does not trust the issuer CN=foreign, .* intermediate certificates/,
    ],
    [selfSigned, 'self_signed', /^The client certificate cannot be verified; connect with one from an authority/],
    [clientOf(ca, { extendedKeyUsage: [] }), 'usage_missing', /no extendedKeyUsage extension\. Issue/],
    [clientOf(ca, { digest: 'sha1' }), 'signature_too_weak', /weak algorithm/],
  ]
  for (const [who, detail, told] of cases) {
    const connection = await server.connect(who, { ciphers: 'DEFAULT@SECLEVEL=0' })
    const answer = await connection.requestToken()
    t.match(answer, { status: 401, body: { reason: 'certificate_untrusted', error_description: told } }, detail)
    const thumbprint = server.events.at(-1)['x5t#S256']
    t.match(server.events.at(-1), {
      event: 'client.refused',
      reason: 'certificate_untrusted',
      detail,
      'x5t#S256': /^[\w-]{43}$/,
      facts: {
        subject: 'CN=alice',
        issuer: who === selfSigned ? 'CN=alice' : String,
        serial: who.x509.serialNumber.toLowerCase(),
        thumbprint,
      },
    })
    connection.close()
  }
  const nobody = await server.connect(null)
  t.match(await nobody.requestToken(), { status: 401, body: { reason: 'no_certificate' } })
  t.match(server.events.at(-1), { reason: 'no_certificate', detail: 'not_sent' })
  t.notOk('x5t#S256' in server.events.at(-1))
})

t.test('closes only the connection of a handshake that fails before the client certificate', async t => {
  const server = await startTestServer()
  t.teardown(() => server.close())
  const { port, pki } = server
  for (const [options, code] of [
    [{ maxVersion: 'TLSv1.2' }, 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION'],
    [
      { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' },
      'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION',
    ],
    [{ ALPNProtocols: ['ftp'] }, 'ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL'],
    [{ ciphers: 'TLS_AES_128_CCM_SHA256' }, 'ERR_SSL_SSL/TLS_ALERT_HANDSHAKE_FAILURE'],
    [{ ca: foreign.certificate }, 'SELF_SIGNED_CERT_IN_CHAIN'],
  ] as const)
    t.equal(
      await tryHandshake({ port, servername: 'localhost', ca: pki.ca.certificate, ...options } as ConnectionOptions),
      code,
    )
  t.match(await (await server.connect('alice')).requestToken(), { status: 200 })
})

t.test('records a dropped connection with the same detail', async t => {
  const server = await startTestServer({ env: { TLSBOUND_TLS_DROP_UNACCEPTABLE: 'on' } })
  t.teardown(() => server.close())
  const dropped = await server.connect(clientOf(foreign))
  await t.rejects(dropped.get('/binding'))
  t.match(server.events, [{ event: 'connection.refused', detail: 'issuer_unknown', facts: { issuer: 'CN=foreign' } }])
})

t.test(
  'rejects a registered self-signed certificate after its registration was removed, with its own detail',
  async t => {
    const key = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const pinned = issueCertificate({ subject: [['CN', 'alice']], keyPair: key, extendedKeyUsage: ['clientAuth'] })
    let isPinned = true
    const server = await startTestServer({ tls: { isPinned: () => isPinned } })
    t.teardown(() => server.close())
    const connection = await server.connect(pinned)
    t.match(await connection.get('/binding'), { body: { certificate: { subject: 'CN=alice' } } }, 'control')
    isPinned = false
    t.match(await connection.requestToken(), { status: 401, body: { reason: 'certificate_untrusted' } })
    t.match(server.events.at(-1), { detail: 'registration_withdrawn', facts: { subject: 'CN=alice' } })
  },
)
