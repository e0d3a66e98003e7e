// Revocation lists of a root and a sub authority, with the clients that they revoke.
import {
  type Authority,
  authorityKeyIdentifier,
  basicConstraints,
  buildAuthority,
  DAY,
  extension,
  from,
  generalName,
  keyUsage,
  nextSerial,
} from './certificate.ts'
import {
  attribute,
  bits,
  commonName,
  context,
  element,
  generalizedTime,
  integer,
  sequence,
  set,
  string,
  utcTime,
} from './der.ts'
import type { LoadVerdict, TrustEntry } from './entry.ts'
import { joinBlocks } from './joins.ts'
import { algorithms, keyOf } from './keys.ts'
import { buildList, type ListOrder, pemOfList, reason, type Scope, scope } from './list.ts'
import { leaf, present, root, sub, trusting } from './world.ts'

type Probe = 'alice' | 'bob' | 'carol' | 'dave'

const serials = { alice: nextSerial(), bob: nextSerial(), carol: nextSerial(), dave: nextSerial() }
const address = 'http://127.0.0.1:9/list.crl'
const chains: Readonly<Record<Probe, readonly Buffer[]>> = {
  alice: [leaf({ serial: serials.alice })],
  bob: [leaf({ serial: serials.bob, subject: commonName('bob') })],
  carol: [leaf({ serial: serials.carol, by: sub, subject: commonName('carol') }), sub.der],
  dave: [
    leaf({
      serial: serials.dave,
      subject: commonName('dave'),
      more: [extension('crlDistributionPoints', sequence(sequence(context(0, context(0, generalName.uri(address))))))],
    }),
  ],
}

/**
 * The clients that test a list: alice, bob and dave of the root, dave with a distribution point; carol of the sub authority.
 */
const clients = Object.entries(chains).map(([name, chain]) => present(name, { chain }, 'accepted'))
const named = (names: readonly Probe[]) => clients.filter(({ name }) => names.includes(name as Probe))

const bob = { serial: serials.bob }
const carol = { serial: serials.carol }
const subSerial = { serial: serialOf(sub.der) }

function serialOf(der: Buffer): Buffer {
  const at = der.indexOf(Buffer.from('a003020102', 'hex')) + 5
  return der.subarray(at, at + 2 + (der[at + 1] as number))
}

const ofRoot = (order: Partial<ListOrder> = {}) => buildList({ by: root, revoked: [bob], ...order })
const ofSub = (order: Partial<ListOrder> = {}) => buildList({ by: sub, ...order })
const inScope = (what: Scope, order: Partial<ListOrder> = {}, critical = true) =>
  ofRoot({ ...order, more: [scope(what, critical), ...(order.more ?? [])] })
const delta = (order: Partial<ListOrder> = {}) =>
  ofRoot({ number: 2, ...order, more: [extension('deltaCrlIndicator', integer(1), true), ...(order.more ?? [])] })

/** Lists of root and sub authority that revoke no certificate. */
export const emptyLists = [ofRoot({ revoked: [] }), ofSub()]

interface Expected {
  /** The clients that are revoked by these lists: once they are in force, none of them is accepted. */
  readonly revoked?: readonly Probe[]
  /** The clients that are accepted once the lists are in force. */
  readonly served?: readonly Probe[]
  readonly load?: LoadVerdict | undefined
  readonly authorities?: readonly Authority[]
}

const everyone: readonly Probe[] = ['alice', 'bob', 'carol', 'dave']
const others: readonly Probe[] = ['alice', 'carol', 'dave']
const good: Expected = { revoked: ['bob'], served: others, load: 'loaded' }
const harmless: Expected = { served: everyone, load: 'loaded' }
/** bob's authority has revoked him: a server that cannot interpret the list must not accept him. */
const unclear: Expected = { revoked: ['bob'] }

type Row = readonly [lists: readonly Buffer[], expected: Expected]

const stranger = buildAuthority('stranger', { key: 'third' })
const namesake = buildAuthority('corpus root', { key: 'other' })
const noSigner = buildAuthority('corpus root', {
  key: 'root',
  without: ['keyUsage'],
  more: [keyUsage(['keyCertSign'])],
})
const noKeyUsage = buildAuthority('corpus root', { key: 'root', without: ['keyUsage'] })
const noIdentifier = buildAuthority('corpus root', { key: 'root', without: ['subjectKeyIdentifier'] })

