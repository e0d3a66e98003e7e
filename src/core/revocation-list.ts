// Parses certificate revocation lists (RFC 5280 §5), and rejects lists that OpenSSL would not apply fully in a handshake. OpenSSL
// ignores delta and indirect lists, and rejects every client if a list has an unknown critical extension. Such a list is
// rejected here when it is loaded (measured with OpenSSL 3.5: test/attack/certificate/lists.test.ts).
import { type AuthorityKey, parseAuthorityKey, readExtension, readFullName } from './certificate-fields.ts'
import { isTime, readTime } from './certificate-time.ts'
import { type Element, ElementWalker, readElements, readSequence } from './der.ts'
import { readObjectIdentifier } from './object-identifier.ts'

/** The certificates of an authority that a list covers. */
export interface ListScope {
  readonly certificates: 'all' | 'clients' | 'authorities'
  /** Only certificates with one of these distribution points; empty: no restriction. */
  readonly uris: readonly string[]
}

export interface RevocationList {
  readonly issuer: Element
  readonly authorityKey: AuthorityKey | undefined
  /** Milliseconds since 1970; `nextUpdate` is undefined if the list has none. */
  readonly thisUpdate: number
  readonly nextUpdate: number | undefined
  /** The cRLNumber in hexadecimal digits. */
  readonly number: string | undefined
  readonly scope: ListScope
  readonly signature: ListSignature
  /** The number of revoked certificates. */
  readonly entries: number
  /** Returns the entry of a serial number; undefined if it is not revoked. */
  find(serial: Buffer): RevokedEntry | undefined
}

export interface ListSignature {
  /** The AlgorithmIdentifier of the signature. */
  readonly algorithm: Buffer
  /** The signed octets. */
  readonly signed: Buffer
  readonly value: Buffer
}

export interface RevokedEntry {
  /** Milliseconds since 1970; undefined if the date is invalid. OpenSSL applies the entry nevertheless. */
  readonly revokedAt: number | undefined
  /** The reasonCode, by its name in RFC 5280 §5.3.1. */
  readonly reason: string | undefined
}

/** A list that OpenSSL would not apply as intended. The message completes "the list …". */
export class UnusableListError extends Error {
  override readonly name = 'UnusableListError'
}

/** Parses the DER of a list. @throws RangeError if it is not a list, UnusableListError if it must not be used. */
export function parseRevocationList(der: Buffer): RevocationList {
  const [whole, outerAlgorithm, bits] = readSequence(der)
  const signed = readElements(whole?.content ?? Buffer.alloc(0))
  const [version] = signed
  if (version?.tag === integer && !version.content.equals(Buffer.from([1]))) throw new RangeError('an unknown version')
  const [algorithm, issuer, thisUpdate, ...rest] = version?.tag === integer ? signed.slice(1) : signed
  if (algorithm?.tag !== sequence || issuer?.tag !== sequence || thisUpdate === undefined || !isTime(thisUpdate.tag))
    throw new RangeError('not a certificate revocation list')
  const nextUpdate = isTime(rest[0]?.tag) ? rest.shift() : undefined
  const entries = rest[0]?.tag === sequence ? rest.shift()?.content : undefined
  const wrapped = rest[0]?.tag === 0xa0 ? rest.shift() : undefined
  if (rest.length > 0) throw new RangeError('not a certificate revocation list')
  const extensions = wrapped === undefined ? [] : readSequence(wrapped.content)
  checkExtensions(extensions)
  const authorityKey = readExtension({ extensions }, ids.authorityKeyIdentifier)
  const number = readExtension({ extensions }, ids.crlNumber)
  const scope = readExtension({ extensions }, ids.issuingDistributionPoint)
  const index = new EntryIndex(entries ?? Buffer.alloc(0))
  return {
    issuer,
    authorityKey: authorityKey && parseAuthorityKey(authorityKey),
    thisUpdate: requireTime(thisUpdate, 'thisUpdate'),
    nextUpdate: nextUpdate && requireTime(nextUpdate, 'nextUpdate'),
    signature: readSignature(der, algorithm, outerAlgorithm, bits),
    number: number && readElements(number)[0]?.content.toString('hex'),
    scope: scope === undefined ? { certificates: 'all', uris: [] } : parseScope(scope),
    entries: index.size,
    find: serial => index.find(serial),
  }
}

/** Returns whether two scopes overlap. */
export function isOverlapping(one: ListScope, other: ListScope): boolean {
  const kinds = new Set([one.certificates, other.certificates])
  if (kinds.size === 2 && !kinds.has('all')) return false
  return one.uris.length === 0 || other.uris.length === 0 || one.uris.some(uri => other.uris.includes(uri))
}

