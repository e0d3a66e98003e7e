// Behind a proxy that terminates TLS, a header contains the client certificate. Without that proxy, anyone can send it.
import { X509Certificate } from 'node:crypto'
import { attempt } from '../attempt.ts'
import type { Identity } from '../cast.ts'
import type { Scenario } from '../scenario.ts'
import { playSeries } from '../series.ts'
import type { Stage } from '../stage.ts'
import { findOther, steal } from '../thief.ts'

export const scenario: Scenario = {
  id: 'forged-certificate-headers',
  sentence: 'A stolen token is sent with headers that proxies use to pass on a client certificate, naming its client.',
  stolen: 'the token; certificates are public',
  thief: 'their own certificate, or none',
  control: 'the token on the connection of its client, with the same headers',
  expected: 'refused: the certificate is that of the connection',
  demandedBy: ['RFC 8705 §3, §6.5', 'RFC 9440 §4', 'RFC 9700 §4.13'],
  stoppedAt: ['certificate', 'proof', 'connection'],
  remedy:
    'Read the certificate from the TLS connection itself. Behind a proxy, accept the header only from that proxy, and configure it to remove such headers from client requests',
  async run(stage) {
    const victim = await stage.victim()
    const headers = buildHeaders(stage.cast.alice)
    const all = Object.assign({}, headers['in the format of RFC 9440'], headers['in the format of Envoy'])
    const control = () => attempt('by its client', () => stage.use(victim.connection, victim.token, { headers: all }))
    const controls = [await control()]
    const loot = steal(stage, victim)
    const play = (who: Identity | null, of: typeof headers, when: string) =>
      playSeries(
        async () => ({ connection: await stage.connect(who) }),
        of,
        ({ connection }, forged) => connection.call(stage.resourcePath, { ...loot, headers: forged }),
        when,
      )
    const other = findOther(stage)
    const thefts = [
      ...(other === null ? [] : await play(other, headers, ', with another certificate')),
      ...(await play(null, fewOf(headers, stage), ', without a certificate')),
    ]
    return { controls: [...controls, await control()], thefts }
  },
}

type Headers = Readonly<Record<string, string>>

/** The headers of known proxies: nginx, Apache, HAProxy, Envoy, Traefik, and those of clouds. */
function buildHeaders({ certificate }: Identity): Readonly<Record<string, Headers>> {
  const x509 = new X509Certificate(certificate)
  const der = x509.raw.toString('base64')
  const hex = x509.fingerprint256.replaceAll(':', '').toLowerCase()
  const x5t = Buffer.from(hex, 'hex').toString('base64url')
  const pem = encodeURIComponent(certificate)
  const verified = { 'x-ssl-client-verify': 'SUCCESS', 'x-client-verify': 'SUCCESS', 'ssl-client-verify': 'SUCCESS' }
  const subject = x509.subject.split('\n').join(',')
  const named = (names: readonly string[], value: string) => Object.fromEntries(names.map(name => [name, value]))
  const groups = [
    ['client-cert', 'x-client-cert', 'x-client-certificate'],
    ['x-ssl-client-cert', 'x-ssl-cert', 'ssl-client-cert'],
    ['x-forwarded-client-cert', 'x-forwarded-tls-client-cert', 'x-tls-client-cert'],
    ['x-arr-clientcert', 'x-amzn-mtls-clientcert', 'x-amzn-mtls-clientcert-leaf'],
  ]
  const forms = { PEM: pem, DER: der, 'x5t#S256': x5t, 'a subject': subject }
  const grouped = groups.flatMap(names =>
    Object.entries(forms).map(([form, value]) => [
      `${names[0]} and others, as ${form}`,
      { ...verified, ...named(names, value) },
    ]),
  )
  return {
    'in the format of RFC 9440': { 'client-cert': `:${der}:`, 'client-cert-chain': `:${der}:` },
    'in the format of Envoy': { 'x-forwarded-client-cert': `Hash=${hex};Cert="${pem}";Subject="${subject}"` },
    'as fingerprints': named(['x-ssl-client-sha256', 'x-client-fingerprint', 'x-ssl-client-fingerprint'], hex),
    'as subjects': { ...verified, ...named(['x-ssl-client-s-dn', 'ssl-client-subject-dn', 'x-client-dn'], subject) },
    ...Object.fromEntries(grouped),
  }
}

/** Returns fewer headers, because without a certificate each attempt may need a new connection. */
function fewOf(headers: Readonly<Record<string, Headers>>, { options }: Stage): typeof headers {
  return Object.fromEntries(Object.entries(headers).slice(0, options.maximumConnections < 20 ? 2 : 6))
}
