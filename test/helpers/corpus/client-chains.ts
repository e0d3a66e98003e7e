// Client certificates by their path to an authority of the server (RFC 5280 §6.1).
import {
  type Authority,
  authorityKeyIdentifier,
  basicConstraints,
  buildAuthority,
  buildCertificate,
  DAY,
  from,
} from './certificate.ts'
import { commonName, sequence, string } from './der.ts'
import type { ClientEntry, Trust } from './entry.ts'
import { algorithms, keyOf } from './keys.ts'
import { below, leaf, present, root, sub, trusting, world } from './world.ts'

const untrusted = 'certificate_untrusted'
const expired = { notBefore: from(-2 * DAY), notAfter: from(-DAY) }

/** Builds authorities below the root, each issued by the previous one; returns the last first, as a client sends them. */
function buildChain(length: number, pathLength?: number): Authority[] {
  const chain: Authority[] = []
  for (let at = 0; at < length; at++)
    chain.unshift(
      buildAuthority(`level ${at}`, {
        key: at % 2 === 0 ? 'sub' : 'other',
        by: chain[0] ?? root,
        ...(at === 0 && pathLength !== undefined && withPathLength(pathLength)),
      }),
    )
  return chain
}

const withPathLength = (length: number) => ({
  without: ['basicConstraints'] as const,
  more: [basicConstraints(true, length)],
})

const under = (trust: Trust, chain: readonly Buffer[]) => ({ trust, chain })

