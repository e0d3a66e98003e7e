// Validates a program's request before it is forwarded. Its host is never resolved: there is one upstream.
import type { IncomingMessage } from 'node:http'
import { type Failure, failures } from './failures.ts'

export interface Rules {
  /** Whether the sidecar listens on a port, where every user and every web page can send requests. */
  readonly onPort: boolean
  /** Whether to reject an Authorization header instead of removing it. */
  readonly refuseToken: boolean
}

/** Returns the path of a request with its query, or the failure of an invalid request. */
export function readRequest(request: IncomingMessage, { onPort, refuseToken }: Rules): { path: string } | Failure {
  const { headers, rawHeaders, httpVersion, method, url = '' } = request
  if (httpVersion !== '1.1') return failures.version
  const { host = '' } = headers // Node keeps the first of several
  if (rawHeaders.filter((name, index) => index % 2 === 0 && name.toLowerCase() === 'host').length !== 1)
    return failures.host
  const target = readTarget(url)
  if (target === undefined) return failures.target
  if (onPort) {
    if (!isLoopback(target.host ?? host, request.socket.localPort)) return failures.otherHost
    if (headers.origin !== undefined || headers['sec-fetch-site'] !== undefined) return failures.page
  }
  if (method === 'TRACE') return failures.noTrace
  // RFC 9112 §6.1: the upstream would not learn the coding inside the chunks. The parser rejects other combinations.
  if (/,\s*chunked$/i.test(headers['transfer-encoding'] ?? '')) return failures.coding
  // RFC 9110 §7.8: an offer of HTTP/2 can be ignored, but not a switch to another protocol.
  if (headers.upgrade !== undefined && headers.upgrade.toLowerCase() !== 'h2c') return failures.noUpgrade
  if (refuseToken && headers.authorization !== undefined) return failures.ownToken
  return target
}

/**
 * Parses a request target: a path, or the absolute form, whose host overrides the Host header (RFC 9112 §3.2). Rejects
 * a path that a URL parser could take for another host, such as `//there` or `/\there`.
 */
function readTarget(url: string): { path: string; host?: string } | undefined {
  const [, host, rest = ''] = /^http:\/\/([^/?#]+)(.*)$/i.exec(url) ?? [undefined, undefined, url]
  const path = host !== undefined && !rest.startsWith('/') ? `/${rest}` : rest
  if (!/^\/(?![/\\])[!"$-~]*$/.test(path)) return undefined
  return host === undefined ? { path } : { path, host }
}

/** Returns whether a host names this machine. Any other name may belong to a web page (DNS rebinding). */
function isLoopback(host: string, port: number | undefined): boolean {
  const names = ['127.0.0.1', 'localhost', '[::1]'].map(name => `${name}:${port}`)
  return names.includes(port === 80 && !host.includes(':') ? `${host}:80` : host.toLowerCase())
}
