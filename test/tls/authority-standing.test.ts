// Whether clients of an authority can be accepted at all: the assessment without a client agrees with the handshake of a
// client whose own certificate is valid.
import { X509Certificate } from 'node:crypto'
import t from 'tap'
import type { CertificateOrder } from '../../src/pki/certificate.ts'
import type { CrlOrder } from '../../src/pki/crl.ts'
import { sequence } from '../../src/pki/der.ts'
import * as extensions from '../../src/pki/extensions.ts'
import { type Identity, issueCertificate, issueCrl } from '../../src/testing/server.ts'
import { acceptsAnyone, assessAuthorities, requireAnyAuthority } from '../../src/tls/authority-standing.ts'
import { isSameTrust, loadTrust, nextEndOf } from '../../src/tls/trust.ts'
import { verdictOf } from '../helpers/tls/handshakes.ts'
import { listsOf } from '../helpers/tls/pem.ts'

const DAY = 86_400_000
const past = { notBefore: new Date(Date.now() - 3 * DAY), notAfter: new Date(Date.now() - DAY) }
const future = { notBefore: new Date(Date.now() + DAY), notAfter: new Date(Date.now() + 3 * DAY) }
const endedList = { thisUpdate: past.notBefore, nextUpdate: past.notAfter }
const authority = (name: string, issuer?: Identity, order: Partial<CertificateOrder> = {}) =>
  issueCertificate({ subject: [['CN', name]], ca: true, ...(issuer && { issuer }), ...order })
const listOf = (issuer: Identity, order: Partial<CrlOrder> = {}) => issueCrl({ issuer, revoked: [], ...order })
const load = (authorities: readonly Identity[], lists: readonly string[] = []) =>
  loadTrust(
    authorities.map(({ certificate }) => new X509Certificate(certificate)),
    lists.flatMap(listsOf),
  )

const root = authority('root')
const sub = authority('sub', root)
const [ended, early] = [authority('ended', undefined, past), authority('early', undefined, future)]
const endedSub = authority('ended sub', root, past)
const serverOnly = authority('server only', undefined, { extendedKeyUsage: ['serverAuth'] })
const clientOnly = authority('client only', undefined, { extendedKeyUsage: ['clientAuth'] })
const serverSub = authority('server sub', root, { extendedKeyUsage: ['serverAuth'] })
const noIssuing = authority('no issuing', root, { keyUsage: ['cRLSign'] })
const noLists = authority('no lists', undefined, { keyUsage: ['keyCertSign'] })
const crossed = authority('sub', ended, { keyPair: sub })
const other = authority('other')
const strange = authority('strange', undefined, {
  extensions: [extensions.extension('1.3.6.1.4.1.99999.1', sequence([]), { critical: true })],
})
const notOne = authority('not one', undefined, {
  ca: false,
  keyUsage: ['keyCertSign', 'cRLSign'],
  extensions: [extensions.extension('2.5.29.19', sequence([]), { critical: true })],
})
const byUsage = authority('by usage', undefined, { ca: false, keyUsage: ['keyCertSign', 'cRLSign'] })
const short = authority('short', undefined, { ca: { pathLength: 0 } })
const belowShort = authority('below short', short)
const forged = authority('forged', authority('root'), { authorityKeyIdentifier: null })