export function clientChains(): ClientEntry[] {
  const stranger = buildAuthority('stranger', { key: 'third' })
  const namesake = buildAuthority('corpus root', { key: 'other' })
  const namesakeWithoutKeyId = buildAuthority('corpus root', { key: 'other', without: ['subjectKeyIdentifier'] })
  const renewed = buildAuthority('corpus root', { key: 'root' })
  const endedRoot = buildAuthority('corpus root', { key: 'root', ...expired })
  const endedSub = buildAuthority('corpus sub', { key: 'sub', by: root, ...expired })
  const futureSub = buildAuthority('corpus sub', {
    key: 'sub',
    by: root,
    notBefore: from(DAY),
    notAfter: from(2 * DAY),
  })
  const crossed = buildAuthority('corpus sub', { key: 'sub', by: stranger })
  const endedCrossed = buildAuthority('corpus sub', { key: 'sub', by: stranger, ...expired })
  const limitedRoot = buildAuthority('limited root', { key: 'root', ...withPathLength(0) })
  const loopA = buildAuthority('loop a', {
    key: 'sub',
    by: { ...stranger, name: commonName('loop b'), key: keyOf('other') },
  })
  const loopB = buildAuthority('loop b', { key: 'other', by: loopA })
  const selfIssued = buildAuthority('corpus root', { key: 'sub', by: root })
  const noAuthorityKey = { without: ['authorityKeyIdentifier'] as const }
  const self = leaf({ by: undefined } as never)
  const plainLeaf = leaf()
  const belowLeaf = buildCertificate({
    key: 'P-256',
    subject: commonName('mallory'),
    by: { name: commonName('alice'), key: keyOf('P-256'), identifier: Buffer.alloc(20) },
    ...noAuthorityKey,
  })
  const bmpRoot = buildAuthority(commonName(string('BMPString', 'bmp root')), { key: 'root' })
  const emptyRoot = buildAuthority(sequence(), { key: 'root' })
  const sha1Sub = buildAuthority('sha-1 sub', { key: 'sub', by: root, algorithm: algorithms['ecdsa-with-SHA1'] })
  const rsaRoot = buildAuthority('rsa root', { key: 'RSA 2048' })
  const md5Sub = buildAuthority('md5 sub', { key: 'sub', by: rsaRoot, algorithm: algorithms.md5WithRSA })
  const pssSub = buildAuthority('pss sub', { key: 'sub', by: rsaRoot, algorithm: algorithms['RSASSA-PSS'] })
  const weakRoot = buildAuthority('weak root', { key: 'RSA 1024' })
  const sha1Root = buildAuthority('sha-1 root', { key: 'other', algorithm: algorithms['ecdsa-with-SHA1'] })
  const keyed = (
    key:
      | 'Ed25519'
      | 'Ed448'
      | 'P-521'
      | 'RSA-PSS'
      | 'ML-DSA-65'
      | 'brainpoolP256r1'
      | 'secp256k1'
      | 'P-192'
      | 'DSA'
      | 'RSA 8192'
      | 'RSA with e=3'
      | 'SLH-DSA',
  ) => buildAuthority(`${key} root`, { key })
  const wrongSub = buildAuthority('corpus sub', { key: 'sub', by: { ...root, key: keyOf('third') } })

  return [
    present('chain: of a sub authority', { chain: below([sub]) }, 'accepted'),
    present('chain: with the root too', { chain: [...below([sub]), root.der] }, 'accepted'),
    present('chain: in the wrong order', { chain: [leaf({ by: sub }), root.der, sub.der] }, 'accepted'),
    present('chain: the sub authority left out', { chain: [leaf({ by: sub })] }, untrusted),
    present('chain: the sub authority is with the server', under(trusting(root, sub), [leaf({ by: sub })]), 'accepted'),
    present('chain: the server has the sub authority alone', under(trusting(sub), [leaf({ by: sub })]), untrusted),
    present('chain: everything twice', { chain: [...below([sub]), sub.der, ...below([sub])] }, 'accepted'),
    present('chain: with certificates of others', { chain: [...below([sub]), stranger.der, namesake.der] }, 'accepted'),
    present('chain: 5 authorities', { chain: below(buildChain(5)) }, 'accepted'),
    present('chain: 50 authorities', { chain: below(buildChain(50)) }, 'accepted'),
    present('chain: 120 authorities', { chain: below(buildChain(120)) }, untrusted),
    present('chain: path length 1, one below', { chain: below(buildChain(2, 1)) }, 'accepted'),
    present('chain: path length 1, two below', { chain: below(buildChain(3, 1)) }, untrusted),
    present(
      'chain: the root allows none below',
      under(trusting(limitedRoot), below([buildAuthority('x', { key: 'sub', by: limitedRoot })])),
      untrusted,
    ),
    present(
      'chain: the root allows none below, and issued it',
      under(trusting(limitedRoot), [leaf({ by: limitedRoot })]),
      'accepted',
    ),
    present('chain: a loop', { chain: [leaf({ by: loopA }), loopA.der, loopB.der] }, untrusted),
    present('chain: self-issued authority with another key', { chain: below([selfIssued]) }, 'accepted'),
    // OpenSSL uses the first authority with the name, and searches its own before those that were sent.
    present(
      'chain: self-issued authority with another key, without identifiers',
      { chain: below([selfIssued], noAuthorityKey) },
      untrusted,
    ),
    present('chain: unknown authority', { chain: [leaf({ by: stranger })] }, untrusted),
    present('chain: unknown authority, sent along', { chain: below([stranger]) }, untrusted),
    present('chain: an authority with the name of ours', { chain: [leaf({ by: namesake })] }, untrusted),
    present('chain: an authority with the name of ours, sent along', { chain: below([namesake]) }, untrusted),
    present(
      'chain: an authority with the name of ours, without identifiers',
      { chain: below([namesakeWithoutKeyId], noAuthorityKey) },
      untrusted,
    ),
    present('chain: self-signed', { chain: [self] }, untrusted),
    present(
      'chain: self-signed, and named as the root',
      { chain: [buildCertificate({ key: 'P-256', subject: root.name })] },
      untrusted,
    ),
    present(
      'chain: self-signed, and the server has it among its authorities',
      under({ ca: root.pem + pem(self) }, [self]),
      'accepted',
    ),
    present(
      'chain: the server has the leaf among its authorities',
      under({ ca: pem(plainLeaf) }, [plainLeaf]),
      untrusted,
    ),
    present('chain: the root as a client', { chain: [root.der], key: 'root' }, untrusted),
    present('chain: below a client', { chain: [belowLeaf, plainLeaf] }, untrusted),
    present(
      'chain: two authorities of one name, the first issued it',
      under(trusting(root, namesake), [leaf()]),
      'accepted',
    ),
    present(
      'chain: two authorities of one name, the second issued it',
      under(trusting(namesake, root), [leaf()]),
      'accepted',
    ),
    present(
      'chain: two authorities of one name, without identifiers, the first issued it',
      under(trusting(root, namesakeWithoutKeyId), [leaf(noAuthorityKey)]),
      'accepted',
    ),
    present(
      'chain: two authorities of one name, without identifiers, the second issued it',
      under(trusting(namesakeWithoutKeyId, root), [leaf(noAuthorityKey)]),
      untrusted,
    ),
    present('chain: a renewed root of the same key', under(trusting(renewed), [leaf()]), 'accepted'),
    present('chain: old and renewed root', under(trusting(root, renewed), [leaf()]), 'accepted'),
    present('chain: ended and renewed root', under(trusting(endedRoot, renewed), [leaf()]), 'accepted'),
    present('chain: the root has ended', under(trusting(endedRoot), [leaf()]), untrusted),
    present('chain: the sub authority has ended', { chain: below([endedSub]) }, untrusted),
    present('chain: the sub authority begins tomorrow', { chain: below([futureSub]) }, untrusted),
    present('chain: ended and good sub authority of one key', { chain: [...below([endedSub]), sub.der] }, 'accepted'),
    // Of two current issuers that were sent, OpenSSL follows the first only.
    present(
      'chain: cross-signed by an unknown authority, then ours',
      { chain: [...below([crossed]), sub.der] },
      untrusted,
    ),
    present(
      'chain: ours, then cross-signed by an unknown authority',
      { chain: [...below([sub]), crossed.der] },
      'accepted',
    ),
    present('chain: cross-signed by an unknown authority', { chain: below([crossed]) }, untrusted),
    present(
      'chain: cross-signed, both trusted',
      under(trusting(root, stranger), [...below([crossed]), sub.der]),
      'accepted',
    ),
    present(
      'chain: the server has an ended cross-signed authority before the good one',
      under({ ca: endedCrossed.pem + sub.pem + root.pem }, [leaf({ by: sub })]),
      'accepted',
    ),
    present('chain: the sub authority with a wrong signature', { chain: below([wrongSub]) }, untrusted),
    present(
      'chain: root with a BMPString, leaf with a UTF8String',
      under(trusting(bmpRoot), [leaf({ by: bmpRoot, issuer: commonName('bmp root') })]),
      'accepted',
    ),
    present('chain: a root without name', under(trusting(emptyRoot), [leaf({ by: emptyRoot })]), 'accepted'),
    present('chain: sub authority signed with SHA-1', { chain: below([sha1Sub]) }, untrusted),
    present('chain: sub authority signed with MD5', under(trusting(rsaRoot), below([md5Sub])), untrusted),
    present('chain: sub authority signed with RSA-PSS', under(trusting(rsaRoot), below([pssSub])), 'accepted'),
    present(
      'chain: leaf signed with MD5',
      under(trusting(rsaRoot), [leaf({ by: rsaRoot, algorithm: algorithms.md5WithRSA })]),
      untrusted,
    ),
    present(
      'chain: leaf signed with SHA-1 and RSA',
      under(trusting(rsaRoot), [leaf({ by: rsaRoot, algorithm: algorithms.sha1WithRSA })]),
      untrusted,
    ),
    present('chain: root with RSA 1024', under(trusting(weakRoot), [leaf({ by: weakRoot })]), untrusted),
    present('chain: root signed with SHA-1', under(trusting(sha1Root), [leaf({ by: sha1Root })]), 'accepted'),
    ...(
      [
        ['Ed25519', 'accepted'],
        ['Ed448', 'accepted'],
        ['P-521', 'accepted'],
        ['RSA-PSS', 'accepted'],
        ['ML-DSA-65', 'accepted'],
        ['SLH-DSA', 'accepted'],
        ['brainpoolP256r1', 'accepted'],
        ['secp256k1', 'accepted'],
        ['P-192', untrusted],
        ['DSA', untrusted],
        ['RSA 8192', 'accepted'],
        ['RSA with e=3', 'accepted'],
      ] as const
    ).map(([key, verdict]) => {
      const authority = keyed(key)
      return present(`chain: root with ${key}`, under(trusting(authority), [leaf({ by: authority })]), verdict)
    }),
    present(
      'chain: no certificate of an authority in it',
      { chain: [plainLeaf, leaf(), leaf()], trust: world },
      'accepted',
    ),
    present(
      'chain: key identifier of the wrong one of two sub authorities',
      {
        chain: below([sub], {
          ...noAuthorityKey,
          more: [authorityKeyIdentifier(Buffer.alloc(20, 5))],
        }),
      },
      untrusted,
    ),
  ]
}

const pem = (der: Buffer) => `-----BEGIN CERTIFICATE-----\n${der.toString('base64')}\n-----END CERTIFICATE-----\n`
