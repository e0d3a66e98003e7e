// A certificate that a proxy forwards is verified without a handshake. Whatever OpenSSL rejects in one is rejected here too: for each
// client certificate of the corpus, and with each of its authorities and revocation lists.
import t from 'tap'
import { parseForwardedCertificate } from '../../src/core/forwarded-certificate.ts'
import { parseCertificates, parseRevocationLists } from '../../src/files/pem.ts'
import { loadTrust, type Trust } from '../../src/tls/trust.ts'
import { evaluateForwarded } from '../../src/tls/verify-forwarded.ts'
import { buildClients, buildTrusts } from '../helpers/corpus/corpus.ts'
import type { ClientEntry } from '../helpers/corpus/entry.ts'

/** Entries that a handshake rejects and this does not, with the reason. */
const others: readonly (readonly [names: RegExp, reason: string])[] = [
  [/^(?:proof: .*|chain: the key is another one's)$/, 'the proxy verifies what the client signs'],
  [/^chain: (?:over 100 KB|text behind the certificate|no octets behind the certificate)$/, 'a chain is not read'],
  [
    /^chain: two authorities of one name, without identifiers, the second issued it$/,
    'OpenSSL selects one of them before it verifies a signature',
  ],
]

function readTrust({ ca, crl }: { ca: string | Buffer; crl?: string | Buffer | undefined }): Trust | undefined {
  try {
    const authorities = parseCertificates(String(ca), 'ca').map(({ x509 }) => x509)
    const lists = crl === undefined ? [] : parseRevocationLists(String(crl), 'crl').map(({ der }) => der)
    return loadTrust(authorities, lists)
  } catch {
    return undefined // refused when it is loaded
  }
}

/** undefined: the certificate cannot be read at all. */
function evaluate({ chain: [leaf] }: ClientEntry, trust: Trust): string | undefined {
  const parsed = parseForwardedCertificate('client-cert', `:${leaf?.toString('base64')}:`)
  if (parsed.kind !== 'certificate') return undefined
  const { x509 } = parsed
  const { certificate, rejection } = evaluateForwarded(x509, { trust, isPinned: () => false }, Date.now())
  const now = Date.now() / 1000
  if (certificate === undefined) return rejection?.join(' ')
  // As requirePresenter does for each request.
  return now < certificate.notBefore || now > certificate.notAfter ? 'certificate_expired' : 'accepted'
}

t.test('accepts no client certificate that a handshake rejects', async t => {
  const [accepted, stricter, laxer]: [string[], string[], string[]] = [[], [], []]
  for (const client of buildClients()) {
    const trust = readTrust(client.trust)
    const verdict = trust && evaluate(client, trust)
    const isAccepted = client.verdict === 'accepted'
    if (verdict === 'accepted' && isAccepted) accepted.push(client.name)
    else if (verdict === 'accepted' && !others.some(([names]) => names.test(client.name)))
      laxer.push(`${client.name}: ${client.verdict}`)
    else if (isAccepted) stricter.push(client.name)
  }
  t.same(laxer, [])
  t.comment(`accepted: ${accepted.length}, rejected here only: ${stricter.length}`)
})

t.test('accepts no client with authorities and lists with which a handshake rejects it', async t => {
  const problems: string[] = []
  let accepted = 0
  for (const { name, files, served, refused } of buildTrusts()) {
    const trust = readTrust({ ca: files['ca.crt'] as string, crl: files['crl.pem'] })
    if (trust === undefined) continue
    for (const client of refused) if (evaluate(client, trust) === 'accepted') problems.push(`${name}: ${client.name}`)
    accepted += served.filter(client => evaluate(client, trust) === 'accepted').length
  }
  t.same(problems, [])
  t.comment(`accepted: ${accepted}`)
})
