// Parses the header that a load balancer sends before the octets of its client: PROXY protocol, versions 1 and 2
// (haproxy.org/download/1.8/doc/proxy-protocol.txt). Pure: no socket.
import { normalizeAddress } from '../core/cidr.ts'

/** The end of a connection. */
export interface Endpoint {
  readonly address: string
  readonly port: number
}

/** What the first octets of a connection are. */
export type HeaderFinding =
  /** `client` is undefined if the header names none, as for a health check of the load balancer itself. */
  | { readonly kind: 'complete'; readonly length: number; readonly client: Endpoint | undefined }
  | { readonly kind: 'incomplete' }
  | { readonly kind: 'missing' }
  | { readonly kind: 'invalid'; readonly problem: string }

/** The maximum length of a header of version 2 in octets, as of nginx. Real ones have fewer than 600. */
export const longestHeader = 4096

/** The maximum length of a header of version 1, with its CR LF. */
export const longestLine = 107

const signature = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1')
const beginning = Buffer.from('PROXY ', 'latin1')

/** Parses the header at the beginning of these octets, of which there is at least one. */
export function parseProxyHeader(octets: Buffer): HeaderFinding {
  if (startsLike(octets, signature)) return octets.length < 16 ? incomplete : parseBinary(octets)
  return startsLike(octets, beginning) ? parseLine(octets) : { kind: 'missing' }
}

const incomplete: HeaderFinding = { kind: 'incomplete' }

function invalid(problem: string): HeaderFinding {
  return { kind: 'invalid', problem }
}

/** Returns whether one of both is the beginning of the other. */
function startsLike(octets: Buffer, expected: Buffer): boolean {
  const length = Math.min(octets.length, expected.length)
  return octets.compare(expected, 0, length, 0, length) === 0
}

/** Version 1, §2.1. */
function parseLine(octets: Buffer): HeaderFinding {
  const line = octets.toString('latin1', 0, longestLine)
  const end = line.indexOf('\r\n')
  if (end < 0) {
    if (/[\n\0]/.test(line)) return invalid('the line does not end with CR LF')
    return octets.length < longestLine ? incomplete : invalid(`the line is longer than ${longestLine} octets`)
  }
  const length = end + 2
  const [, family, ...fields] = line.slice(0, end).split(' ')
  if (family === 'UNKNOWN') return { kind: 'complete', length, client: undefined } // the rest of the line is ignored
  if (family !== 'TCP4' && family !== 'TCP6') return invalid('the protocol is not TCP4, TCP6 or UNKNOWN')
  const [source = '', destination = '', ...ports] = fields
  const [from, to] = [source, destination].map(text =>
    text.includes(':') === (family === 'TCP6') ? normalizeAddress(text) : undefined,
  )
  if (from === undefined || to === undefined) return invalid(`an address is not one of ${family}`)
  if (ports.length !== 2 || !ports.every(isPort)) return invalid('the line does not have two addresses and two ports')
  return { kind: 'complete', length, client: { address: from, port: Number(ports[0]) } }
}

function isPort(text: string): boolean {
  return /^(0|[1-9]\d{0,4})$/.test(text) && Number(text) <= 65_535
}

/** Octets of both addresses and ports, by address family. */
const addressLengths: Readonly<Record<number, number>> = { 0: 0, 1: 12, 2: 36, 3: 216 }

/** Version 2, §2.2. At least its first 16 octets are there. */
function parseBinary(octets: Buffer): HeaderFinding {
  const [command, protocol] = [octets.readUInt8(12), octets.readUInt8(13)]
  if (command >> 4 !== 2) return invalid('the version is not 2')
  const length = 16 + octets.readUInt16BE(14)
  if (length > longestHeader) return invalid(`the header is longer than ${longestHeader} octets`)
  const isLocal = command === 0x20
  if (!isLocal && command !== 0x21) return invalid('the command is not LOCAL or PROXY')
  const family = protocol >> 4
  const addresses = addressLengths[family]
  // A receiver ignores the addresses of LOCAL. Of PROXY it must know the family.
  if (!isLocal && (addresses === undefined || (family === 0 ? protocol !== 0 : (protocol & 15) !== 1)))
    return invalid('the address family or the transport protocol is not one of TCP')
  if (octets.length < length) return incomplete
  const header = octets.subarray(0, length)
  if (addresses === undefined || (isLocal && length < 16 + addresses))
    return { kind: 'complete', length, client: undefined }
  if (length < 16 + addresses) return invalid('the header is too short for its addresses')
  const problem = findWrongField(header, 16 + addresses)
  if (problem !== undefined) return invalid(problem)
  return { kind: 'complete', length, client: isLocal ? undefined : readClient(header, family) }
}

function readClient(header: Buffer, family: number): Endpoint | undefined {
  if (family === 1) return { address: header.subarray(16, 20).join('.'), port: header.readUInt16BE(24) }
  if (family !== 2) return undefined // a Unix socket has no address
  const words = Array.from({ length: 8 }, (_, index) => header.readUInt16BE(16 + 2 * index).toString(16))
  return { address: normalizeAddress(words.join(':')) as string, port: header.readUInt16BE(48) }
}

/** The type of the field with the checksum of the header. */
const checksumField = 0x03

/** Checks the fields behind the addresses, whose lengths must add up, and the checksum. Unknown fields are ignored. */
function findWrongField(header: Buffer, start: number): string | undefined {
  let isChecked = false
  for (let at = start; at < header.length; ) {
    if (at + 3 > header.length) return 'a field behind the addresses is cut off'
    const end = at + 3 + header.readUInt16BE(at + 1)
    if (end > header.length) return 'a field behind the addresses is longer than the header'
    if (header[at] === checksumField) {
      if (isChecked || end - at !== 7) return 'there is more than one checksum, or it does not have four octets'
      isChecked = true
      if (header.readUInt32BE(at + 3) !== checksumOf(header, at + 3)) return 'the checksum is wrong'
    }
    at = end
  }
  return undefined
}

/** Returns the CRC-32C (RFC 9260 App. A) of a header, with the four octets of the checksum itself as zero. */
function checksumOf(header: Buffer, at: number): number {
  let crc = 0xffffffff
  for (const [index, octet] of header.entries()) {
    crc ^= index >= at && index < at + 4 ? 0 : octet
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1
  }
  return ~crc >>> 0
}
