// The certificate chain of a server or client: the certificate of its key first, then its issuers, and a server certificate
// for a server.
import { generateKeyPairSync } from 'node:crypto'
import t from 'tap'
import { FileProblem } from '../../src/files/file-problem.ts'
import { checkKeyOfLeaf, checkServerCertificate } from '../../src/files/own-certificate.ts'
import { parseCertificates } from '../../src/files/pem.ts'
import { type CertificateOrder, type Identity, issueCertificate } from '../../src/pki/certificate.ts'
import type { KeyPair } from '../../src/pki/signing.ts'

const files = { certFile: 'server.crt', keyFile: 'server.key' }
const authority = (name: string, issuer?: Identity, more: Partial<CertificateOrder> = {}) =>
  issueCertificate({ ca: true, subject: [['CN', name]], ...(issuer && { issuer }), ...more })
const root = authority('root')
const upper = authority('upper', root)
const lower = authority('lower', upper)
const altNames = [{ dns: 'localhost' }]
const issue = (issuer: Identity, more: Partial<CertificateOrder> = {}) =>
  issueCertificate({ issuer, subject: [['CN', 'localhost']], altNames, extendedKeyUsage: ['serverAuth'], ...more })
const server = issue(lower)
const client = issue(lower, { extendedKeyUsage: ['clientAuth'] })
const selfSigned = issueCertificate({ ca: true, subject: [['CN', 'localhost']], altNames })
const stranger = authority('stranger')
/** The same authority, also certified by another one. */
const { privateKey, publicKey } = lower
const crossSigned = authority('lower', stranger, { keyPair: { privateKey, publicKey } })

const check = (chain: readonly Identity[], key: Identity, verify = checkServerCertificate) => {
  const blocks = parseCertificates(chain.map(({ certificate }) => certificate).join(''), files.certFile)
  try {
    verify(blocks, key.privateKey, files)
    return 'accepted'
  } catch (error) {
    if (error instanceof FileProblem) return error.message
    throw error
  }
}
const lineOf = (...before: Identity[]) =>
  before.map(({ certificate }) => certificate.split('\n').length - 1).reduce((sum, lines) => sum + lines, 1)

t.test('accepts every chain that clients accept', t => {
  const chains: Record<string, readonly Identity[]> = {
    'the whole chain': [server, lower, upper, root],
    'without the root': [server, lower, upper],
    'with its issuer': [server, lower],
    'the certificate alone': [server],
    'an issuer with certificates of two authorities': [server, lower, crossSigned, upper],
    'both of them in the opposite order': [server, crossSigned, lower, stranger],
  }
  for (const [name, chain] of Object.entries(chains)) t.equal(check(chain, server), 'accepted', name)
  t.equal(check([selfSigned], selfSigned), 'accepted', 'self-signed, as openssl req -x509 creates it')
  for (const extendedKeyUsage of [[], ['serverAuth', 'clientAuth']] as const) {
    const other = issue(lower, { extendedKeyUsage })
    t.equal(check([other, lower], other), 'accepted', `usage: ${extendedKeyUsage}`)
  }
  t.end()
})

t.test('rejects a key type that TLS cannot sign with, and accepts every other', t => {
  const curves: Record<string, boolean> = {
    ...{ 'P-256': true, 'P-384': true, 'P-521': true, brainpoolP256r1: true },
    ...{ 'P-224': false, secp256k1: false, sect233r1: false, brainpoolP256t1: false },
  }
  const pairs: [name: string, pair: KeyPair, accepted: boolean][] = [
    ...Object.entries(curves).map(
      ([namedCurve, accepted]) => [namedCurve, generateKeyPairSync('ec', { namedCurve }), accepted] as never,
    ),
    ['Ed448', generateKeyPairSync('ed448'), true],
    ['RSA', generateKeyPairSync('rsa', { modulusLength: 2048 }), true],
    ['X25519', generateKeyPairSync('x25519'), false],
    ['DSA', generateKeyPairSync('dsa', { modulusLength: 2048, divisorLength: 256 }), false],
  ]
  for (const [name, keyPair, accepted] of pairs) {
    const own = issue(lower, { keyPair })
    const says = check([own, lower], own)
    if (accepted) t.equal(says, 'accepted', name)
    else t.match(says, /^server.crt, line 1: TLS has no signature scheme for this type of key \(/, name)
  }
  t.end()
})

t.test('rejects a chain that clients cannot verify, and names the line of the wrong certificate', t => {
  const wrong: Record<string, readonly [chain: readonly Identity[], key: Identity, says: string]> = {
    'the leaf is last': [
      [root, upper, lower, server],
      server,
      `server.crt, line ${lineOf(root, upper, lower)}: the certificate of the key in server.key is not the first one in the file; move it to the top, followed by its issuers`,
    ],
    'the key of another certificate': [
      [server, lower],
      client,
      'server.key: this key does not belong to any certificate in server.crt; use the key with which the certificate was requested',
    ],
    'the key of the authority': [
      [server, lower],
      lower,
      `server.crt, line ${lineOf(server)}: the certificate of the key in server.key is not the first one in the file; move it to the top, followed by its issuers`,
    ],
    'an authority': [
      [root],
      root,
      'server.crt, line 1: this is the certificate of an authority; use the server certificate that this authority issued',
    ],
    'a client certificate': [
      [client, lower],
      client,
      'server.crt, line 1: this certificate is for clients only: its extended key usage lacks serverAuth; get a server certificate from the authority',
    ],
    'issuers in the wrong order': [
      [server, upper, lower],
      server,
      `server.crt, line ${lineOf(server)}: this certificate is before one that it issued; reorder the file: each issuer after the certificate that it issued`,
    ],
    'a missing intermediate certificate': [
      [server, upper, root],
      server,
      `server.crt, line ${lineOf(server)}: this certificate issued none of those before it: an intermediate certificate is missing, or this one belongs to another chain; use the chain as the authority provides it, without other certificates`,
    ],
    'a certificate of another chain': [
      [server, lower, stranger],
      server,
      `server.crt, line ${lineOf(server, lower)}: this certificate issued none of those before it: an intermediate certificate is missing, or this one belongs to another chain; use the chain as the authority provides it, without other certificates`,
    ],
    'the same certificate twice': [
      [server, server],
      server,
      `server.crt, line ${lineOf(server)}: this certificate issued none of those before it: an intermediate certificate is missing, or this one belongs to another chain; use the chain as the authority provides it, without other certificates`,
    ],
  }
  for (const [name, [chain, key, says]] of Object.entries(wrong)) t.equal(check(chain, key), says, name)
  t.end()
})

t.test('requires only that the certificate of a client matches its key', t => {
  t.equal(check([client, lower], client, checkKeyOfLeaf), 'accepted')
  t.equal(check([client, upper], client, checkKeyOfLeaf), 'accepted')
  t.match(check([client, lower], server, checkKeyOfLeaf), /^server\.key: this key does not belong to any certificate/)
  t.match(check([lower, client], client, checkKeyOfLeaf), /is not the first one in the file/)
  t.end()
})
