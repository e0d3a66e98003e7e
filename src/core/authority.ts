// The authority of a request, `host[:port]`, in a form that can be compared: two spellings of one host are one host
// (RFC 3986 §3.2.2, §3.2.3, §6.2.2; RFC 9110 §4.2.3).
import { isIPv6 } from 'node:net'

export interface Authority {
  /** In lower case, without the dot that ends an absolute name; an IPv6 address in its one canonical form, in brackets. */
  readonly host: string
  /** undefined: none is written, or an empty one, so that it is the default one of the scheme. */
  readonly port: number | undefined
}

/** Longer than any name of DNS with a port, so that nothing long is looked at closely. */
const maximumLength = 512

const form = /^(?:(\[[0-9A-Fa-f:.]+(?:%25[\w.~%-]+)?\])|((?:[\w.~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+))(?::(\d*))?$/

/** Parses the value of a Host header, of `:authority`, or a server name of TLS; undefined when it is none (RFC 9110 §7.2). */
export function parseAuthority(text: string): Authority | undefined {
  if (text.length > maximumLength) return undefined
  const [, literal, name, digits = ''] = form.exec(text) ?? []
  const host = literal === undefined ? parseName(name) : parseAddress(literal)
  const port = digits === '' ? undefined : Number(digits)
  return host === undefined || (port !== undefined && port > 65_535) ? undefined : { host, port }
}

/** A name with unreserved characters decoded. Its last dot says only that it is absolute (RFC 3986 §3.2.2). */
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

/** An IPv6 literal. Its zone means something to the sender alone, and is not part of the address (RFC 6874 §1). */
function parseAddress(literal: string): string | undefined {
  const address = literal.slice(1, -1).replace(/%25.*$/, '')
  return isIPv6(address) ? new URL(`http://[${address}]`).hostname : undefined
}

/**
 * Whether a request for `authority` belongs on a connection whose handshake named `serverName`. The port is not compared:
 * behind a port forward it is another one than the listener's.
 */
export function isSameHost(authority: string, serverName: string): boolean {
  const host = parseAuthority(authority)?.host
  return host !== undefined && host === parseAuthority(serverName)?.host
}