const rows = (): Readonly<Record<string, Row>> => ({
  'lists: in order': [[ofRoot(), ofSub()], good],
  'lists: empty': [[ofRoot({ revoked: [] }), ofSub()], harmless],
  'lists: an empty list of entries written out': [[ofRoot({ revoked: [], writesEmpty: true }), ofSub()], harmless],
  "lists: the sub's first": [[ofSub(), ofRoot()], good],
  'lists: the sub authority revoked': [
    [ofRoot({ revoked: [subSerial] }), ofSub()],
    { revoked: ['carol'], served: ['alice', 'bob', 'dave'], load: 'loaded' },
  ],
  'lists: a client of the sub authority revoked': [
    [ofRoot({ revoked: [] }), ofSub({ revoked: [carol] })],
    { revoked: ['carol'], served: ['alice', 'bob', 'dave'], load: 'loaded' },
  ],
  'lists: the serial number of bob under the sub authority': [
    [ofRoot({ revoked: [] }), ofSub({ revoked: [bob] })],
    harmless,
  ],
  'lists: none for the sub authority': [[ofRoot()], { revoked: ['bob', 'carol'], served: ['alice', 'dave'] }],
  'lists: none for the root': [[ofSub()], { revoked: everyone }],
  'lists: an authority without clients has none': [
    [ofRoot(), ofSub()],
    { ...good, authorities: [root, sub, stranger] },
  ],
  'list: of an unknown authority beside them': [
    [ofRoot(), ofSub(), buildList({ by: stranger })],
    { revoked: ['bob'], served: others },
  ],
  'list: of an unknown authority alone': [[buildList({ by: stranger })], { revoked: everyone }],

  'list dates: ended': [
    [ofRoot({ thisUpdate: from(-2 * DAY), nextUpdate: from(-DAY) }), ofSub()],
    { revoked: everyone },
  ],
  "list dates: the sub's has ended": [
    [ofRoot(), ofSub({ thisUpdate: from(-2 * DAY), nextUpdate: from(-DAY) })],
    { revoked: ['bob', 'carol'], served: ['alice', 'dave'] },
  ],
  'list dates: begins tomorrow': [
    [ofRoot({ thisUpdate: from(DAY), nextUpdate: from(2 * DAY) }), ofSub()],
    { revoked: everyone },
  ],
  'list dates: without end': [[ofRoot({ nextUpdate: null }), ofSub()], { revoked: ['bob'], served: others }],
  'list dates: ends before it begins': [
    [ofRoot({ thisUpdate: from(-DAY), nextUpdate: from(-2 * DAY) }), ofSub()],
    { revoked: everyone },
  ],
  'list dates: until 9999': [[ofRoot({ nextUpdate: generalizedTime('99991231235959Z') }), ofSub()], good],
  'list dates: GeneralizedTime before 2050': [
    [ofRoot({ nextUpdate: generalizedTime('20490101000000Z') }), ofSub()],
    { revoked: ['bob'], served: others },
  ],
  'list dates: with a fraction': [
    [ofRoot({ nextUpdate: generalizedTime('20490101000000.5Z') }), ofSub()],
    { revoked: everyone },
  ],
  'list dates: with an offset': [
    [ofRoot({ nextUpdate: generalizedTime('20490101000000+0100') }), ofSub()],
    { revoked: everyone },
  ],
  'list dates: without seconds': [[ofRoot({ nextUpdate: utcTime('4901010000Z') }), ofSub()], { revoked: everyone }],
  'list dates: a 30th of February': [
    [ofRoot({ nextUpdate: utcTime('490230000000Z') }), ofSub()],
    { revoked: everyone },
  ],
  'list dates: beginning no date': [[ofRoot({ thisUpdate: utcTime('yesterday') }), ofSub()], { revoked: everyone }],
  'list dates: from 1950': [[ofRoot({ thisUpdate: utcTime('500101000000Z') }), ofSub()], good],
  'list dates: an entry revoked tomorrow': [
    [ofRoot({ revoked: [{ ...bob, since: from(DAY) }] }), ofSub()],
    { revoked: ['bob'], served: others },
  ],
  'list dates: an entry with a date that is none': [
    [ofRoot({ revoked: [{ ...bob, since: utcTime('yesterday') }] }), ofSub()],
    { revoked: ['bob'] },
  ],

  'delta: beside its base': [[ofRoot({ revoked: [] }), delta(), ofSub()], unclear],
  'delta: before its base': [[delta(), ofRoot({ revoked: [] }), ofSub()], unclear],
  'delta: alone': [[delta(), ofSub()], unclear],
  'delta: takes bob back': [
    [
      ofRoot({ revoked: [{ ...bob, extensions: [reason(6)] }] }),
      delta({ revoked: [{ ...bob, extensions: [reason(8)] }] }),
      ofSub(),
    ],
    {},
  ],
  'delta: not critical': [
    [ofRoot({ revoked: [] }), ofRoot({ number: 2, more: [extension('deltaCrlIndicator', integer(1))] }), ofSub()],
    unclear,
  ],
  'delta: of another base': [
    [ofRoot({ revoked: [] }), ofRoot({ number: 9, more: [extension('deltaCrlIndicator', integer(8), true)] }), ofSub()],
    unclear,
  ],
  'delta: a list that names where its delta is': [
    [
      ofRoot({
        more: [extension('freshestCrl', sequence(sequence(context(0, context(0, generalName.uri(address))))))],
      }),
      ofSub(),
    ],
    { revoked: ['bob'], served: others },
  ],

  'indirect: of the root, and names who issued carol': [
    [
      inScope({ indirect: true }, { revoked: [{ ...carol, extensions: [certificateIssuer(sub.name, true)] }] }),
      ofSub(),
    ],
    { revoked: ['carol'] },
  ],
  'indirect: names no other issuer': [[inScope({ indirect: true }), ofSub()], { revoked: ['bob'] }],
  'indirect: bob after an entry of another issuer': [
    [
      inScope({ indirect: true }, { revoked: [{ ...carol, extensions: [certificateIssuer(sub.name, true)] }, bob] }),
      ofSub(),
    ],
    { revoked: ['carol'] },
  ],
  'indirect: an entry of another issuer in a list that is not indirect': [
    [ofRoot({ revoked: [{ ...carol, extensions: [certificateIssuer(sub.name, true)] }] }), ofSub()],
    { revoked: ['carol'] },
  ],
  'indirect: an entry of another issuer, not critical': [
    [ofRoot({ revoked: [{ ...bob, extensions: [certificateIssuer(sub.name, false)] }] }), ofSub()],
    {},
  ],

  'scope: only users': [[inScope({ onlyUsers: true }), ofSub()], { revoked: ['bob'] }],
  'scope: only authorities': [[inScope({ onlyAuthorities: true }, { revoked: [] }), ofSub()], { revoked: [] }],
  'scope: users and authorities in two lists': [
    [inScope({ onlyUsers: true }), inScope({ onlyAuthorities: true }, { revoked: [] }), ofSub()],
    { revoked: ['bob'], served: others },
  ],
  'scope: two lists of users': [
    [
      inScope({ onlyUsers: true }, { revoked: [] }),
      inScope({ onlyUsers: true }, { number: 2 }),
      inScope({ onlyAuthorities: true }, { revoked: [] }),
      ofSub(),
    ],
    { revoked: ['bob'] },
  ],
  'scope: users in one list, everything in another': [
    [inScope({ onlyUsers: true }), ofRoot({ revoked: [], number: 2 }), ofSub()],
    { revoked: ['bob'] },
  ],
  'scope: only attribute certificates': [[inScope({ onlyAttributes: true }, { revoked: [] }), ofSub()], {}],
  'scope: users and authorities at once in one list': [
    [inScope({ onlyUsers: true, onlyAuthorities: true }), ofSub()],
    { revoked: ['bob'] },
  ],
  'scope: only some reasons': [[inScope({ reasons: Buffer.from([6, 0x40]) }), ofSub()], { revoked: ['bob'] }],
  'scope: only some reasons, beside a whole list': [
    [inScope({ reasons: Buffer.from([6, 0x40]) }), ofRoot({ revoked: [], number: 2 }), ofSub()],
    { revoked: ['bob'] },
  ],
  'scope: the distribution point of dave': [
    [inScope({ names: [generalName.uri(address)] }, { revoked: [{ serial: serials.dave }] }), ofSub()],
    { revoked: ['dave'] },
  ],
  'scope: the distribution point of dave, beside a whole list': [
    [
      inScope({ names: [generalName.uri(address)] }, { revoked: [{ serial: serials.dave }] }),
      ofRoot({ revoked: [], number: 2 }),
      ofSub(),
    ],
    { revoked: ['dave'] },
  ],
  'scope: another distribution point': [
    [inScope({ names: [generalName.uri('http://127.0.0.1:9/other')] }), ofSub()],
    { revoked: ['bob'] },
  ],
  'scope: a distribution point by directory name': [
    [inScope({ names: [generalName.directory(commonName('point'))] }), ofSub()],
    { revoked: ['bob'] },
  ],
  'scope: a relative distribution point': [
    [inScope({ relative: attribute('CN', 'point') }), ofSub()],
    { revoked: ['bob'] },
  ],
  'scope: nothing in it': [[inScope({}), ofSub()], { revoked: ['bob'] }],
  'scope: only users, not critical': [[inScope({ onlyUsers: true }, {}, false), ofSub()], { revoked: ['bob'] }],
  'scope: twice': [
    [inScope({ onlyUsers: true }, { more: [scope({ onlyAuthorities: true })] }), ofSub()],
    { revoked: ['bob'] },
  ],
  'scope: not DER': [
    [ofRoot({ more: [extension('issuingDistributionPoint', Buffer.from('no'), true)] }), ofSub()],
    { revoked: ['bob'] },
  ],

  'entry: taken back in a whole list': [[ofRoot({ revoked: [{ ...bob, extensions: [reason(8)] }] }), ofSub()], {}],
  ...Object.fromEntries(
    [0, 1, 6, 7, 10, 200].map(code => [
      `entry: reason ${code}`,
      [[ofRoot({ revoked: [{ ...bob, extensions: [reason(code)] }] }), ofSub()], { revoked: ['bob'] }] as Row,
    ]),
  ),
  'entry: held, then taken back': [
    [
      ofRoot({
        revoked: [
          { ...bob, extensions: [reason(6)] },
          { ...bob, extensions: [reason(8)] },
        ],
      }),
      ofSub(),
    ],
    {},
  ],
  'entry: taken back, then revoked': [
    [
      ofRoot({
        revoked: [
          { ...bob, extensions: [reason(8)] },
          { ...bob, extensions: [reason(1)] },
        ],
      }),
      ofSub(),
    ],
    { revoked: ['bob'] },
  ],
  'entry: two reasons': [
    [ofRoot({ revoked: [{ ...bob, extensions: [reason(8), reason(1)] }] }), ofSub()],
    { revoked: ['bob'] },
  ],
  'entry: reason is not DER': [
    [ofRoot({ revoked: [{ ...bob, extensions: [extension('reasonCode', Buffer.from('no'))] }] }), ofSub()],
    { revoked: ['bob'] },
  ],
  'entry: twice': [[ofRoot({ revoked: [bob, bob] }), ofSub()], { revoked: ['bob'], served: others }],
  'entry: unknown critical extension': [
    [ofRoot({ revoked: [{ ...bob, extensions: [extension('unknown', integer(1), true)] }] }), ofSub()],
    { revoked: ['bob'] },
  ],
  'entry: unknown critical extension at another certificate': [
    [
      ofRoot({ revoked: [bob, { serial: integer(77), extensions: [extension('unknown', integer(1), true)] }] }),
      ofSub(),
    ],
    { revoked: ['bob'] },
  ],
  'entry: unknown extension': [
    [ofRoot({ revoked: [{ ...bob, extensions: [extension('unknown', integer(1))] }] }), ofSub()],
    { revoked: ['bob'], served: others },
  ],
  'entry: extensions in version 1': [
    [ofRoot({ version: null, extensions: null, revoked: [{ ...bob, extensions: [reason(1)] }] }), ofSub()],
    { revoked: ['bob'] },
  ],
  'entry: extensions of version 1 that take bob back': [
    [ofRoot({ version: null, extensions: null, revoked: [{ ...bob, extensions: [reason(8)] }] }), ofSub()],
    {},
  ],
  'entry: serial number with zeros before it': [
    [ofRoot({ revoked: [{ serial: padded(serials.bob) }] }), ofSub()],
    { revoked: ['bob'] },
  ],
  'entry: negative serial number': [
    [ofRoot({ revoked: [{ serial: integer(Buffer.from([0x80])) }, bob] }), ofSub()],
    { revoked: ['bob'] },
  ],
  'entry: serial number of 1000 octets': [
    [ofRoot({ revoked: [{ serial: integer(Buffer.alloc(1000, 5)) }, bob] }), ofSub()],
    { revoked: ['bob'] },
  ],
  'entry: not sorted': [
    [ofRoot({ revoked: [integer(900), bob.serial, integer(3), integer(700)].map(serial => ({ serial })) }), ofSub()],
    good,
  ],
  'entry: without date': [
    [ofRoot({ revoked: [{ ...bob, since: Buffer.alloc(0) }] }), ofSub()],
    { revoked: ['bob'], load: 'refused' },
  ],
  'entry: 50 000 of them': [
    [
      ofRoot({ revoked: [...Array.from({ length: 50_000 }, (_, at) => ({ serial: integer(0x0200_0000 + at) })), bob] }),
      ofSub(),
    ],
    good,
  ],

  'two lists: the newer one revokes': [
    [ofRoot({ revoked: [], thisUpdate: from(-DAY) }), ofRoot({ number: 2 }), ofSub()],
    { revoked: ['bob'] },
  ],
  'two lists: the one with the higher number revokes': [
    [ofRoot({ revoked: [] }), ofRoot({ number: 2 }), ofSub()],
    { revoked: ['bob'] },
  ],
  'two lists: the newer one revokes, and comes first': [
    [ofRoot({ number: 2 }), ofRoot({ revoked: [], thisUpdate: from(-DAY) }), ofSub()],
    { revoked: ['bob'] },
  ],
  'two lists: the older one revokes': [
    [ofRoot({ thisUpdate: from(-DAY) }), ofRoot({ revoked: [], number: 2 }), ofSub()],
    {},
  ],
  'two lists: of the same time, one revokes': [[ofRoot({ revoked: [] }), ofRoot(), ofSub()], { revoked: ['bob'] }],
  'two lists: the newer one has ended': [
    [ofRoot({ revoked: [] }), ofRoot({ number: 2, thisUpdate: from(-60_000), nextUpdate: from(-1000) }), ofSub()],
    { revoked: ['bob'] },
  ],
  'two lists: the older one has ended': [
    [ofRoot({ revoked: [], thisUpdate: from(-2 * DAY), nextUpdate: from(-DAY) }), ofRoot({ number: 2 }), ofSub()],
    { revoked: ['bob'] },
  ],
  'two lists: the same twice': [twice(ofRoot(), ofSub()), { revoked: ['bob'], served: others }],
  'two lists: bob in one, alice in the other': [
    [ofRoot(), ofRoot({ revoked: [{ serial: serials.alice }] }), ofSub()],
    { revoked: ['alice', 'bob'] },
  ],

  'list issuer: PrintableString': [
    [ofRoot({ issuer: commonName(string('PrintableString', 'corpus root')) }), ofSub()],
    { revoked: ['bob'] },
  ],
  'list issuer: BMPString': [
    [ofRoot({ issuer: commonName(string('BMPString', 'corpus root')) }), ofSub()],
    { revoked: ['bob'] },
  ],
  'list issuer: in capitals': [[ofRoot({ issuer: commonName('CORPUS  ROOT') }), ofSub()], { revoked: ['bob'] }],
  'list issuer: one more relative name': [
    [ofRoot({ issuer: sequence(set(attribute('O', 'x')), set(attribute('CN', 'corpus root'))) }), ofSub()],
    { revoked: everyone },
  ],
  'list issuer: empty': [[ofRoot({ issuer: sequence() }), ofSub()], { revoked: everyone }],

  'list signature: wrong': [[ofRoot({ sign: () => bits(Buffer.alloc(70)) }), ofSub()], { revoked: everyone }],
  'list signature: by another key, under the name': [
    [buildList({ by: { ...root, key: keyOf('third') } }), ofSub()],
    { revoked: everyone },
  ],
  'list signature: by another key, under the name, beside the right one': [
    [buildList({ by: { ...root, key: keyOf('third') }, number: 5 }), ofRoot(), ofSub()],
    { revoked: ['bob'] },
  ],
  'list signature: SHA-1': [[ofRoot({ algorithm: algorithms['ecdsa-with-SHA1'] }), ofSub()], { revoked: ['bob'] }],
  'list signature: SHA-512': [[ofRoot({ algorithm: algorithms['ecdsa-with-SHA512'] }), ofSub()], good],
  'list signature: another algorithm inside': [
    [ofRoot({ innerAlgorithm: algorithms['ecdsa-with-SHA512'].identifier }), ofSub()],
    { revoked: ['bob'] },
  ],
  'list signature: of an authority that may sign no lists': [
    [ofRoot(), ofSub()],
    { revoked: ['bob'], authorities: [noSigner, sub] },
  ],
  'list signature: of an authority without key usage': [
    [ofRoot(), ofSub()],
    { ...good, authorities: [noKeyUsage, sub] },
  ],

  'list key: no identifier': [
    [ofRoot({ extensions: [extension('crlNumber', integer(1))] }), ofSub()],
    { revoked: ['bob'], served: others },
  ],
  'list key: another identifier': [
    [ofRoot({ extensions: [authorityKeyIdentifier(Buffer.alloc(20, 9))] }), ofSub()],
    { revoked: everyone },
  ],
  'list key: an empty identifier': [
    [ofRoot({ extensions: [authorityKeyIdentifier(Buffer.alloc(0))] }), ofSub()],
    { revoked: ['bob'] },
  ],
  'list key: nothing in it': [
    [ofRoot({ extensions: [authorityKeyIdentifier(undefined)] }), ofSub()],
    { revoked: ['bob'], served: others },
  ],
  'list key: issuer and serial number': [
    [
      ofRoot({
        extensions: [authorityKeyIdentifier(undefined, { name: root.name, serial: serialOf(root.der).subarray(2) })],
      }),
      ofSub(),
    ],
    { revoked: ['bob'], served: others },
  ],
  'list key: issuer and another serial number': [
    [
      ofRoot({ extensions: [authorityKeyIdentifier(undefined, { name: root.name, serial: Buffer.from([9]) })] }),
      ofSub(),
    ],
    { revoked: everyone },
  ],
  'list key: an identifier, and the authority has none': [
    [ofRoot(), ofSub()],
    { ...good, authorities: [noIdentifier, sub] },
  ],
  'list key: not DER': [
    [ofRoot({ extensions: [extension('authorityKeyIdentifier', Buffer.from('no'))] }), ofSub()],
    { revoked: ['bob'] },
  ],
  'list key: two authorities of the name, list of the first': [
    [ofRoot(), ofSub()],
    { revoked: ['bob'], authorities: [root, namesake, sub] },
  ],
  'list key: two authorities of the name, list of the second': [
    [ofRoot(), ofSub()],
    { revoked: ['bob'], authorities: [namesake, root, sub] },
  ],
  'list key: two authorities of the name, a list of each': [
    [ofRoot(), buildList({ by: namesake }), ofSub()],
    { revoked: ['bob'], authorities: [root, namesake, sub] },
  ],
  'list key: two authorities of the name, lists without identifier': [
    [ofRoot({ extensions: null }), buildList({ by: namesake, extensions: null, number: 2 }), ofSub()],
    { revoked: ['bob'], authorities: [root, namesake, sub] },
  ],

  'list version: 1': [[ofRoot({ version: null, extensions: null }), ofSub()], { revoked: ['bob'], served: others }],
  'list version: 1, with extensions': [[ofRoot({ version: null }), ofSub()], { revoked: ['bob'] }],
  'list version: 3': [[ofRoot({ version: integer(2) }), ofSub()], { revoked: ['bob'] }],
  'list version: 2, no extensions': [[ofRoot({ extensions: null }), ofSub()], { revoked: ['bob'], served: others }],
  'list extension: unknown': [[ofRoot({ more: [extension('unknown', integer(1))] }), ofSub()], good],
  'list extension: unknown and critical': [
    [ofRoot({ more: [extension('unknown', integer(1), true)] }), ofSub()],
    { revoked: ['bob'] },
  ],
  'list extension: number twice': [
    [ofRoot({ more: [extension('crlNumber', integer(2))] }), ofSub()],
    { revoked: ['bob'] },
  ],
  'list extension: number of 21 octets': [
    [
      ofRoot({
        extensions: [authorityKeyIdentifier(root.identifier), extension('crlNumber', integer(Buffer.alloc(21, 1)))],
      }),
      ofSub(),
    ],
    { revoked: ['bob'] },
  ],
  'list extension: negative number': [
    [
      ofRoot({
        extensions: [authorityKeyIdentifier(root.identifier), extension('crlNumber', integer(Buffer.from([0xff])))],
      }),
      ofSub(),
    ],
    { revoked: ['bob'] },
  ],
  'list extension: number not DER': [
    [
      ofRoot({ extensions: [authorityKeyIdentifier(root.identifier), extension('crlNumber', Buffer.from('no'))] }),
      ofSub(),
    ],
    { revoked: ['bob'] },
  ],
  'list extension: constraints of a certificate': [
    [ofRoot({ more: [basicConstraints(true)] }), ofSub()],
    { revoked: ['bob'] },
  ],

  'list octets: length not the shortest': [
    [ofRoot({ content: der => element(0x30, contentOf(der), 'four octets') }), ofSub()],
    { revoked: ['bob'] },
  ],
  'list octets: length indefinite': [
    [ofRoot({ content: der => element(0x30, contentOf(der), 'indefinite') }), ofSub()],
    { revoked: ['bob'] },
  ],
  'list octets: one more at the end': [[Buffer.concat([ofRoot(), Buffer.from([0])]), ofSub()], { revoked: ['bob'] }],
  'list octets: another list behind it in one block': [
    [Buffer.concat([ofRoot({ revoked: [] }), ofRoot()]), ofSub()],
    { revoked: ['bob'] },
  ],
  'list octets: cut': [[ofRoot().subarray(0, -9), ofSub()], { load: 'refused' }],
  'list octets: a certificate': [[root.der, ofSub()], { load: 'refused' }],
  'list octets: none': [[Buffer.alloc(0), ofSub()], { load: 'refused' }],
  'list octets: text': [[Buffer.from('a revocation list'), ofSub()], { load: 'refused' }],
})

