// Signed requests: an HTTP message signature (RFC 9421) with the key of the client certificate, over the request, its token and
// the channel binding of its connection. docs/reference/signed-requests.md defines the form.
import { type KeyObject, randomBytes, timingSafeEqual } from 'node:crypto'
import { parseAuthority } from './authority.ts'
import { channelBindingField, formatChannelBinding, parseChannelBinding } from './channel-binding-field.ts'
import { type Digests, digestField, parseContentDigest } from './content-digest.ts'
import type { DetailOf, RefusalFacts } from './details.ts'
import { OAuthError } from './errors.ts'
import {
  buildSignatureBase,
  componentValue,
  formatSignature,
  type MessageSignature,
  parseSignatures,
  type SignedMessage,
  signatureAlgorithmOf,
  signatureKeys,
  signSignatureBase,
  verifySignatureBase,
} from './http-signature.ts'
import type { Presenter } from './presenter.ts'
import { describeKey } from './proof-algorithm.ts'
import { FieldError, type Item } from './structured-fields.ts'

export { channelBindingField }

/** The parameter `tag` of these signatures. Signatures with another tag are ignored. */
export const signatureTag = 'tlsbound-request'

/** Components that every signature must cover. */
const always: readonly string[] = ['@method', '@target-uri', 'authorization', channelBindingField]

/** Seconds: the longest time from `created` to `expires`, and the most that `created` may be in the future. */
export const signatureWindow = { lifetime: 60, future: 5 } as const

/** Limits of the fields Signature-Input and Signature: characters of each, and signatures. */
export const signatureLimits = { characters: 8192, labels: 16 } as const

const parameterNames: readonly string[] = ['created', 'expires', 'nonce', 'keyid', 'alg', 'tag']

/**
 * The value of Accept-Signature in a challenge (RFC 9421 §5.1). A parameter without a value is one that the signer chooses.
 * `content-type` and `content-digest` are covered when the request has them.
 */
export const acceptSignature = `sig=(${[...always, 'content-type', digestField].map(name => `"${name}"`).join(' ')});created;expires;nonce;keyid;tag="${signatureTag}"`

/** A request whose signature is verified. */
export interface SignedRequest extends SignedMessage {
  /** Whether the request has a body, which can be empty. */
  readonly hasBody: boolean
}

export interface VerifiedSignature {
  /** 1 to 64 characters. The caller must check whether the connection used it before. */
  readonly nonce: string
  /** The digests that the body must have; undefined if the request has neither a body nor Content-Digest. */
  readonly digests: Digests | undefined
}

/**
 * Verifies that this presenter signed this request, for this connection, and that the signature is valid at `now`, in seconds since
 * 1970. Does not verify the body.
 * @throws OAuthError `signature_missing`, `signature_invalid` or `digest_invalid`.
 */
export function verifySignedRequest(
  request: SignedRequest,
  { certificate, bindings }: Presenter,
  now: number,
): VerifiedSignature {
  const key = certificate.x509.publicKey
  const algorithm = signatureAlgorithmOf(key)
  if (algorithm === undefined) return refuse('key_kind', { found: describeKey(key), expected: signatureKeys })
  const found = findSignature(request)
  const { nonce, created, expires } = readParameters(found, certificate.thumbprint, algorithm)
  const digests = readDigests(request)
  // With a slash in it, another split of the same URI into host and target would be signed too.
  if (parseAuthority(request.authority) === undefined) refuse('component', { found: 'a Host that is not HOST:PORT' })
  requireCoverage(found, request)
  if (expires - created > signatureWindow.lifetime || created > now + signatureWindow.future || now > expires)
    refuse('outside_window', { found: `${created} to ${expires}`, limit: signatureWindow.lifetime, now })
  requireChannelBinding(request, bindings['tls-exporter'])
  const base = buildBase(found, request)
  // Last, because it is the most expensive check.
  if (!verifySignatureBase(algorithm, base, key, found.signature)) refuse('wrong_signature', { alg: algorithm })
  return { nonce, digests }
}

function findSignature(request: SignedRequest): MessageSignature {
  const [input, signature] = ['signature-input', 'signature'].map(name => {
    const value = request.field(name)
    if (value === undefined)
      throw new OAuthError('use_signed_request', 'signature_missing', 'header_missing', { header: name })
    if (value.length > signatureLimits.characters)
      refuse('too_long', { header: name, limit: signatureLimits.characters })
    return value
  }) as [string, string]
  const all = parse(input, signature)
  if (all.length > signatureLimits.labels) refuse('labels', { found: all.length, limit: signatureLimits.labels })
  const [found, second] = all.filter(({ parameters }) => parameters.get('tag') === signatureTag)
  if (found === undefined)
    throw new OAuthError('use_signed_request', 'signature_missing', 'other_tag', { expected: signatureTag })
  if (second !== undefined) refuse('two_signatures', { found: `${found.label} ${second.label}` })
  return found
}

interface Parameters {
  readonly nonce: string
  readonly created: number
  readonly expires: number
}

