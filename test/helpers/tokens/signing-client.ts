// A client without a connection, for tests of signed requests: a key, its certificate, an invented channel binding. It signs
// anything, also what `signRequest` would not.
import { createHash, type KeyObject } from 'node:crypto'
import { buildContentDigest } from '../../../src/core/content-digest.ts'
import { OAuthError } from '../../../src/core/errors.ts'
import {
  buildSignatureBase,
  type CoveredComponents,
  componentValue,
  formatSignature,
  signatureAlgorithmOf,
  signSignatureBase,
} from '../../../src/core/http-signature.ts'
import { type Presenter, readCertificate } from '../../../src/core/presenter.ts'
import { type SignedRequest, signRequest, verifySignedRequest } from '../../../src/core/signed-request.ts'
import type { BareItem } from '../../../src/core/structured-fields.ts'
import { issueCertificate } from '../../../src/pki/certificate.ts'
import type { KeyPair } from '../../../src/pki/signing.ts'

export const now = 1_800_000_000
export const bindingOf = (name: string) => createHash('sha256').update(name).digest('base64url')

export interface Message {
  readonly method: string
  readonly authority: string
  readonly target: string
  readonly fields: Readonly<Record<string, string>>
  readonly hasBody: boolean
}

export const plain: Message = {
  method: 'GET',
  authority: 'api.example:8443',
  target: '/notes?limit=10',
  fields: { authorization: 'Bearer header.claims.signature' },
  hasBody: false,
}
export const withBody: Message = {
  ...plain,
  method: 'POST',
  fields: { ...plain.fields, 'content-type': 'application/json', 'content-digest': buildContentDigest('{"a":1}') },
  hasBody: true,
}

export function toSigned({ fields, ...message }: Message): SignedRequest {
  return { ...message, field: name => (Object.hasOwn(fields, name) ? fields[name] : undefined) }
}

export interface SigningClient {
  readonly presenter: Presenter
  readonly key: KeyObject
  readonly thumbprint: string
  /** Returns the message with its signature. */
  sign(message?: Message, options?: Partial<Parameters<typeof signRequest>[1]>): Message
  /** Signs with changed parameters (undefined removes one) or components. */
  forge(message: Message, changes: Forgery): Message
  /** Returns `accepted`, or the reason and detail of a refusal. Rethrows any other exception. */
  verdict(message: Message, at?: number): string
}

export interface Forgery {
  readonly parameters?: Readonly<Record<string, BareItem | undefined>>
  readonly components?: readonly string[]
  readonly label?: string
  readonly key?: KeyObject
}

const authority = issueCertificate({ subject: [['CN', 'authority']], ca: true })

export function createSigningClient(keyPair: KeyPair, binding: string | undefined = bindingOf('one')): SigningClient {
  const { x509 } = issueCertificate({ subject: [['CN', 'client']], issuer: authority, keyPair })
  const certificate = readCertificate(x509)
  const { thumbprint } = certificate
  const key = keyPair.privateKey
  const bindings = binding === undefined ? {} : { 'tls-exporter': binding }
  const presenter: Presenter = { certificate, bindings }
  const add = (message: Message, fields: object): Message => ({ ...message, fields: { ...message.fields, ...fields } })
  return {
    ...{ presenter, key, thumbprint },
    sign: (message = plain, options = {}) =>
      add(
        message,
        signRequest(toSigned(message), { key, thumbprint, channelBinding: bindingOf('one'), now, ...options }),
      ),
    forge(message, { parameters = {}, components, label = 'sig', key: other = key }) {
      const bound = add(message, {
        'tls-channel-binding': `tls-exporter=:${Buffer.from(bindingOf('one'), 'base64url').toString('base64')}:`,
      })
      const names = components ?? [
        ...['@method', '@target-uri', 'authorization', 'tls-channel-binding'],
        ...['content-type', 'content-digest'].filter(name => message.fields[name] !== undefined),
      ]
      const all = {
        created: now,
        expires: now + 60,
        nonce: 'n',
        keyid: thumbprint,
        tag: 'tlsbound-request',
        ...parameters,
      }
      const given = Object.entries(all).filter((entry): entry is [string, BareItem] => entry[1] !== undefined)
      const covered: CoveredComponents = [names.map(name => [name, new Map()]), new Map(given)]
      const base = buildSignatureBase(covered, name => componentValue(toSigned(bound), name) ?? '')
      const algorithm = signatureAlgorithmOf(other) ?? 'ed25519'
      const { input, signature } = formatSignature(label, covered, signSignatureBase(algorithm, base, other))
      return add(bound, { 'signature-input': input, signature })
    },
    verdict(message, at = now) {
      try {
        verifySignedRequest(toSigned(message), presenter, at)
        return 'accepted'
      } catch (error) {
        if (error instanceof OAuthError) return `${error.reason} ${error.detail}`
        throw error
      }
    },
  }
}

/** Returns a message with other fields; undefined removes one. */
export function withFields(message: Message, fields: Readonly<Record<string, string | undefined>>): Message {
  const all = Object.entries({ ...message.fields, ...fields }).filter(([, value]) => value !== undefined)
  return { ...message, fields: Object.fromEntries(all) as Record<string, string> }
}
