// Certificates of clients: what Node reports about them, and where it fails.
import { spawnSync } from 'node:child_process'
import { createHash, generateKeyPairSync } from 'node:crypto'
import { issueCertificate } from '../../src/pki/certificate.ts'
import { octetString, oid, sequence } from '../../src/pki/der.ts'
import { alice, atMost, type Fact, pki, withServer } from './fact.ts'

const describeVerdict = (client: object) => () =>
  withServer({}, async ({ connect }) => {
    const { server } = await connect(client)
    return `authorized: ${server.authorized}, ${server.authorizationError ?? 'no error'}`
  })

const identity = ({ certificate, key }: { certificate: string; key: string }) => ({ cert: certificate, key })
const issue = (more: object) =>
  identity(issueCertificate({ subject: [['CN', 'alice']], issuer: pki.ca, extendedKeyUsage: ['clientAuth'], ...more }))
const yesterday = { notBefore: new Date(Date.now() - 172_800_000), notAfter: new Date(Date.now() - 86_400_000) }

export const certificates: readonly Fact[] = [
  {
    about: 'a certificate of a trusted authority',
    expected: 'authorized: true, no error',
    isNeeded: true,
    measure: describeVerdict(alice),
  },
  {
    about: 'no certificate',
    expected: 'authorized: false, UNABLE_TO_GET_ISSUER_CERT',
    isNeeded: true,
    measure: describeVerdict({}),
  },
  {
    about: 'a certificate of an unknown authority',
    expected: 'authorized: false, UNABLE_TO_VERIFY_LEAF_SIGNATURE',
    isNeeded: true,
    measure: describeVerdict(identity(pki.stranger)),
  },
  {
    about: 'an expired certificate',
    expected: 'authorized: false, CERT_HAS_EXPIRED',
    isNeeded: true,
    measure: describeVerdict(issue(yesterday)),
  },
  {
    about: 'a certificate for servers',
    expected: 'authorized: false, INVALID_PURPOSE',
    isNeeded: true,
    measure: describeVerdict(issue({ extendedKeyUsage: ['serverAuth'] })),
  },
  {
    about: 'getPeerX509Certificate() at the server',
    expected: 'the octets that the client has sent',
    isNeeded: true,
    measure: () =>
      withServer({}, async ({ connect }) => {
        const { server } = await connect(alice)
        const raw = server.getPeerX509Certificate()?.raw ?? Buffer.alloc(0)
        return digest(raw) === digest(pki.alice.x509.raw) ? 'the octets that the client has sent' : 'other octets'
      }),
  },
  {
    about: 'toLegacyObject() of a certificate on a curve without a NIST name',
    expected: 'ends the process',
    isNeeded: false,
    async measure() {
      const keyPair = generateKeyPairSync('ec', { namedCurve: 'brainpoolP256r1' })
      const { certificate } = issueCertificate({ subject: [['CN', 'a']], keyPair })
      const program = `new crypto.X509Certificate(${JSON.stringify(certificate)}).toLegacyObject()`
      return spawnSync(process.execPath, ['-e', program]).status === 0 ? 'returns an object' : 'ends the process'
    },
  },
  {
    about: 'a connection on whose data keyUsage of a malformed certificate is read',
    expected: 'is closed by an error of OpenSSL',
    isNeeded: false,
    measure: () =>
      withServer({}, async ({ connect }) => {
        const { server, client } = await connect(alice)
        const malformed = sequence([oid('2.5.29.37'), octetString(Buffer.from([0x30, 2, 0x06, 9]))])
        const { x509 } = issueCertificate({ subject: [['CN', 'a']], extensions: [malformed] })
        const seen = new Promise<string>(resolve => {
          server.once('error', () => resolve('is closed by an error of OpenSSL'))
          server.once('data', () => {
            void x509.keyUsage
            server.once('data', () => resolve('stays'))
            setImmediate(() => client.write('.'))
          })
        })
        client.write('.')
        return atMost(3000, seen).catch(error => (error as Error).message)
      }),
  },
]

const digest = (octets: Buffer) => createHash('sha256').update(octets).digest('hex')
