// Builds the vectors of signed requests. Most signatures are random: a vector in the file that differs from its row in the signature
// alone stays unchanged.
import { hash, X509Certificate } from 'node:crypto'
import { buildContentDigest } from '../../src/core/content-digest.ts'
import { type SignedRequest, signRequest } from '../../src/core/signed-request.ts'
import type { KeySet, SignedVector, SignedVectors, TestKey } from '../../test/helpers/vectors.ts'
import { kidOf, privateKeyOf } from './keys.ts'
import { now } from './proof-case.ts'

const about =
  'Signed requests: is the signature of this request good on this connection? See README.md. All keys are PUBLIC TEST KEYS of keys.json.'

type Request = SignedVector['request']
type Fields = Readonly<Record<string, string>>

interface SignedCase {
  readonly name: string
  readonly wrong?: string
  /** Default: accepted, or `signature_invalid` if something is wrong. */
  readonly outcome?: string
  /** Default: p256. */
  readonly connection?: string
  /** The connection for which it is signed. */
  readonly madeOn?: string
  readonly request?: Request
  readonly clock?: number
  readonly also?: readonly string[]
  /** Changes the signed request. */
  readonly change?: (request: Request) => Request
}

const channelOf = (connection: string) => hash('sha256', `tls-exporter of ${connection}`, 'base64url')

const connections: Readonly<Record<string, string>> = {
  ...{ p256: 'p256', p384: 'p384', ed25519: 'ed25519', rsa: 'rsa' },
  ...{ 'p256, a later connection': 'p256', other: 'other', p521: 'p521' },
}

const get: Request = {
  method: 'GET',
  authority: 'api.example',
  target: '/notes?limit=10',
  fields: { authorization: 'Bearer header.claims.signature' },
  has_body: false,
}
const body = '{"text":"hello"}'
const post: Request = {
  ...get,
  method: 'POST',
  fields: { ...get.fields, 'content-type': 'application/json', 'content-digest': buildContentDigest(body) },
  has_body: true,
}
const withFields = (fields: Fields) => (request: Request) => ({ ...request, fields: { ...request.fields, ...fields } })
const input = (edit: (value: string) => string) => (request: Request) =>
  withFields({ 'signature-input': edit(request.fields['signature-input'] as string) })(request)
const without = (name: string) => (request: Request) => {
  const { [name]: _removed, ...fields } = request.fields
  return { ...request, fields }
}

const cases: readonly SignedCase[] = [
  ...['p256', 'p384', 'ed25519', 'rsa'].flatMap(connection => [
    { name: `${connection}, without a body`, connection },
    { name: `${connection}, with a body`, connection, request: post },
  ]),
  { name: 'further components', also: ['@authority', '@path', '@query', '@scheme', '@request-target'] },
  { name: 'the last second', clock: 60 },
  { name: 'a clock that is 5 s ahead', clock: -5 },
  { name: 'too old', clock: 61, wrong: 'expires has passed' },
  { name: 'too early', clock: -6, wrong: 'created is in the future' },
  { name: 'another method', wrong: 'signed for GET', change: one => ({ ...one, method: 'DELETE' }) },
  { name: 'another path', wrong: 'signed for /notes', change: one => ({ ...one, target: '/other?limit=10' }) },
  { name: 'another query', wrong: 'signed for limit=10', change: one => ({ ...one, target: '/notes?limit=11' }) },
  { name: 'another host', wrong: 'signed for api.example', change: one => ({ ...one, authority: 'other.example' }) },
  { name: 'another token', wrong: 'signed for another token', change: withFields({ authorization: 'Bearer a.b.c' }) },
  {
    name: 'another content type',
    request: post,
    wrong: 'signed as JSON',
    change: withFields({ 'content-type': 'text/plain' }),
  },
  {
    name: 'another digest',
    request: post,
    wrong: 'signed for another body',
    change: withFields({ 'content-digest': buildContentDigest('x') }),
  },
  {
    name: 'another connection',
    wrong: 'TLS-Channel-Binding of an earlier connection',
    connection: 'p256, a later connection',
    madeOn: 'p256',
  },
  {
    name: 'another certificate',
    wrong: 'signed with the key of another certificate',
    connection: 'other',
    madeOn: 'p256',
  },
  { name: 'a key that cannot sign', wrong: 'P-521 has no algorithm', connection: 'p521', madeOn: 'p256' },
  { name: 'no nonce', wrong: 'nonce is required', change: input(value => value.replace(/;nonce="[^"]*"/, '')) },
  { name: 'an unknown parameter', wrong: 'it could be a restriction', change: input(value => `${value};other`) },
  {
    name: 'a component with a parameter',
    wrong: 'components have none',
    change: input(value => value.replace('"@method"', '"@method";req')),
  },
  {
    name: 'a component is missing',
    wrong: 'authorization is required',
    change: input(value => value.replace('"authorization" ', '')),
  },
  { name: 'the same label twice', wrong: 'labels are unique', change: input(value => `${value}, ${value}`) },
  {
    name: 'another tag',
    wrong: 'the signature is for something else',
    outcome: 'signature_missing',
    change: input(value => value.replace('tlsbound-request', 'other')),
  },
  { name: 'no signature', wrong: 'Signature is missing', outcome: 'signature_missing', change: without('signature') },
  {
    name: 'no digest',
    wrong: 'the body has no digest',
    outcome: 'digest_invalid',
    change: one => ({ ...one, has_body: true }),
  },
  {
    name: 'another digest algorithm',
    request: post,
    wrong: 'neither sha-256 nor sha-512',
    outcome: 'digest_invalid',
    change: withFields({ 'content-digest': 'md5=:XrY7u+Ae7tCTyyK7j1rNww==:' }),
  },
]

export function buildSignedVectors({ keys }: KeySet, file: SignedVectors | undefined): SignedVectors {
  const find = (connection: string) =>
    keys.find(({ kid }) => kid === kidOf(connections[connection] as string)) as TestKey
  const kept = new Map(file?.vectors.map(vector => [vector.name, vector]))
  const vectors = cases.map(one => {
    const vector = buildVector(one, find)
    const old = kept.get(vector.name)
    return old !== undefined && unsigned(old) === unsigned(vector) ? old : vector
  })
  const described = Object.entries(connections).map(([name, key]) => [
    name,
    { kid: kidOf(key), channel_binding: channelOf(name) },
  ])
  return { about, body, connections: Object.fromEntries(described), vectors }
}

function buildVector(one: SignedCase, find: (connection: string) => TestKey): SignedVector {
  const {
    name,
    wrong,
    connection = 'p256',
    madeOn = connection,
    request = get,
    clock = 0,
    also = [],
    change = made => made,
  } = one
  const key = find(madeOn)
  const { has_body: hasBody, fields, ...rest } = request
  const message: SignedRequest = { ...rest, hasBody, field: field => fields[field] }
  const signed = signRequest(message, {
    ...{ key: privateKeyOf(key), channelBinding: channelOf(madeOn), now, also },
    thumbprint: hash('sha256', new X509Certificate(Buffer.from(key.x5c?.[0] as string, 'base64')).raw, 'base64url'),
    nonce: hash('sha256', name, 'base64url').slice(0, 22),
  })
  const outcome = one.outcome ?? (wrong === undefined ? 'accepted' : 'signature_invalid')
  const made = change({ ...request, fields: { ...fields, ...signed } })
  return { name, ...(wrong !== undefined && { wrong }), connection, request: made, now: now + clock, outcome }
}

/** A vector without the octets of its signature. */
function unsigned(vector: SignedVector): string {
  return JSON.stringify(vector).replace(/"signature":"[^"]*"/, '')
}
