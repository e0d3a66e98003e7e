// Addresses that no notification goes to unless it may: whoever can name a webhook must not reach our own network by it, nor
// the metadata of a cloud: all that is not globally reachable by the registries of RFC 6890.
import { BlockList, isIP, type LookupFunction } from 'node:net'

/** Not globally reachable, or not one host. 169.254.169.254 is among the link-local ones. */
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
  ['2001::', 23], // protocol assignments, among them Teredo, which carries IPv4 addresses
  ['2001:db8::', 32],
  ['2002::', 16], // 6to4, which carries IPv4 addresses
  ['3fff::', 20], // RFC 9637
] as const)
  internal.addSubnet(address, prefix, 'ipv6')

/** Of IPv6 all global unicast lies here; loopback, ULA, link-local, multicast, NAT64, mapped and compatible IPv4 do not. */
const globalUnicast = new BlockList()
globalUnicast.addSubnet('2000::', 3, 'ipv6')

/** Whether an IP address, in any spelling that a resolver or URL gives, is internal. What is no address is. */
export function isInternal(address: string): boolean {
  if (isIP(address) === 4) return internal.check(address, 'ipv4')
  if (isIP(address) !== 6 || address.includes('%')) return true
  return !globalUnicast.check(address, 'ipv6') || internal.check(address, 'ipv6')
}

/** Whether the host of a URL is an internal address by itself; a name is known only when it is resolved. */
export function isInternalHost({ hostname }: URL): boolean {
  const address = hostname.replace(/^\[(.*)\]$/, '$1')
  return isIP(address) !== 0 && isInternal(address)
}

/** What a connection to an internal address fails with, before there is one. */
export class InternalAddress extends Error {
  override readonly name = 'InternalAddress'
}

/** `lookup`, but a name with any internal address has none: what was looked at is what is connected to. */
export function refuseInternal(lookup: LookupFunction): LookupFunction {
  return (hostname, options, callback) =>
    lookup(hostname, options, (error, found, family) => {
      if (error !== null) return callback(error, found, family)
      const addresses = typeof found === 'string' ? [found] : found.map(({ address }) => address)
      if (!addresses.some(isInternal)) return callback(null, found, family)
      callback(new InternalAddress(`${hostname} is an internal address`), [])
    })
}