function checkExtensions(extensions: readonly Element[]): void {
  const seen = new Set<string>()
  for (const { content } of extensions) {
    const [id, critical] = readElements(content)
    if (id?.tag !== objectIdentifier) throw new RangeError('not an extension')
    const hex = id.content.toString('hex')
    if (seen.has(hex)) throw new RangeError('an extension occurs twice')
    seen.add(hex)
    if (hex === ids.deltaCrlIndicator.toString('hex'))
      throw new UnusableListError('is a delta list, which OpenSSL does not apply; use the complete list')
    if (critical?.tag === boolean && !critical.content.equals(no) && !known.has(hex))
      throw new UnusableListError(`${unknownExtension(id.content)}; it would reject every client`)
  }
}

/** RFC 5280 §5.2.5. */
function parseScope(value: Buffer): ListScope {
  let [uris, clients, authorities] = [[] as string[], false, false]
  for (const { tag, content } of readSequence(value)) {
    if (tag === 0xa0) {
      const names = readElements(readElements(content)[0]?.content ?? Buffer.alloc(0))
      uris = readFullName(content)
      if (uris.length === 0 || uris.length !== names.length)
        throw new UnusableListError('has a scope (issuingDistributionPoint) whose names are not all URIs')
    } else if (tag === 0x83)
      throw new UnusableListError('covers only some reasons (onlySomeReasons), which OpenSSL does not apply')
    else if (content.equals(no)) continue
    else if (tag === 0x81) clients = true
    else if (tag === 0x82) authorities = true
    else if (tag === 0x84)
      throw new UnusableListError(
        'is an indirect list (indirectCRL), which OpenSSL does not apply; use one list for each authority',
      )
    else if (tag === 0x85) throw new UnusableListError('is for attribute certificates only')
    else throw new RangeError('an unknown member of the scope')
  }
  if (uris.length === 0 && !clients && !authorities)
    throw new UnusableListError(
      'has an empty scope (issuingDistributionPoint), so OpenSSL applies it to no certificate',
    )
  if (clients && authorities) throw new UnusableListError('has a scope that excludes every certificate')
  return { certificates: clients ? 'clients' : authorities ? 'authorities' : 'all', uris }
}

/**
 * An index of the entries by serial number: a hash table of positions in the DER. A Map with 300 000 keys would need 40 MiB and
 * half a second.
 */
class EntryIndex {
  readonly size: number
  readonly #der: Buffer
  /** The start of an entry plus 1, or 0 if free. The number of slots is a power of two, at least twice the number of entries. */
  readonly #slots: Uint32Array

  constructor(der: Buffer) {
    const entry = new ElementWalker(der)
    let size = 0
    while (entry.next() !== undefined) size++
    const slots = new Uint32Array(2 ** Math.ceil(Math.log2(2 * size + 1)))
    const field = new ElementWalker(der)
    entry.moveTo(0, der.length)
    for (let position = 0, tag = entry.next(); tag !== undefined; position = entry.end, tag = entry.next()) {
      field.moveTo(entry.start, entry.end)
      if (tag !== sequence || field.next() !== integer || !isShortestInteger(der, field.start, field.end))
        throw new RangeError('not an entry of a list')
      let slot = hashOf(der, field.start, field.end) & (slots.length - 1)
      while (slots[slot] !== 0) slot = (slot + 1) & (slots.length - 1)
      slots[slot] = position + 1
      if (!isTime(field.next()) || !isTimeText(der, field.start, field.end))
        throw new RangeError('not an entry of a list')
      const extensions = field.next()
      if (extensions !== undefined) checkEntryExtensions(der, field.start, field.end)
    }
    this.#der = der
    this.#slots = slots
    this.size = size
  }

