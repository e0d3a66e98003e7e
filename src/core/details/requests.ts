// Requests without a token, and malformed requests.
import type { DetailEntry } from './entry.ts'

export const requestDetails = {
  no_token: {
    authorization_missing: {
      cause: 'The request has no Authorization header.',
      remedy:
        'Send the access token as Authorization: Bearer TOKEN. Check the path: one that does not exist can require a token too.',
      isPublic: true,
    },
    scheme_not_bearer: {
      cause: 'The scheme of the Authorization header is not Bearer.',
      remedy: 'Send the access token as Authorization: Bearer TOKEN.',
      isPublic: true,
    },
  },
  malformed_request: {
    parameter_missing: {
      cause: 'The parameter {parameter} is missing.',
      remedy: 'Add it to the form in the request body.',
      isPublic: true,
    },
    parameter_empty: {
      cause: 'The parameter {parameter} is empty.',
      remedy: 'Send a value; an empty parameter counts as missing (RFC 6749 section 3.2).',
      isPublic: true,
    },
    parameter_repeated: {
      cause: 'The parameter {parameter} occurs more than once.',
      remedy: 'Send each parameter once (RFC 6749 section 3.2).',
      isPublic: true,
    },
    parameter_encoding: {
      cause: 'The encoding of the parameter {parameter} is invalid: it contains {found}.',
      remedy: 'Encode names and values as percent-encoded UTF-8, without NUL.',
      isPublic: true,
    },
    parameter_too_long: {
      cause: 'The parameter {parameter} is longer than {limit} characters.',
      remedy: 'Send a shorter value.',
      isPublic: true,
    },
    parameter_invalid: {
      cause: 'The value of the parameter {parameter} is not supported.',
      remedy: 'Expected: {expected}.',
      isPublic: true,
    },
    parameter_not_supported: {
      cause: 'The parameter {parameter} is not supported here.',
      remedy: 'Omit it; {expected}.',
      isPublic: true,
    },
    query_not_allowed: {
      cause: 'The request has a query.',
      remedy: 'Send all parameters in the request body.',
      isPublic: true,
    },
    token_in_query: {
      cause: 'The query contains an access_token.',
      remedy: 'Send the token in the Authorization header only; treat the token in the query as leaked.',
      isPublic: true,
      sign: 'attack',
    },
    authorization_repeated: {
      cause: 'The request has more than one Authorization header.',
      remedy: 'Send one Authorization header.',
      isPublic: true,
    },
    authorization_malformed: {
      cause: 'The Authorization header is malformed: it has {found}.',
      remedy: 'Send Bearer TOKEN, or Basic with the base64 of CLIENT_ID:SECRET; one space, no comma.',
      isPublic: true,
    },
    authorization_not_expected: {
      cause: 'The request has an Authorization header, but the client is not registered for a secret.',
      remedy: 'Omit the header, or register the client with token_endpoint_auth_method client_secret_basic.',
      isPublic: true,
    },
    client_id_differs: {
      cause: 'The client_id in the form differs from the one in the Authorization header.',
      remedy: 'Send the same client_id in both, or send it only once.',
      isPublic: true,
    },
    header_repeated: { cause: 'The header {header} occurs more than once.', remedy: 'Send it once.', isPublic: true },
    content_type_missing: {
      cause: 'The request has no Content-Type.',
      remedy: 'Send the body as {expected}.',
      isPublic: true,
    },
    content_type: {
      cause: 'This endpoint does not accept the Content-Type {found}.',
      remedy: 'Send the body as {expected}.',
      isPublic: true,
    },
    charset: {
      cause: 'The charset {found} of the Content-Type is not supported.',
      remedy: 'Send the body in UTF-8, as {expected}.',
      isPublic: true,
    },
    content_encoding: {
      cause: 'The Content-Encoding {found} of the request body is not supported.',
      remedy: 'Send the body without Content-Encoding.',
      isPublic: true,
    },
    body_empty: { cause: 'The request has no body.', remedy: 'Send one JSON value in UTF-8.', isPublic: true },
    body_not_utf8: {
      cause: 'The request body is not valid UTF-8.',
      remedy: 'Send one JSON value in UTF-8.',
      isPublic: true,
    },
    body_not_json: {
      cause: 'The request body is not valid JSON {found}.',
      remedy: 'Send one JSON value in UTF-8.',
      isPublic: true,
    },
    body_too_deep: {
      cause: 'The objects and arrays in the request body are nested more than {limit} levels deep.',
      remedy: 'Send JSON with fewer levels.',
      isPublic: true,
    },
    body_prototype: {
      cause: 'The request body has a member named __proto__ or constructor.prototype.',
      remedy: 'Send JSON without such a member.',
      isPublic: true,
      sign: 'attack',
    },
    body_form: {
      cause: 'The request body is JSON, but does not have the form that this endpoint accepts.',
      remedy: 'Expected: {expected}.',
      isPublic: true,
    },
    body_too_large: {
      cause: 'The request body is larger than the {limit} octets that this endpoint accepts.',
      remedy: 'Send less in one request; see docs/reference/limits.md.',
      isPublic: true,
    },
    body_framing: {
      cause: 'Content-Length and Transfer-Encoding do not define where the request body ends: {found}.',
      remedy: 'Send exactly one of them, with one valid value.',
      isPublic: true,
      sign: 'attack',
    },
    chunk_malformed: {
      cause: 'The chunks of the request body are malformed: {found}.',
      remedy: 'Send each chunk with its length in hexadecimal and no long extension (RFC 9112 section 7.1).',
      isPublic: true,
    },
    signature_headers: {
      cause: 'A signed report requires exactly one key identifier and one signature, and no Authorization header.',
      remedy: 'Send each of the two signature headers once, or authenticate the report with a token instead.',
      isPublic: true,
    },
    cross_site: {
      cause: 'A page of another origin caused a browser to send the request; {header} is {found}.',
      remedy: 'Send it from a program, which sends neither Origin nor Sec-Fetch-Site, or from a page of this origin.',
      isPublic: true,
      sign: 'attack',
    },
    host_missing: {
      cause: 'The request has no host.',
      remedy: 'Send one Host header (HTTP/1.1) or :authority (HTTP/2).',
      isPublic: true,
    },
    host_repeated: {
      cause: 'The request has more than one host.',
      remedy: 'Send one Host header (HTTP/1.1) or :authority (HTTP/2).',
      isPublic: true,
    },
    host_malformed: {
      cause: 'The host {host} of the request is not a valid host name or IP address with an optional port.',
      remedy: 'Send Host as HOST:PORT (RFC 9110 section 7.2).',
      isPublic: true,
    },
    misdirected: {
      cause: 'The request is for the host {host}, but the TLS handshake named {server_name}.',
      remedy: 'Open a connection for the host of the request; Host and the server name (SNI) must be the same name.',
      isPublic: true,
    },
    host_not_loopback: {
      cause: 'The ops listener does not accept requests for the host {host}.',
      remedy: 'Send Host: {expected}; through a port forward, set the Host header to it (curl -H).',
      isPublic: true,
      sign: 'attack',
    },
    target_malformed: {
      cause: 'The request target has {found}.',
      remedy: 'Request a path that begins with a slash, percent-encoded, without a fragment.',
      isPublic: true,
    },
    path_ambiguous: {
      cause: 'The path can be read in several ways: it has {found}.',
      remedy: 'Send the path without it, so that gateway and upstream read the same path.',
      isPublic: true,
      sign: 'attack',
    },
    method_malformed: {
      cause: 'The request does not begin with an HTTP method.',
      remedy: 'Use HTTP/1.1 or HTTP/2; methods are case-sensitive.',
      isPublic: true,
    },
    version_unsupported: {
      cause: 'No supported HTTP version follows the request target: {found}.',
      remedy:
        'Use HTTP/1.1, or HTTP/2 with the ALPN protocol h2; a request target contains no space, and each line ends with CR LF.',
      isPublic: true,
    },
    header_malformed: {
      cause: 'A header of the request is malformed: {found}.',
      remedy: 'Send NAME: VALUE, without a space before the colon and without control characters.',
      isPublic: true,
    },
    line_end: {
      cause: 'A header line or a chunk of the request does not end with CR LF: {found}.',
      remedy: 'End each line with CR LF.',
      isPublic: true,
    },
    head_too_large: {
      cause: 'The request line and headers are larger than the {limit} octets that the server accepts.',
      remedy: 'Send fewer or shorter headers; see docs/reference/limits.md.',
      isPublic: true,
    },
    request_incomplete: {
      cause: 'The connection closed before the request was complete.',
      remedy: 'Send the complete request before closing the connection.',
      isPublic: true,
    },
    after_close: {
      cause: 'The client sent data after a request with Connection: close.',
      remedy: 'Send no data after a request with Connection: close.',
      isPublic: true,
    },
    not_found: {
      cause: 'This path does not exist.',
      remedy: 'Compare the path with the list of endpoints.',
      isPublic: true,
    },
    not_a_proxy: {
      cause:
        'Only a proxy with authz in TLSBOUND_CLIENT_CERT_FROM may ask this endpoint, and this connection is of none.',
      remedy:
        'Compare the certificate in x5t#S256 with that file; send it from the proxy in the TLS handshake; set authz only for a proxy that asks.',
      sentence: 'Only a proxy that may ask this server can use this endpoint.',
      actor: 'operator',
    },
    method_not_allowed: {
      cause: 'This endpoint does not support the method {found}.',
      remedy: 'Use one of: {expected}.',
      isPublic: true,
    },
    expectation: {
      cause: 'The Expect header is {found}.',
      remedy: 'Omit the header; only 100-continue is supported.',
      isPublic: true,
    },
    http2_flood: {
      cause: 'The HTTP/2 connection carried too many {found}.',
      remedy: 'Cancel fewer requests on one connection and send fewer PING frames; see docs/reference/limits.md.',
      isPublic: true,
      sign: 'attack',
    },
    http2_error: {
      cause: 'The HTTP/2 connection broke the protocol: {found}.',
      remedy: 'Use an HTTP/2 client that follows RFC 9113.',
      isPublic: true,
    },
    proxy_header_missing: {
      cause: 'The connection began with {found}; its peer must send a PROXY protocol header first.',
      remedy: 'Enable the header in the load balancer, or remove its address from TLSBOUND_PROXY_PROTOCOL_FROM.',
      actor: 'operator',
    },
    proxy_header_invalid: {
      cause: 'The connection began with an invalid PROXY protocol header: {found}.',
      remedy: 'Check the load balancer, and that only load balancers are in TLSBOUND_PROXY_PROTOCOL_FROM.',
      actor: 'operator',
      sign: 'attack',
    },
    proxy_header_not_allowed: {
      cause:
        'The connection carries {found}; its peer is not in TLSBOUND_PROXY_PROTOCOL_FROM, or has already sent a header.',
      remedy:
        'If the peer is your load balancer, add its address to the setting. If two load balancers send a header, disable that of the first.',
      actor: 'operator',
      sign: 'attack',
    },
    request_timed_out: {
      cause: 'The request was not complete in time.',
      remedy: 'Send the request faster; see docs/reference/limits.md.',
      isPublic: true,
    },
    not_http: {
      cause: 'The connection carries {found}; an HTTP request was expected.',
      remedy:
        'Use HTTP/1.1 or HTTP/2; check the address and port in the client, and whether it must use https or http. A load balancer must neither send a PROXY protocol header nor open TLS inside TLS.',
      isPublic: true,
      actor: 'client or operator',
    },
    http_error: {
      cause: 'The HTTP layer rejected the request with the code {code}.',
      remedy: 'Look up the code in the documentation of Node or Fastify.',
      isPublic: true,
    },
  },
} as const satisfies Readonly<Record<string, Readonly<Record<string, DetailEntry>>>>