/** Authorities, lists, and the expected problem of each authority in turn; undefined: none. */
const rows: Record<string, [authorities: Identity[], lists: string[], problems: (RegExp | undefined)[]]> = {
  'a root': [[root], [], [undefined]],
  'a root and an intermediate authority': [[root, sub], [], [undefined, undefined]],
  'an authority for clients only': [[clientOnly], [], [undefined]],
  'an expired authority': [[ended], [], [/certificate of CN=ended expired on/]],
  'an authority that is not valid yet': [[early], [], [/not valid before/]],
  'an expired intermediate authority': [[root, endedSub], [], [undefined, /certificate of CN=ended sub expired on/]],
  'an authority for servers only': [[serverOnly], [], [/extendedKeyUsage without clientAuth/]],
  'an intermediate authority for servers only': [[root, serverSub], [], [undefined, /CN=server sub may not issue/]],
  'an authority that may not issue certificates': [[root, noIssuing], [], [undefined, /keyUsage without keyCertSign/]],
  'an intermediate authority whose root is missing': [[sub], [], [/issuer CN=root is missing/]],
  'an authority with an unknown critical extension': [[strange, root], [], [/critical extension .*99999/, undefined]],
  'a certificate that basicConstraints excludes as an authority': [
    [notOne, root],
    [],
    [/basicConstraints without cA/, undefined],
  ],
  'a root that only keyUsage marks as an authority': [[byUsage], [], [undefined]],
  'an authority below a root that allows none': [
    [short, belowShort],
    [],
    [undefined, /CN=short allows 0 authorities below it/],
  ],
  'an authority signed by another one of the same name': [
    [root, forged],
    [],
    [undefined, /CN=forged is not signed by/],
  ],
  'an authority signed by two, of which one has expired': [
    [ended, crossed, root, sub],
    [],
    [/ended/, /ended/, undefined, undefined],
  ],

  'a root with its list': [[root], [listOf(root)], [undefined]],
  'a root that may not sign its list': [[noLists], [listOf(noLists)], [/may not sign revocation lists/]],
  'a list of another authority': [[root], [listOf(other)], [/no revocation list of CN=root/]],
  'an expired list': [[root], [listOf(root, endedList)], [/revocation list of CN=root expired on/]],
  'a list that is not valid yet': [[root], [listOf(root, { thisUpdate: future.notBefore })], [/is not valid before/]],
  'a list for clients, which excludes the root': [
    [root],
    [listOf(root, { scope: { onlyUserCertificates: true } })],
    [/scope .* excludes the certificates of authorities/],
  ],
  'a list for authorities, which excludes clients': [
    [root],
    [listOf(root, { scope: { onlyAuthorities: true } })],
    [/scope .* excludes certificates of clients/],
  ],
  'both lists': [
    [root],
    [listOf(root, { scope: { onlyAuthorities: true } }), listOf(root, { scope: { onlyUserCertificates: true } })],
    [undefined],
  ],
  'a list of one of two authorities': [[root, other], [listOf(root)], [undefined, /no revocation list of CN=other/]],
  'lists for root and intermediate authority': [
    [root, sub],
    [listOf(root), listOf(sub)],
    [undefined, undefined],
  ],
  'no list of the root': [[root, sub], [listOf(sub)], [/of CN=root/, /no revocation list of CN=root/]],
  'no list of the intermediate authority': [[root, sub], [listOf(root)], [undefined, /of CN=sub/]],
  'a revoked intermediate authority': [
    [root, sub],
    [listOf(root, { revoked: [sub.x509] }), listOf(sub)],
    [undefined, /list of CN=root contains CN=sub/],
  ],
  'a root on its own list': [[root], [listOf(root, { revoked: [root.x509] })], [/list of CN=root contains CN=root/]],
  'a list of another key of the same name': [[root], [listOf(authority('root'))], [/no revocation list of CN=root/]],
}

t.test('assesses each authority as the handshake of one of its clients does', async t => {
  for (const [name, [authorities, lists, expected]] of Object.entries(rows)) {
    const standings = assessAuthorities(load(authorities, lists), Date.now())
    for (const [index, { problem, warning }] of standings.entries()) {
      const issuer = authorities[index] as Identity
      const who = issueCertificate({ subject: [['CN', 'alice']], issuer, extendedKeyUsage: ['clientAuth'] })
      const verdict = await verdictOf({ authorities, lists, who })
      const pattern = expected[index]
      t.match(problem ?? '', pattern ?? /^$/, `${name}: ${index}`)
      // Of two certificates for one key, OpenSSL uses the valid one.
      const isDouble = authorities.filter(({ publicKey }) => publicKey.equals(issuer.publicKey)).length > 1
      if (!isDouble) t.equal(verdict === 'accepted', pattern === undefined, `${name}: handshake: ${verdict}`)
      t.equal(warning, undefined)
    }
    t.equal(acceptsAnyone(load(authorities, lists), Date.now()), expected.includes(undefined))
  }
})

