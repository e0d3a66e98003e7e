// Whether clients of an authority can be accepted at all: what is said without any client agrees with the handshake of a client
// that nothing else is wrong with.
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

/** Authorities, lists, and what is said of each authority in turn: undefined, or words of the problem. */
const rows: Record<string, [authorities: Identity[], lists: string[], problems: (RegExp | undefined)[]]> = {
  'a root': [[root], [], [undefined]],
  'a root and an intermediate authority': [[root, sub], [], [undefined, undefined]],
  'one for clients only': [[clientOnly], [], [undefined]],
  'one that has ended': [[ended], [], [/certificate of CN=ended expired on/]],
  'one whose time has not come': [[early], [], [/not valid before/]],
  'an intermediate one that has ended': [[root, endedSub], [], [undefined, /certificate of CN=ended sub expired on/]],
  'one for servers only': [[serverOnly], [], [/extendedKeyUsage without clientAuth/]],
  'an intermediate one for servers only': [[root, serverSub], [], [undefined, /CN=server sub may not issue/]],
  'one that may not issue certificates': [[root, noIssuing], [], [undefined, /keyUsage without keyCertSign/]],
  'an intermediate one whose root is missing': [[sub], [], [/issuer CN=root is missing/]],
  'one with a critical extension that nobody knows': [[strange, root], [], [/critical extension .*99999/, undefined]],
  'one that is none by its basicConstraints': [[notOne, root], [], [/basicConstraints without cA/, undefined]],
  'a root that is one by its keyUsage alone': [[byUsage], [], [undefined]],
  'one below a root that allows none': [[short, belowShort], [], [undefined, /CN=short allows 0 authorities below it/]],
  'one that is signed by another of that name': [[root, forged], [], [undefined, /CN=forged is not signed by/]],
  'one that is signed by two, of which one has ended': [
    [ended, crossed, root, sub],
    [],
    [/ended/, /ended/, undefined, undefined],
  ],

  'a root with its list': [[root], [listOf(root)], [undefined]],
  'a root that may not sign its list': [[noLists], [listOf(noLists)], [/may not sign revocation lists/]],
  'the list of somebody else': [[root], [listOf(other)], [/no revocation list of CN=root/]],
  'a list that has ended': [[root], [listOf(root, endedList)], [/revocation list of CN=root expired on/]],
  'a list of tomorrow': [[root], [listOf(root, { thisUpdate: future.notBefore })], [/is not valid before/]],
  'a list for clients, which the root is not': [
    [root],
    [listOf(root, { scope: { onlyUserCertificates: true } })],
    [/scope .* excludes the certificates of authorities/],
  ],
  'a list for authorities, which clients are not': [
    [root],
    [listOf(root, { scope: { onlyAuthorities: true } })],
    [/scope .* excludes certificates of clients/],
  ],
  'both of these': [
    [root],
    [listOf(root, { scope: { onlyAuthorities: true } }), listOf(root, { scope: { onlyUserCertificates: true } })],
    [undefined],
  ],
  'one of two lists': [[root, other], [listOf(root)], [undefined, /no revocation list of CN=other/]],
  'lists for root and intermediate authority': [
    [root, sub],
    [listOf(root), listOf(sub)],
    [undefined, undefined],
  ],
  'no list of the root': [[root, sub], [listOf(sub)], [/of CN=root/, /no revocation list of CN=root/]],
  'no list of the intermediate authority': [[root, sub], [listOf(root)], [undefined, /of CN=sub/]],
  'an intermediate authority that is revoked': [
    [root, sub],
    [listOf(root, { revoked: [sub.x509] }), listOf(sub)],
    [undefined, /list of CN=root contains CN=sub/],
  ],
  'a root on its own list': [[root], [listOf(root, { revoked: [root.x509] })], [/list of CN=root contains CN=root/]],
  'a list for another key of that name': [[root], [listOf(authority('root'))], [/no revocation list of CN=root/]],
}

