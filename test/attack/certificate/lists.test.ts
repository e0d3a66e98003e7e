// Revocation lists in real handshakes: which lists OpenSSL applies, which of several it selects, and which ones are therefore
// refused when they are loaded. Each row has the verdict of OpenSSL and that of the load. If a later OpenSSL decides
// differently, a row fails.
import { X509Certificate } from 'node:crypto'
import t from 'tap'
import type { CertificateOrder } from '../../../src/pki/certificate.ts'
import type { CrlOrder } from '../../../src/pki/crl.ts'
import { context, sequence } from '../../../src/pki/der.ts'
import * as extensions from '../../../src/pki/extensions.ts'
import { keyIdentifier } from '../../../src/pki/signing.ts'
import { type Identity, issueCertificate, issueCrl } from '../../../src/testing/server.ts'
import { loadTrust } from '../../../src/tls/trust.ts'
import { evaluationOf, type Handshake, verdictOf } from '../../helpers/tls/handshakes.ts'
import { listsOf } from '../../helpers/tls/pem.ts'

const DAY = 86_400_000
const root = issueCertificate({ subject: [['CN', 'root']], ca: true })
const sub = issueCertificate({ subject: [['CN', 'sub']], issuer: root, ca: true })
const clientOf = (issuer: Identity, order: Partial<CertificateOrder> = {}) =>
  issueCertificate({ subject: [['CN', 'alice']], issuer, extendedKeyUsage: ['clientAuth'], ...order })
const alice = clientOf(root)
const listOf = (issuer: Identity, order: Partial<CrlOrder> = {}) => issueCrl({ issuer, revoked: [], ...order })
const list = (order: Partial<CrlOrder> = {}) => listOf(root, order)
const newer = { thisUpdate: new Date() }
const ended = { thisUpdate: new Date(Date.now() - 3 * DAY), nextUpdate: new Date(Date.now() - DAY) }
const revoked = [alice.x509]
const entry = (...written: ReturnType<typeof extensions.reasonCode>[]) => ({
  revoked: [{ serialNumber: alice.x509.serialNumber, extensions: written }],
})
const critical = (id: string) => ({ extensions: [extensions.extension(id, sequence([]), { critical: true })] })

const load = (authorities: readonly Identity[], lists: readonly string[]) =>
  loadTrust(
    authorities.map(({ certificate }) => new X509Certificate(certificate)),
    lists.flatMap(listsOf),
  )

interface Row {
  readonly lists: readonly string[]
  /** OpenSSL's verdict on alice, or on `who`. */
  readonly verdict: string
  /** The reason why the load is refused; undefined if it succeeds. */
  readonly refused?: RegExp
  readonly authorities?: readonly Identity[]
  readonly who?: Identity
  readonly chain?: readonly Identity[]
}