const twice = (list: Buffer, other: Buffer) => [list, other, list]

function certificateIssuer(name: Buffer, critical: boolean): Buffer {
  return extension('certificateIssuer', sequence(generalName.directory(name)), critical)
}

function padded(serial: Buffer): Buffer {
  return integer(Buffer.concat([Buffer.alloc(2), serial.subarray(2)]))
}

function contentOf(der: Buffer): Buffer {
  const first = der[1] as number
  return der.subarray(first < 0x80 ? 2 : 2 + (first & 0x7f))
}

export function revocationLists(): TrustEntry[] {
  const entry = (
    name: string,
    crl: string | Buffer,
    { revoked = [], served = [], load, authorities }: Expected,
  ): TrustEntry => ({
    name,
    kind: 'revocation lists',
    files: { 'ca.crt': trusting(...(authorities ?? [root, sub])).ca, 'crl.pem': crl },
    refused: named(revoked),
    served: named(served),
    load,
  })
  const ders = [ofRoot(), ofSub()]
  const joins = joinBlocks(ders.map(pemOfList), ders)
  return [
    ...Object.entries(rows()).map(([name, [lists, expected]]) => entry(name, lists.map(pemOfList).join(''), expected)),
    ...Object.entries(joins).map(([name, [crl, load]]) =>
      entry(`list file: ${name}`, crl, { revoked: ['bob'], served: others, load }),
    ),
  ]
}
