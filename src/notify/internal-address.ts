// Internal addresses, which notifications reach only with `allow_internal`. Otherwise a webhook could reach the server's
// network or the metadata of a cloud. Internal is every address that the registries of RFC 6890 do not list as globally
// reachable.
import { BlockList, isIP, type LookupFunction } from 'node:net'

/** Not globally reachable, or not a single host. 169.254.169.254 is among the link-local ones. */
const internal = new BlockList()
for (const [address, prefix] of [
  ...([
    ['0.0.0.0', 8],
    ['10.0.0.0', 8],
    ['100.64.0.0', 10],
    ['127.0.0.0', 8],
    ['169.254.0.0', 16],
  ] as const),
  ...([
    ['172.16.0.0', 12],
    ['192.0.0.0', 24],
    ['192.0.2.0', 24],
  ] as const),
  ...([
    ['192.88.99.0', 24],
    ['192.168.0.0', 16],
    ['198.18.0.0', 15],
  ] as const),
  ...([
    ['198.51.100.0', 24],
    ['203.0.113.0', 24],
    ['224.0.0.0', 4],
    ['240.0.0.0', 4],
  ] as const),
] as const)
  internal.addSubnet(address, prefix, 'ipv4')
for (const [address, prefix] of [
  ['2001::', 23], // protocol assignments, including Teredo, which carries IPv4 addresses
  ['2001:db8::', 32],
  ['2002::', 16], // 6to4, which carries IPv4 addresses
  ['3fff::', 20], // RFC 9637
] as const)
  internal.addSubnet(address, prefix, 'ipv6')

/** All global unicast addresses of IPv6; excludes loopback, ULA, link-local, multicast, NAT64, mapped and compatible IPv4. */
const globalUnicast = new BlockList()
globalUnicast.addSubnet('2000::', 3, 'ipv6')

/**
 * Whether an IP address is internal, in any spelling of a resolver or URL. Anything that is not an address counts as
 * internal.
 */
export function isInternal(address: string): boolean {
  if (isIP(address) === 4) return internal.check(address, 'ipv4')
  if (isIP(address) !== 6 || address.includes('%')) return true
  return !globalUnicast.check(address, 'ipv6') || internal.check(address, 'ipv6')
}

/** Whether the host of a URL is an internal address. A name is checked when it is resolved. */
export function isInternalHost({ hostname }: URL): boolean {
  const address = hostname.replace(/^\[(.*)\]$/, '$1')
  return isIP(address) !== 0 && isInternal(address)
}

/** The error of a connection to an internal address; no connection is made. */
export class InternalAddress extends Error {
  override readonly name = 'InternalAddress'
}

/** Wraps `lookup` to reject names with any internal address. The connection uses the addresses that were checked. */
export function refuseInternal(lookup: LookupFunction): LookupFunction {
  return (hostname, options, callback) =>
    lookup(hostname, options, (error, found, family) => {
      if (error !== null) return callback(error, found, family)
      const addresses = typeof found === 'string' ? [found] : found.map(({ address }) => address)
      if (!addresses.some(isInternal)) return callback(null, found, family)
      callback(new InternalAddress(`${hostname} is an internal address`), [])
    })
}
