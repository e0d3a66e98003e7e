// Documents of other servers: key sets, metadata, keys of reporters.
import type { DetailEntry } from './entry.ts'

/** Why a document could not be fetched. The fact address is its URL; the log has the full error. */
export const fetchDetails = {
  host_unknown: {
    cause: 'The host name in the address does not resolve to an IP address.',
    remedy: 'Check the spelling of the address and the DNS configuration of this machine.',
  },
  unreachable: {
    cause: 'No server accepts connections at the address, or there is no route to it.',
    remedy: 'Check that the server is running, and check the port, the network and the firewall.',
  },
  timed_out: {
    cause: 'The connection, the handshake or the response timed out.',
    remedy: 'Check network, firewall and server; see docs/reference/limits.md.',
  },
  cut_off: {
    cause: 'The server closed the connection before its response was complete.',
    remedy: 'Check the health and the log of the server.',
  },
  not_tls: {
    cause: 'The server at the address does not speak TLS.',
    remedy: 'Check the port; it must be the port of an HTTPS server.',
  },
  tls_failed: {
    cause: 'The TLS handshake failed: the server does not accept the TLS versions, ciphers or client certificate.',
    remedy: 'Enable TLS 1.3 on both sides; the log has the OpenSSL error.',
  },
  not_trusted: {
    cause: 'The certificate of the server was not issued by an authority that is trusted for this address.',
    remedy: 'Set ca_file to the certificate of the authority, or configure the server to send its full chain.',
  },
  outside_validity: {
    cause: 'The certificate of the server, or of one of its authorities, has expired or is not valid yet.',
    remedy: 'Renew it; compare the clocks.',
  },
  name_mismatch: {
    cause: 'The certificate of the server does not contain the host name in the address.',
    remedy: 'Use an address with one of the names of the certificate; the log lists them.',
  },
  not_http: {
    cause: 'The response is not valid HTTP/1.1.',
    remedy: 'Check the port; it must be the port of an HTTPS server.',
  },
  redirect: {
    cause: 'The response is a redirect, and redirects are not followed.',
    remedy: 'Use the target address of the redirect.',
  },
  status: {
    cause: 'The status of the response is not 200.',
    remedy: 'Check the address; the fact found is the status code.',
  },
  compressed: {
    cause: 'The response is compressed, although the request did not accept compression.',
    remedy: 'Configure the server to honor Accept-Encoding: identity.',
  },
  too_large: {
    cause: 'The document exceeds the size limit.',
    remedy: 'Check the address; see docs/reference/limits.md.',
  },
  not_json: {
    cause: 'The response is not JSON in UTF-8.',
    remedy: 'Check the address; the log has the content type of the response.',
  },
  no_usable_key: {
    cause: 'The document contains no usable key.',
    remedy: 'Check the address and the types of the published keys; the log has the reason for each key.',
  },
} as const satisfies Readonly<Record<string, DetailEntry>>

/** Why a document could not be fetched. */
export type FetchDetail = keyof typeof fetchDetails
