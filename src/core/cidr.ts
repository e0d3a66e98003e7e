// Ranges of IP addresses in the notation of RFC 4632 and RFC 4291 §2.3: `10.0.0.0/8`, `fd00::/8`, or one address.
import { BlockList, isIP, SocketAddress } from 'node:net'

/** A set of IP addresses. */
export interface AddressRanges {
  /** Returns whether an address is in one of the ranges. An IPv4 address mapped to IPv6 counts as IPv4. */
  includes(address: string | undefined): boolean
}

/** Parses ranges that are separated by commas. Undefined if one of them is invalid, or the text is empty. */
export function parseRanges(text: string): AddressRanges | undefined {
  return collectRanges(text.split(',').map(range => range.trim()))
}

/** Collects ranges. Undefined if one of them is invalid, or there is none. */
export function collectRanges(ranges: readonly string[]): AddressRanges | undefined {
  const list = new BlockList()
  for (const range of ranges) {
    const [, address = '', prefix] = /^([\d.:a-f]+)(?:\/(0|[1-9]\d{0,2}))?$/i.exec(range) ?? []
    const version = isIP(address)
    const longest = version === 4 ? 32 : 128
    const length = prefix === undefined ? longest : Number(prefix)
    if (version === 0 || length > longest) return undefined
    list.addSubnet(address, length, version === 4 ? 'ipv4' : 'ipv6')
  }
  if (ranges.length === 0) return undefined
  return {
    includes(address = '') {
      const text = address.replace(/%.*$/, '') // the zone of a link-local address
      const version = isIP(text)
      return version !== 0 && list.check(text, version === 4 ? 'ipv4' : 'ipv6')
    },
  }
}

/** Returns an address in its normal spelling (RFC 5952), a mapped one as IPv4. Undefined if it is not an IP address. */
export function normalizeAddress(text: string): string | undefined {
  const version = isIP(text)
  if (version === 0 || text.includes('%')) return undefined
  if (version === 4) return text
  const { address } = new SocketAddress({ address: text, family: 'ipv6' })
  return address.replace(/^::ffff:(?=\d+\.)/, '')
}
