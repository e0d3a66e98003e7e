// What a program's request asks for, if the sidecar may pass it on. Its host is never looked up: there is one upstream.
import type { IncomingMessage } from 'node:http'
import { type Failure, failures } from './failures.ts'

export interface Rules {
  /** On a port of this machine everybody on it can send requests, and so can any page in a browser on it. */
  readonly onPort: boolean
  /** Whether an Authorization header is refused rather than removed. */
  readonly refuseToken: boolean
}

/** Reads the path of a request, with its query, or what is wrong with the request. */
export function readRequest(request: IncomingMessage, { onPort, refuseToken }: Rules): { path: string } | Failure {
  const { headers, rawHeaders, httpVersion, method, url = '' } = request
  if (httpVersion !== '1.1') return failures.version
  const { host = '' } = headers // of several, Node keeps the first
  if (rawHeaders.filter((name, index) => index % 2 === 0 && name.toLowerCase() === 'host').length !== 1)
    return failures.host
  const target = readTarget(url)
  if (target === undefined) return failures.target
  if (onPort) {
    if (!isLoopback(target.host ?? host, request.socket.localPort)) return failures.otherHost
    if (headers.origin !== undefined || headers['sec-fetch-site'] !== undefined) return failures.page
  }
  if (method === 'TRACE') return failures.noTrace
  // RFC 9112 §6.1: the upstream would not be told how the octets in the chunks are packed. The parser refuses the rest.
  if (/,\s*chunked$/i.test(headers['transfer-encoding'] ?? '')) return failures.coding
  // RFC 9110 §7.8: who offers HTTP/2 goes on without it, who wants another protocol cannot.
  if (headers.upgrade !== undefined && headers.upgrade.toLowerCase() !== 'h2c') return failures.noUpgrade
  if (refuseToken && headers.authorization !== undefined) return failures.ownToken
  return target
}

/**
 * Reads a request's target: a path, or the absolute form, whose host goes before the Host header (RFC 9112 §3.2). A path
 * that a URL parser could take for another host, `//there` or `/\there`, is none.
 */
function readTarget(url: string): { path: string; host?: string } | undefined {
  const [, host, rest = ''] = /^http:\/\/([^/?#]+)(.*)$/i.exec(url) ?? [undefined, undefined, url]
  const path = host !== undefined && !rest.startsWith('/') ? `/${rest}` : rest
  if (!/^\/(?![/\\])[!"$-~]*$/.test(path)) return undefined
  return host === undefined ? { path } : { path, host }
}

/** Any other name is a page's own that it has moved to this machine (DNS rebinding). */
function isLoopback(host: string, port: number | undefined): boolean {
  const names = ['127.0.0.1', 'localhost', '[::1]'].map(name => `${name}:${port}`)
  return names.includes(port === 80 && !host.includes(':') ? `${host}:80` : host.toLowerCase())
}