const rows: Record<string, Row> = {
  'an empty list': { lists: [list()], verdict: 'accepted' },
  'a list that names the certificate': { lists: [list({ revoked })], verdict: 'CERT_REVOKED' },
  'an entry on hold': { lists: [list(entry(extensions.reasonCode(6)))], verdict: 'CERT_REVOKED' },
  'an entry with an unknown reason': { lists: [list(entry(extensions.reasonCode(42)))], verdict: 'CERT_REVOKED' },
  'a list of version 1': { lists: [list({ version: 1, revoked })], verdict: 'CERT_REVOKED' },
  'a list without an end': { lists: [list({ nextUpdate: null })], verdict: 'accepted' },
  'a list that has ended': { lists: [list(ended)], verdict: 'CRL_HAS_EXPIRED' },
  'a list of tomorrow': {
    lists: [list({ thisUpdate: new Date(Date.now() + DAY) })],
    verdict: 'CRL_NOT_YET_VALID',
  },
  'a list without a key identifier': { lists: [list({ authorityKeyIdentifier: null })], verdict: 'accepted' },
  'a list for another key': {
    lists: [list({ authorityKeyIdentifier: { key: Buffer.alloc(20, 1) } })],
    verdict: 'UNABLE_TO_GET_CRL',
  },
  'a list for another certificate of the authority': {
    lists: [list({ authorityKeyIdentifier: { issuer: root.subject, serial: 5n } })],
    verdict: 'UNABLE_TO_GET_CRL',
  },
  'a list in other letters': {
    lists: [listOf({ ...root, subject: [['CN', ' ROOT ']] }, { revoked })],
    verdict: 'CERT_REVOKED',
  },
  'the same list twice': { lists: Array(2).fill(list({ revoked })), verdict: 'CERT_REVOKED' },

  'a delta list beside a base list': {
    lists: [list({ number: 1 }), list({ ...newer, revoked, extensions: [extensions.deltaCrlIndicator(1)] })],
    verdict: 'accepted',
    refused: /revocation list 2 of 2 is a delta list/,
  },
  'a delta list alone': {
    lists: [list({ extensions: [extensions.deltaCrlIndicator(1)] })],
    verdict: 'UNABLE_TO_GET_CRL',
    refused: /delta list/,
  },
  'an entry that takes the revocation back': {
    lists: [list(entry(extensions.reasonCode(8)))],
    verdict: 'accepted',
    refused: /removeFromCRL/,
  },
  'an entry of another authority': {
    lists: [list(entry(extensions.certificateIssuer([['CN', 'other']])))],
    verdict: 'accepted',
    refused: /certificateIssuer/,
  },
  'an indirect list': {
    lists: [list({ scope: { indirect: true } })],
    verdict: 'UNABLE_TO_GET_CRL',
    refused: /indirect list/,
  },
  'a list for some reasons': {
    lists: [list({ scope: { onlySomeReasons: true }, revoked })],
    verdict: 'UNABLE_TO_GET_CRL',
    refused: /some reasons/,
  },
  'a list for attribute certificates': {
    lists: [list({ scope: { onlyAttributeCertificates: true } })],
    verdict: 'UNABLE_TO_GET_CRL',
    refused: /attribute certificates/,
  },
  'an empty scope': { lists: [list({ scope: {} })], verdict: 'UNABLE_TO_GET_CRL', refused: /empty scope/ },
  'an unknown critical extension': {
    lists: [list(critical('1.2.3.4'))],
    verdict: 'UNSPECIFIED',
    refused: /critical extension .*1\.2\.3\.4/,
  },
  'a freshestCRL that is critical': {
    lists: [list(critical('2.5.29.46'))],
    verdict: 'UNSPECIFIED',
    refused: /critical extension .*2\.5\.29\.46/,
  },
  'a critical extension in another entry': {
    lists: [
      list({
        revoked: [
          { serialNumber: '05', extensions: [extensions.extension('1.2.3.4', sequence([]), { critical: true })] },
        ],
      }),
    ],
    verdict: 'UNSPECIFIED',
    refused: /critical extension .*in an entry/,
  },
  'a key identifier that is critical': {
    lists: [
      list({
        authorityKeyIdentifier: null,
        extensions: [
          extensions.extension('2.5.29.35', sequence([context(0, keyIdentifier(root.publicKey))]), { critical: true }),
        ],
      }),
    ],
    verdict: 'accepted',
  },

  'two lists, the older one names it': {
    lists: [list({ revoked }), list(newer)],
    verdict: 'accepted',
    refused: /two revocation lists of CN=root/,
  },
  'two lists of one time': { lists: [list(), list({ revoked })], verdict: 'accepted', refused: /two revocation lists/ },
  'two lists, one of which has ended': {
    lists: [list({ revoked }), list(ended)],
    verdict: 'CERT_REVOKED',
    refused: /two revocation lists/,
  },
  'two lists of version 1': {
    lists: [list({ version: 1, revoked }), list({ version: 1, ...newer })],
    verdict: 'accepted',
    refused: /two revocation lists/,
  },
  'a list for all beside one for clients': {
    lists: [list({ revoked }), list({ ...newer, scope: { onlyUserCertificates: true } })],
    verdict: 'accepted',
    refused: /two revocation lists/,
  },
  'a list for clients beside one for authorities': {
    lists: [
      list({ scope: { onlyUserCertificates: true }, revoked }),
      list({ ...newer, scope: { onlyAuthorities: true } }),
    ],
    verdict: 'CERT_REVOKED',
  },
  'a list for authorities names the client': {
    lists: [list({ scope: { onlyUserCertificates: true } }), list({ scope: { onlyAuthorities: true }, revoked })],
    verdict: 'accepted',
  },
  'a list for clients alone, of a root': {
    lists: [list({ scope: { onlyUserCertificates: true } })],
    verdict: 'UNABLE_TO_GET_CRL',
  },

  ...intermediates(),
  ...distributionPoints(),
  ...namesakes(),
}

function intermediates(): Record<string, Row> {
  const who = clientOf(sub)
  const both = { authorities: [root, sub], who }
  const noLists = issueCertificate({ subject: [['CN', 'no lists']], ca: true, keyUsage: ['keyCertSign'] })
  return {
    'lists of the root and of the intermediate authority': {
      ...both,
      lists: [list(), listOf(sub)],
      verdict: 'accepted',
    },
    'the same, the intermediate one sent by the client': {
      who,
      chain: [sub],
      lists: [list(), listOf(sub, { revoked: [who.x509] })],
      verdict: 'CERT_REVOKED',
    },
    'no list of the root': { ...both, lists: [listOf(sub)], verdict: 'UNABLE_TO_GET_CRL' },
    'no list of the intermediate authority': { ...both, lists: [list()], verdict: 'UNABLE_TO_GET_CRL' },
    'the intermediate authority is revoked': {
      ...both,
      lists: [list({ revoked: [sub.x509] }), listOf(sub)],
      verdict: 'CERT_REVOKED',
    },
    'a root on its own list': { lists: [list({ revoked: [root.x509] })], verdict: 'CERT_REVOKED' },
    'an authority that may not sign lists': {
      authorities: [noLists],
      who: clientOf(noLists),
      lists: [listOf(noLists)],
      verdict: 'UNSPECIFIED',
    },
    'a list for clients, of an intermediate authority': {
      ...both,
      lists: [list(), listOf(sub, { scope: { onlyUserCertificates: true }, revoked: [who.x509] })],
      verdict: 'CERT_REVOKED',
    },
    'a list for authorities, of one that has issued a client': {
      ...both,
      lists: [list(), listOf(sub, { scope: { onlyAuthorities: true } })],
      verdict: 'UNABLE_TO_GET_CRL',
    },
  }
}