  find(serial: Buffer): RevokedEntry | undefined {
    const slots = this.#slots
    const last = slots.length - 1
    for (let slot = hashOf(serial, 0, serial.length) & last; slots[slot] !== 0; slot = (slot + 1) & last) {
      const entry = new ElementWalker(this.#der, (slots[slot] as number) - 1)
      entry.next()
      const [number, time, extensions] = readElements(entry.content)
      if (number?.content.equals(serial) !== true || time === undefined) continue
      const code = extensions && readExtension({ extensions: readElements(extensions.content) }, ids.reasonCode)?.at(-1)
      return { revokedAt: readTime(time), reason: code === undefined ? undefined : (reasonNames[code] ?? `${code}`) }
    }
    return undefined
  }
}

/** FNV-1a: distributes consecutive and random numbers equally well. */
function hashOf(octets: Buffer, from: number, to: number): number {
  let hash = 0x811c9dc5
  for (let at = from; at < to; at++) hash = Math.imul(hash ^ (octets[at] as number), 0x01000193)
  return hash
}

/** Checks the extensions of an entry. Allocates no elements, because in many lists every entry has a reasonCode. */
function checkEntryExtensions(der: Buffer, from: number, to: number): void {
  const [extension, field] = [new ElementWalker(der, from, to), new ElementWalker(der)]
  while (extension.next() !== undefined) {
    field.moveTo(extension.start, extension.end)
    if (field.next() !== objectIdentifier) throw new RangeError('not an extension')
    const id = field.content
    let tag = field.next()
    if (id.equals(ids.certificateIssuer))
      throw new UnusableListError('has entries of other authorities (certificateIssuer), which OpenSSL does not apply')
    if (tag === boolean) {
      if (!field.content.equals(no))
        throw new UnusableListError(`${unknownExtension(id)} in an entry; it would reject every client`)
      tag = field.next()
    }
    if (tag !== octetString) throw new RangeError('not an extension')
    if (id.equals(ids.reasonCode) && der[field.end - 1] === removeFromCrl)
      throw new UnusableListError(
        'withdraws a revocation (removeFromCRL), which only a delta list may do; use the complete list',
      )
  }
}

/** X.690 §8.3.2. OpenSSL rejects a whole list if one number has a redundant leading octet. */
function isShortestInteger(der: Buffer, from: number, to: number): boolean {
  const [first, second] = [der[from] as number, der[from + 1] as number]
  return to > from && (to === from + 1 || (first === 0 ? second >= 0x80 : first !== 0xff || second < 0x80))
}

/** Returns whether these are 12 or 14 digits and Z. OpenSSL rejects a whole list for some other forms. */
function isTimeText(der: Buffer, from: number, to: number): boolean {
  const digits = to - from - 1
  if ((digits !== 12 && digits !== 14) || der[to - 1] !== 0x5a) return false
  for (let at = from; at < to - 1; at++) if ((der[at] as number) < 0x30 || (der[at] as number) > 0x39) return false
  return true
}

function requireTime(element: Element, name: string): number {
  const time = readTime(element)
  if (time === undefined)
    throw new UnusableListError(
      `has a ${name} that is not a date as in RFC 5280; OpenSSL would reject every client of its authority`,
    )
  return time
}

/** RFC 5280 §5.1.1.2: the algorithm is both inside and outside the signed part, and OpenSSL compares them. */
function readSignature(
  der: Buffer,
  inner: Element,
  outer: Element | undefined,
  bits: Element | undefined,
): ListSignature {
  if (outer?.tag !== sequence || bits?.tag !== bitString || bits.content[0] !== 0)
    throw new RangeError('not a certificate revocation list')
  if (!inner.content.equals(outer.content))
    throw new UnusableListError('names two signature algorithms; OpenSSL would reject every client of its authority')
  const list = new ElementWalker(der)
  list.next()
  const signed = new ElementWalker(der, list.start, list.end)
  signed.next()
  return { algorithm: outer.content, signed: der.subarray(list.start, signed.end), value: bits.content.subarray(1) }
}

function unknownExtension(id: Buffer): string {
  return `has a critical extension that OpenSSL does not accept (${readObjectIdentifier(id)})`
}

const boolean = 0x01
const integer = 0x02
const bitString = 0x03
const octetString = 0x04
const objectIdentifier = 0x06
const sequence = 0x30
/** FALSE. DER requires its omission, but some encoders write it. */
const no = Buffer.from([0])

/** Below 2.5.29, id-ce. */
const ids = {
  crlNumber: Buffer.from([0x55, 0x1d, 20]),
  reasonCode: Buffer.from([0x55, 0x1d, 21]),
  deltaCrlIndicator: Buffer.from([0x55, 0x1d, 27]),
  issuingDistributionPoint: Buffer.from([0x55, 0x1d, 28]),
  certificateIssuer: Buffer.from([0x55, 0x1d, 29]),
  authorityKeyIdentifier: Buffer.from([0x55, 0x1d, 35]),
}

/** The critical extensions of a list that OpenSSL accepts. */
const known = new Set([ids.issuingDistributionPoint, ids.authorityKeyIdentifier].map(id => id.toString('hex')))

const removeFromCrl = 8

/** By number. */
const reasonNames: Readonly<Record<number, string>> = {
  0: 'unspecified',
  1: 'keyCompromise',
  2: 'cACompromise',
  3: 'affiliationChanged',
  4: 'superseded',
  5: 'cessationOfOperation',
  6: 'certificateHold',
  9: 'privilegeWithdrawn',
  10: 'aACompromise',
}