t.test('what is said of each authority agrees with the handshake of one of its clients', async t => {
  for (const [name, [authorities, lists, expected]] of Object.entries(rows)) {
    const standings = assessAuthorities(load(authorities, lists), Date.now())
    for (const [index, { problem, warning }] of standings.entries()) {
      const issuer = authorities[index] as Identity
      const who = issueCertificate({ subject: [['CN', 'alice']], issuer, extendedKeyUsage: ['clientAuth'] })
      const verdict = await verdictOf({ authorities, lists, who })
      const pattern = expected[index]
      t.match(problem ?? '', pattern ?? /^$/, `${name}: ${index}`)
      // Of two certificates for one key OpenSSL takes the one that is valid.
      const isDouble = authorities.filter(({ publicKey }) => publicKey.equals(issuer.publicKey)).length > 1
      if (!isDouble) t.equal(verdict === 'accepted', pattern === undefined, `${name}: handshake: ${verdict}`)
      t.equal(warning, undefined)
    }
    t.equal(acceptsAnyone(load(authorities, lists), Date.now()), expected.includes(undefined))
  }
})

t.test(
  'a list for some distribution points is a warning, since it depends on the certificate of the client',
  async t => {
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
  },
)

t.test('a self-signed certificate of a client vouches for itself alone, which is a warning', async t => {
  const alone = issueCertificate({ subject: [['CN', 'alone']], extendedKeyUsage: ['clientAuth'] })
  const issued = issueCertificate({ subject: [['CN', 'alice']], issuer: alone, extendedKeyUsage: ['clientAuth'] })
  const [standing] = assessAuthorities(load([alone]), Date.now())
  t.match(standing, { problem: undefined, warning: /^CN=alone is accepted only as a client: it / })
  t.equal(await verdictOf({ authorities: [alone], who: alone }), 'accepted')
  t.not(await verdictOf({ authorities: [alone], who: issued }), 'accepted')
})

t.test('files with which no client could ever be accepted are refused, whatever the time', async t => {
  t.throws(() => requireAnyAuthority(load([notOne, strange])), {
    name: 'TrustProblem',
    message: /^no client could be accepted: CN=not one .*, and CN=strange /,
  })
  t.throws(() => requireAnyAuthority(load([root], [listOf(other)])), { message: /no revocation list of CN=root/ })
  t.doesNotThrow(() => requireAnyAuthority(load([notOne, root])))
  t.doesNotThrow(() => requireAnyAuthority(load([early])), 'time passes')
  t.doesNotThrow(() => requireAnyAuthority(load([root], [listOf(root, endedList)])), 'a list can be fetched')
})

t.test('authorities that vouch for each other in a circle are no way to a root', async t => {
  const [a, b] = [authority('a'), authority('b')]
  const aByB = authority('a', b, { keyPair: a })
  const bByA = authority('b', a, { keyPair: b })
  const standings = assessAuthorities(load([aByB, bByA]), Date.now())
  t.match(standings, [{ problem: /is missing/ }, { problem: /is missing/ }])
})

t.test('two loads are the same when they have the same certificates and lists', async t => {
  const lists = [listOf(root), listOf(other)] as [string, string]
  const one = load([root, other], lists)
  t.ok(isSameTrust(one, load([root, other], lists)))
  t.ok(isSameTrust(one, load([other, root], lists.toReversed())), 'in another order')
  t.ok(isSameTrust(one, load([root, other], [...lists, lists[0]])), 'a list twice')
  t.notOk(isSameTrust(one, load([root], lists)))
  t.notOk(isSameTrust(one, load([root, sub], lists)))
  t.notOk(isSameTrust(one, load([root, other], [lists[0]])))
  t.notOk(isSameTrust(one, load([root, other], [lists[0], listOf(other, { number: 1 })])))
  const [first, second] = [authority('same'), authority('same')]
  t.notOk(isSameTrust(load([first, second]), load([second, first])), 'of one name, OpenSSL tries the first')
})

t.test('the next end is that of an authority or of a list, of those that are still to come', async t => {
  const [soon, late] = [new Date(Date.now() + DAY), new Date(Date.now() + 2 * DAY)]
  const short = authority('short', undefined, { notAfter: late })
  const trust = load([short, ended], [listOf(short, { nextUpdate: soon }), listOf(ended, { nextUpdate: null })])
  const second = (date: Date) => Math.floor(date.getTime() / 1000) * 1000
  t.equal(nextEndOf(trust, Date.now()), second(soon))
  t.equal(nextEndOf(trust, second(soon)), second(late))
  t.equal(nextEndOf(trust, second(late)), undefined)
})