/** Rejects unknown parameters, because one could be a restriction. */
function readParameters({ parameters }: MessageSignature, thumbprint: string, algorithm: string): Parameters {
  const unknown = [...parameters.keys()].find(name => !parameterNames.includes(name))
  if (unknown !== undefined) refuse('parameter', { parameter: unknown })
  const [created, expires] = ['created', 'expires'].map(name => {
    const value = parameters.get(name)
    return Number.isInteger(value) && (value as number) >= 0
      ? (value as number)
      : refuse('parameter', { parameter: name })
  }) as [number, number]
  const nonce = parameters.get('nonce')
  if (typeof nonce !== 'string' || nonce.length < 1 || nonce.length > 64)
    return refuse('parameter', { parameter: 'nonce' })
  const keyid = parameters.get('keyid')
  if (typeof keyid !== 'string') return refuse('parameter', { parameter: 'keyid' })
  if (keyid !== thumbprint) refuse('other_key', { parameter: 'keyid', found: keyid, expected: thumbprint })
  const alg = parameters.get('alg') ?? algorithm
  if (typeof alg !== 'string') return refuse('parameter', { parameter: 'alg' })
  if (alg !== algorithm) refuse('other_key', { parameter: 'alg', found: alg, expected: algorithm })
  return { nonce, created, expires }
}

function requireCoverage({ covered: [components] }: MessageSignature, request: SignedRequest): void {
  const withParameters = components.find(([, parameters]) => parameters.size > 0)
  if (withParameters !== undefined) refuse('component', { found: `${withParameters[0]} with parameters` })
  const names = new Set(components.map(([name]) => name))
  const missing = requiredComponents(request).find(name => !names.has(name))
  if (missing !== undefined) refuse('component_missing', { member: missing })
}

function requiredComponents({ field, hasBody }: SignedRequest): string[] {
  return [
    ...always,
    ...(field('content-type') === undefined ? [] : ['content-type']),
    ...(hasBody || field(digestField) !== undefined ? [digestField] : []),
  ]
}

function readDigests({ field, hasBody }: SignedRequest): Digests | undefined {
  const value = field(digestField)
  if (value === undefined) {
    if (hasBody) throw new OAuthError('invalid_signature', 'digest_invalid', 'missing')
    return undefined
  }
  let digests: Digests
  try {
    digests = parseContentDigest(value)
  } catch (error) {
    throw new OAuthError('invalid_signature', 'digest_invalid', 'form', { found: describeFieldError(error) })
  }
  if (digests.size === 0) throw new OAuthError('invalid_signature', 'digest_invalid', 'algorithm')
  return digests
}

function requireChannelBinding({ field }: SignedRequest, own: string | undefined): void {
  const stated = parseChannelBinding(field(channelBindingField) ?? '')
  if (stated === undefined) refuse('channel_binding', { header: channelBindingField })
  if (own === undefined) refuse('no_channel_binding')
  if (!timingSafeEqual(stated, Buffer.from(own, 'base64url'))) refuse('other_connection')
}

function buildBase({ covered }: MessageSignature, request: SignedRequest): Buffer {
  try {
    return buildSignatureBase(covered, name => componentValue(request, name))
  } catch (error) {
    return refuse('component', { found: describeFieldError(error) })
  }
}

function parse(input: string, signature: string): MessageSignature[] {
  try {
    return parseSignatures(input, signature)
  } catch (error) {
    return refuse('form', { found: describeFieldError(error) })
  }
}

/** Without quotes, which an error_description must not contain (RFC 6749 §5.2). Rethrows any other error. */
function describeFieldError(error: unknown): string {
  if (!(error instanceof FieldError)) throw error
  return error.message.replace(/["\\]/g, '')
}

function refuse(detail: DetailOf<'signature_invalid'>, facts?: RefusalFacts): never {
  throw new OAuthError('invalid_signature', 'signature_invalid', detail, facts)
}

/** What a signature needs besides the request. */
export interface SigningOptions {
  /** The private key of the certificate. */
  readonly key: KeyObject
  /** `x5t#S256` of the certificate. */
  readonly thumbprint: string
  /** `readChannelBindings(socket, 'client')['tls-exporter']` of the connection that carries the request. */
  readonly channelBinding: string
  /** Seconds since 1970. */
  readonly now: number
  /** Default: 128 random bits. */
  readonly nonce?: string
  /** Components to cover besides the required ones: names in lower case. */
  readonly also?: readonly string[]
}

/** The fields that a signed request carries, in lower case. */
export interface SignatureFields {
  readonly 'tls-channel-binding': string
  readonly 'signature-input': string
  readonly signature: string
}

/**
 * Signs a request for one connection. Its fields must be those that are sent: `authorization`, `content-type` if it is sent, and
 * `content-digest` if the request has a body (`buildContentDigest`).
 * @throws TypeError for a key type that cannot sign requests, or a required field that is missing.
 */
export function signRequest(request: SignedRequest, options: SigningOptions): SignatureFields {
  const { key, thumbprint, channelBinding, now, nonce = randomBytes(16).toString('base64url'), also = [] } = options
  const algorithm = signatureAlgorithmOf(key)
  if (algorithm === undefined)
    throw new TypeError(
      `a signed request needs a key of one of these kinds: ${signatureKeys}; this one is ${describeKey(key)}`,
    )
  const binding = formatChannelBinding(channelBinding)
  const created = Math.floor(now)
  const covered: [Item[], Map<string, string | number>] = [
    [...new Set([...requiredComponents(request), ...also])].map((name): Item => [name, new Map()]),
    new Map<string, string | number>([
      ['created', created],
      ['expires', created + signatureWindow.lifetime],
      ['nonce', nonce],
      ['keyid', thumbprint],
      ['tag', signatureTag],
    ]),
  ]
  let base: Buffer
  try {
    base = buildSignatureBase(covered, name => (name === channelBindingField ? binding : componentValue(request, name)))
  } catch (error) {
    throw new TypeError(`the request cannot be signed: ${(error as Error).message}`)
  }
  const { input, signature } = formatSignature('sig', covered, signSignatureBase(algorithm, base, key))
  return { [channelBindingField]: binding, 'signature-input': input, signature }
}