t.test('warns of a list for some distribution points, because it depends on the client certificate', async t => {
  const lists = [listOf(root), listOf(sub, { scope: { uris: ['http://crl.test/1'] } })]
  const [, standing] = assessAuthorities(load([root, sub], lists), Date.now())
  t.match(standing, { problem: undefined, warning: /clients of CN=sub are rejected unless .*http:\/\/crl\.test\/1/ })
  for (const [distributionPoints, expected] of [
    [['http://crl.test/1'], 'accepted'],
    [[], 'UNABLE_TO_GET_CRL'],
  ] as const) {
    const order = { issuer: sub, extendedKeyUsage: ['clientAuth'], distributionPoints } as const
    const who = issueCertificate({ subject: [['CN', 'alice']], ...order })
    t.equal(await verdictOf({ authorities: [root, sub], lists, who }), expected)
  }
  const own = [listOf(root, { scope: { uris: ['http://crl.test/1'] } })]
  t.match(assessAuthorities(load([root], own), Date.now()), [{ problem: /excludes the certificates of authorities/ }])
})

t.test('warns of a self-signed client certificate, which can accept only itself', async t => {
  const alone = issueCertificate({ subject: [['CN', 'alone']], extendedKeyUsage: ['clientAuth'] })
  const issued = issueCertificate({ subject: [['CN', 'alice']], issuer: alone, extendedKeyUsage: ['clientAuth'] })
  const [standing] = assessAuthorities(load([alone]), Date.now())
  t.match(standing, { problem: undefined, warning: /^CN=alone is accepted only as a client: it / })
  t.equal(await verdictOf({ authorities: [alone], who: alone }), 'accepted')
  t.not(await verdictOf({ authorities: [alone], who: issued }), 'accepted')
})

t.test('rejects files with which no client could ever be accepted, regardless of the time', async t => {
  t.throws(() => requireAnyAuthority(load([notOne, strange])), {
    name: 'TrustProblem',
    message: /^no client could be accepted: CN=not one .*, and CN=strange /,
  })
  t.throws(() => requireAnyAuthority(load([root], [listOf(other)])), { message: /no revocation list of CN=root/ })
  t.doesNotThrow(() => requireAnyAuthority(load([notOne, root])))
  t.doesNotThrow(() => requireAnyAuthority(load([early])), 'it becomes valid later')
  t.doesNotThrow(() => requireAnyAuthority(load([root], [listOf(root, endedList)])), 'a new list can be fetched')
})

t.test('does not accept authorities that certify each other as a path to a root', async t => {
  const [a, b] = [authority('a'), authority('b')]
  const aByB = authority('a', b, { keyPair: a })
  const bByA = authority('b', a, { keyPair: b })
  const standings = assessAuthorities(load([aByB, bByA]), Date.now())
  t.match(standings, [{ problem: /is missing/ }, { problem: /is missing/ }])
})

t.test('treats two loads as equal if they have the same certificates and lists', async t => {
  const lists = [listOf(root), listOf(other)] as [string, string]
  const one = load([root, other], lists)
  t.ok(isSameTrust(one, load([root, other], lists)))
  t.ok(isSameTrust(one, load([other, root], lists.toReversed())), 'in another order')
  t.ok(isSameTrust(one, load([root, other], [...lists, lists[0]])), 'a duplicate list')
  t.notOk(isSameTrust(one, load([root], lists)))
  t.notOk(isSameTrust(one, load([root, sub], lists)))
  t.notOk(isSameTrust(one, load([root, other], [lists[0]])))
  t.notOk(isSameTrust(one, load([root, other], [lists[0], listOf(other, { number: 1 })])))
  const [first, second] = [authority('same'), authority('same')]
  t.notOk(isSameTrust(load([first, second]), load([second, first])), 'OpenSSL tries the first of two equal names')
})

t.test('finds the next expiry among the authorities and lists that have not expired', async t => {
  const [soon, late] = [new Date(Date.now() + DAY), new Date(Date.now() + 2 * DAY)]
  const short = authority('short', undefined, { notAfter: late })
  const trust = load([short, ended], [listOf(short, { nextUpdate: soon }), listOf(ended, { nextUpdate: null })])
  const second = (date: Date) => Math.floor(date.getTime() / 1000) * 1000
  t.equal(nextEndOf(trust, Date.now()), second(soon))
  t.equal(nextEndOf(trust, second(soon)), second(late))
  t.equal(nextEndOf(trust, second(late)), undefined)
})
