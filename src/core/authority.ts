// Parses and normalizes the authority of a request, `host[:port]`, so that equivalent hosts are equal
// (RFC 3986 §3.2.2, §3.2.3, §6.2.2; RFC 9110 §4.2.3).
import { isIPv6 } from 'node:net'

export interface Authority {
  /** In lower case, without a trailing dot; an IPv6 address in canonical form, in brackets. */
  readonly host: string
  /** undefined if missing or empty: the default port of the scheme. */
  readonly port: number | undefined
}

/** Longer than any DNS name with a port. Limits the work for invalid input. */
const maximumLength = 512

const form = /^(?:(\[[0-9A-Fa-f:.]+(?:%25[\w.~%-]+)?\])|((?:[\w.~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+))(?::(\d*))?$/

/** Parses a Host header, an `:authority`, or a TLS server name (RFC 9110 §7.2). Returns undefined if it is invalid. */
export function parseAuthority(text: string): Authority | undefined {
  if (text.length > maximumLength) return undefined
  const [, literal, name, digits = ''] = form.exec(text) ?? []
  const host = literal === undefined ? parseName(name) : parseAddress(literal)
  const port = digits === '' ? undefined : Number(digits)
  return host === undefined || (port !== undefined && port > 65_535) ? undefined : { host, port }
}

/** Decodes unreserved characters and removes the trailing dot of an absolute name (RFC 3986 §3.2.2). */
function parseName(name: string | undefined): string | undefined {
  const plain = name
    ?.replace(/%([0-9A-Fa-f]{2})/g, (encoded, digits: string) => {
      const character = String.fromCharCode(Number.parseInt(digits, 16))
      return /[\w.~-]/.test(character) ? character : encoded
    })
    .toLowerCase()
    .replace(/\.$/, '')
  return plain === undefined || plain.split('.').includes('') ? undefined : plain
}

/** Parses an IPv6 literal without its zone, which has only a local meaning (RFC 6874 §1). */
function parseAddress(literal: string): string | undefined {
  const address = literal.slice(1, -1).replace(/%25.*$/, '')
  return isIPv6(address) ? new URL(`http://[${address}]`).hostname : undefined
}

/**
 * Returns whether a request for `authority` has the same host as the `serverName` of the handshake. The port is not compared,
 * because behind a port forward it differs from that of the listener.
 */
export function isSameHost(authority: string, serverName: string): boolean {
  const host = parseAuthority(authority)?.host
  return host !== undefined && host === parseAuthority(serverName)?.host
}
