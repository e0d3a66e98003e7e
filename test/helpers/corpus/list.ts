// Builds revocation lists from parts, each of which an entry of the corpus can replace by arbitrary octets (RFC 5280 §5.1).
import { type Authority, authorityKeyIdentifier, DAY, extension, from } from './certificate.ts'
import { boolean, context, element, implicit, integer, pem, sequence } from './der.ts'
import { type Algorithm, algorithmOf, signatureBits } from './keys.ts'

export interface RevokedCertificate {
  /** INTEGER, as in the certificate. */
  readonly serial: Buffer
  readonly since?: Buffer
  readonly extensions?: readonly Buffer[]
}

export interface ListOrder {
  readonly by: Pick<Authority, 'name' | 'key' | 'identifier'>
  readonly revoked?: readonly RevokedCertificate[]
  /** Default: version 2. null: none, which is version 1. */
  readonly version?: Buffer | null
  readonly issuer?: Buffer
  readonly thisUpdate?: Buffer
  /** null: none. */
  readonly nextUpdate?: Buffer | null
  readonly number?: number
  /** Replaces the default ones. null: none at all. */
  readonly extensions?: readonly Buffer[] | null
  /** Appended to them. */
  readonly more?: readonly Buffer[]
  readonly algorithm?: Algorithm
  readonly innerAlgorithm?: Buffer
  readonly sign?: (content: Buffer) => Buffer
  readonly content?: (content: Buffer) => Buffer
  /** Writes an empty list of entries explicitly. */
  readonly writesEmpty?: boolean
}

/** Builds the DER of a revocation list; its default number is 1. */
export function buildList(order: ListOrder): Buffer {
  const { by, revoked = [], thisUpdate = from(-60_000), nextUpdate = from(60 * DAY), number = 1 } = order
  const algorithm = order.algorithm ?? algorithmOf(by.key)
  const entries = revoked.map(({ serial, since = from(-60_000), extensions = [] }) =>
    sequence(serial, since, extensions.length > 0 ? sequence(...extensions) : undefined),
  )
  const standard = [authorityKeyIdentifier(by.identifier), extension('crlNumber', integer(number))]
  const extensions = [...(order.extensions === undefined ? standard : (order.extensions ?? [])), ...(order.more ?? [])]
  const parts = sequence(
    order.version === null ? undefined : (order.version ?? integer(1)),
    order.innerAlgorithm ?? algorithm.identifier,
    order.issuer ?? by.name,
    thisUpdate,
    nextUpdate ?? undefined,
    entries.length > 0 || order.writesEmpty === true ? sequence(...entries) : undefined,
    extensions.length > 0 ? context(0, sequence(...extensions)) : undefined,
  )
  const content = order.content?.(parts) ?? parts
  return sequence(content, algorithm.identifier, order.sign?.(content) ?? signatureBits(algorithm, content, by.key))
}

export const pemOfList = (der: Buffer): string => pem('X509 CRL', der)

export const reason = (code: number, critical = false): Buffer =>
  extension('reasonCode', element(0x0a, Buffer.from([code])), critical)

export interface Scope {
  /** GeneralNames of the distribution point. */
  readonly names?: readonly Buffer[]
  /** A relative name instead of `names`. */
  readonly relative?: Buffer
  readonly onlyUsers?: boolean
  readonly onlyAuthorities?: boolean
  readonly onlyAttributes?: boolean
  readonly reasons?: Buffer
  readonly indirect?: boolean
}

/** IssuingDistributionPoint (RFC 5280 §5.2.5). */
export function scope({ names, relative, reasons, ...flags }: Scope, critical = true): Buffer {
  const flag = (tag: number, value?: boolean) => (value === true ? implicit(tag, boolean().subarray(2)) : undefined)
  const point = names ? context(0, ...names) : relative && context(1, relative)
  return extension(
    'issuingDistributionPoint',
    sequence(
      point && context(0, point),
      flag(1, flags.onlyUsers),
      flag(2, flags.onlyAuthorities),
      reasons && implicit(3, reasons),
      flag(4, flags.indirect),
      flag(5, flags.onlyAttributes),
    ),
    critical,
  )
}