function distributionPoints(): Record<string, Row> {
  const [one, two] = ['http://crl.test/1', 'http://crl.test/2'] as const
  const who = clientOf(sub, { distributionPoints: [one] })
  const ofSub = (uri: string, order: Partial<CrlOrder> = {}) => listOf(sub, { scope: { uris: [uri] }, ...order })
  const row = { authorities: [root, sub], who }
  const hit = { revoked: [who.x509] }
  return {
    'a list for the distribution point of the certificate': {
      ...row,
      lists: [list(), ofSub(one, hit)],
      verdict: 'CERT_REVOKED',
    },
    'a list for another distribution point': { ...row, lists: [list(), ofSub(two)], verdict: 'UNABLE_TO_GET_CRL' },
    'a certificate without a distribution point': {
      authorities: [root, sub],
      who: clientOf(sub),
      lists: [list(), ofSub(one)],
      verdict: 'UNABLE_TO_GET_CRL',
    },
    'lists for two distribution points': {
      ...row,
      lists: [list(), ofSub(one, hit), ofSub(two, newer)],
      verdict: 'CERT_REVOKED',
    },
    'a list for the distribution point beside one for all': {
      ...row,
      lists: [list(), ofSub(one, hit), listOf(sub, newer)],
      verdict: 'accepted',
      refused: /two revocation lists of CN=sub/,
    },
    'a distribution point that is no URI': {
      ...row,
      lists: [
        list(),
        listOf(sub, {
          extensions: [
            extensions.extension(
              '2.5.29.28',
              sequence([context(0, [context(0, [context(2, Buffer.from('a.test'))])])]),
            ),
          ],
        }),
      ],
      verdict: 'UNABLE_TO_GET_CRL',
      refused: /names are not all URIs/,
    },
    'a distribution point for the root, whose own certificate names none': {
      who: clientOf(root, { distributionPoints: [one] }),
      lists: [list({ scope: { uris: [one] } })],
      verdict: 'UNABLE_TO_GET_CRL',
    },
  }
}

function namesakes(): Record<string, Row> {
  const other = issueCertificate({ subject: root.subject, ca: true })
  const bare = issueCertificate({ subject: root.subject, ca: true, subjectKeyIdentifier: null })
  const renewed = issueCertificate({ subject: root.subject, ca: true, keyPair: root })
  const both = { authorities: [root, other] }
  const unnamed = { authorityKeyIdentifier: null }
  return {
    'two authorities of one name, each with its list': {
      ...both,
      lists: [list({ revoked }), listOf(other)],
      verdict: 'CERT_REVOKED',
    },
    'the list of the other one names the serial number': {
      ...both,
      lists: [list(), listOf(other, { ...newer, revoked })],
      verdict: 'accepted',
    },
    'the list of the other one does not say whose it is': {
      ...both,
      lists: [list(), listOf(other, { ...newer, ...unnamed })],
      verdict: 'CRL_SIGNATURE_FAILURE',
      refused: /two revocation lists of CN=root/,
    },
    'one list that does not say whose it is': {
      ...both,
      lists: [list(unnamed)],
      verdict: 'accepted',
      refused: /two authorities named CN=root with different keys/,
    },
    'one of them without a key identifier': {
      authorities: [root, bare],
      lists: [list(), listOf(bare, newer)],
      verdict: 'accepted',
      refused: /two revocation lists|two authorities/,
    },
    'an authority that was renewed with its key': {
      authorities: [root, renewed],
      lists: [list({ revoked })],
      verdict: 'CERT_REVOKED',
    },
    'a list of another signer with that name': {
      lists: [listOf(other, unnamed)],
      verdict: 'CRL_SIGNATURE_FAILURE',
      refused: /revocation list 1 of 1 is not signed by the key of CN=root/,
    },
  }
}

t.test('loads only lists that OpenSSL applies as intended, and OpenSSL decides as each row says', async t => {
  for (const [name, { lists, verdict, refused, authorities = [root], who = alice, chain = [] }] of Object.entries(
    rows,
  )) {
    const handshake: Handshake = { authorities, lists, who, chain }
    t.equal(await verdictOf(handshake), verdict, name)
    if (refused !== undefined) {
      t.throws(() => load(authorities, lists), { name: 'TrustProblem', message: refused }, `${name}: not loaded`)
      continue
    }
    const { rejection } = await evaluationOf(handshake, load(authorities, lists))
    const reason = { accepted: undefined, CERT_REVOKED: 'certificate_revoked' }[verdict]
    t.equal(rejection?.[0], verdict === 'accepted' ? undefined : (reason ?? 'certificate_untrusted'), `${name}: reason`)
  }
  t.comment(`${Object.keys(rows).length} rows`)
})
