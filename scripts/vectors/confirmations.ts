// Builds the vectors of the `cnf` claim: the claim that an issuer writes for a connection, and the verdict of a resource
// server.
import { hash } from 'node:crypto'
import { proofLabel } from '../../test/helpers/tokens/forge-proof.ts'
import type { ConfirmationVectors, KeySet } from '../../test/helpers/vectors.ts'
import { kidOf } from './keys.ts'

const about =
  'The cnf claim: is a token with these claims good on this connection, and at which level? See README.md. All keys are PUBLIC TEST KEYS of keys.json.'

const value = (name: string, length = 32) => hash('sha256', name, 'buffer').subarray(0, length).toString('base64url')
const exporter = value('tls-exporter')
const later = value('tls-exporter, a later connection')
const unique = value('tls-unique', 12)
const s256 = (octets: string) => hash('sha256', Buffer.from(octets, 'base64url'), 'base64url')

const connections = {
  'TLS 1.3': { kid: kidOf('p256'), bindings: { 'tls-exporter': exporter } },
  'TLS 1.2': { kid: kidOf('p256'), bindings: { 'tls-exporter': exporter, 'tls-unique': unique } },
  'TLS 1.2 without extended master secret': { kid: kidOf('p256'), bindings: {} },
  'TLS 1.3, a later connection': { kid: kidOf('p256'), bindings: { 'tls-exporter': later } },
  'TLS 1.3, another certificate': { kid: kidOf('other'), bindings: { 'tls-exporter': exporter } },
} satisfies ConfirmationVectors['connections']
type Name = keyof typeof connections

export function buildConfirmationVectors({ keys }: KeySet): ConfirmationVectors {
  const x5t = keys.find(({ kid }) => kid === kidOf('p256'))?.['x5t#S256'] as string
  return { about, connections, issue: buildIssued(x5t), present: buildPresented(x5t) }
}

function buildIssued(x5t: string): ConfirmationVectors['issue'] {
  const names = ['TLS 1.3', 'TLS 1.2', 'TLS 1.2 without extended master secret'] as const
  return names.flatMap(connection =>
    (['certificate', 'proof', 'connection'] as const).map(level => {
      const offered = Object.entries(connections[connection].bindings as Record<string, string>)
      if (offered.length === 0 && level !== 'certificate') return { connection, level, outcome: 'binding_unavailable' }
      const more = {
        certificate: {},
        proof: { tls_exp: proofLabel },
        connection: Object.fromEntries(offered.map(([type, octets]) => [`${type}#S256`, s256(octets)])),
      }
      return { connection, level, outcome: 'issued', cnf: { 'x5t#S256': x5t, ...more[level] } }
    }),
  )
}

type Row = readonly [outcome: string, name: string, cnf: unknown, connection?: Name, proof?: boolean]

function buildPresented(x5t: string): ConfirmationVectors['present'] {
  const certificate = { 'x5t#S256': x5t }
  const proof = { ...certificate, tls_exp: proofLabel }
  const bound = { ...certificate, 'tls-exporter#S256': s256(exporter) }
  const bound12 = { ...bound, 'tls-unique#S256': s256(unique) }
  const none = 'TLS 1.2 without extended master secret'
  const good: readonly Row[] = [
    ['certificate', 'certificate', certificate],
    ['certificate', 'certificate, on a later connection', certificate, 'TLS 1.3, a later connection'],
    ['certificate', 'certificate, where there is no binding', certificate, none],
    ['certificate', 'certificate, a proof beside it says nothing', certificate, 'TLS 1.3', true],
    ['proof', 'proof', proof, 'TLS 1.3', true],
    ['proof', 'proof, on a later connection', proof, 'TLS 1.3, a later connection', true],
    ['proof', 'proof, on TLS 1.2', proof, 'TLS 1.2', true],
    ['connection', 'connection', bound],
    ['connection', 'connection, on TLS 1.2', bound12, 'TLS 1.2'],
    ['connection', 'connection, a proof beside it says nothing', bound, 'TLS 1.3', true],
  ]
  const bad: readonly Row[] = [
    ...[certificate, proof, bound].map(
      (cnf, at): Row => [
        'certificate_mismatch',
        `another certificate, level ${['certificate', 'proof', 'connection'][at]}`,
        cnf,
        'TLS 1.3, another certificate',
        true,
      ],
    ),
    ['proof_missing', 'level proof without a proof', proof],
    ['connection_mismatch', 'another connection', bound, 'TLS 1.3, a later connection'],
    ['connection_mismatch', 'another connection, with a proof', bound, 'TLS 1.3, a later connection', true],
    ['connection_mismatch', 'a connection without binding', bound, none],
    ['connection_mismatch', 'a binding less than the connection offers', bound, 'TLS 1.2'],
    ['connection_mismatch', 'a binding more than the connection offers', bound12],
    ['connection_mismatch', 'one of two is wrong', { ...bound12, 'tls-unique#S256': s256(exporter) }, 'TLS 1.2'],
    ['connection_mismatch', 'the binding not hashed', { ...bound, 'tls-exporter#S256': exporter }],
    ...malformed(x5t, bound).map(([name, cnf]): Row => ['confirmation_malformed', name, cnf, 'TLS 1.3', true]),
  ]
  return [...good, ...bad].map(([outcome, name, cnf, connection = 'TLS 1.3', hasProof = false]) => {
    const claims = cnf === undefined ? {} : { cnf }
    return { name, connection, proof: hasProof, claims, outcome }
  })
}

function malformed(x5t: string, bound: object): (readonly [name: string, cnf: unknown])[] {
  const label = { tls_exp: proofLabel }
  return [
    ['no cnf', undefined],
    ['cnf null', null],
    ['cnf a text', x5t],
    ['cnf a list', [bound]],
    ['cnf empty', {}],
    ['no certificate, level connection', { ...bound, 'x5t#S256': undefined }],
    ['no certificate, level proof', label],
    ['a thumbprint with padding', { 'x5t#S256': `${x5t}=` }],
    ['a thumbprint in hexadecimal digits', { 'x5t#S256': Buffer.from(x5t, 'base64url').toString('hex') }],
    ['a thumbprint that is cut', { 'x5t#S256': x5t.slice(0, -1) }],
    ['a thumbprint in a list', { 'x5t#S256': [x5t] }],
    ['a thumbprint with stray bits', { 'x5t#S256': `${'A'.repeat(42)}B` }],
    ['a binding that is null', { ...bound, 'tls-exporter#S256': null }],
    ['a binding that is empty', { ...bound, 'tls-exporter#S256': '' }],
    ['a binding of an unknown type', { ...bound, 'tls-server-end-point#S256': x5t }],
    ['a key', { ...bound, jkt: x5t }],
    ['a label beside a binding', { ...bound, ...label }],
    ['another label', { 'x5t#S256': x5t, tls_exp: 'EXPORTER-Channel-Binding' }],
    ['a label that is true', { 'x5t#S256': x5t, tls_exp: true }],
    ['a label in a list', { 'x5t#S256': x5t, tls_exp: [proofLabel] }],
    ['a label in capitals', { 'x5t#S256': x5t, tls_exp: proofLabel.toUpperCase() }],
    ['a label and something unknown', { 'x5t#S256': x5t, ...label, jkt: x5t }],
  ]
}
