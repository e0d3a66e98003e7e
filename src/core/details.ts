// A detail states the exact cause of a refusal, for the operator. The client receives only the reason (errors.ts). Each reason
// has one or more details; events and log lines contain the detail with the compared facts. The list is closed, and
// docs/reference/refusals.md is generated from it.

export interface DetailEntry {
  /** The cause, in one sentence. `{name}` is replaced by a fact. */
  readonly cause: string
  /** How the operator of the server or of the client can fix it. */
  readonly remedy: string
  /**
   * Whether `error_description` contains the cause and the remedy. Only for causes in the form of the client's own request or
   * its own certificate, so that the text does not help an attacker.
   */
  readonly isPublic?: true
  /**
   * The sentence for the client in place of the one of the reason, where that is false for this detail. It must not help an
   * attacker more than the reason does.
   */
  readonly sentence?: string
  /** Who can fix it. Default: as `actors` says for the reason. */
  readonly actor?: Actor
  /** Default `fault`. */
  readonly sign?: Sign
}

type Party = 'client' | 'operator' | 'developer' | 'issuer' | 'reporter'

/**
 * Who can fix the cause: the operator of the client, the operator of this server, the developer of the program that embeds
 * it, the issuer of the token, or the reporter of leaked tokens.
 */
export type Actor = Party | `${Party} or ${Party}`

/**
 * `attack`: may be a sign of an attack, so find out first who sent the request. `fault`: a mistake in a program, a setting or a
 * certificate, or an outage. `routine`: expected in normal operation, such as an expired token.
 */
export type Sign = 'attack' | 'fault' | 'routine'

/** Why a document could not be fetched. The fact address is its URL; the log has the full error. */
const fetchDetails = {
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

/** The details of each reason. */
export const details = {
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
  no_certificate: {
    not_sent: {
      cause: 'The client sent no certificate in the TLS handshake.',
      remedy:
        'Configure the client with a certificate and its private key. If the event has a jti, the request presented a valid token: treat it as stolen.',
    },
    not_forwarded: {
      cause: 'The request arrived through a proxy that ends TLS, without a certificate of its client in {header}.',
      remedy:
        'Configure the client with a certificate, and the proxy to request it and to forward it in that field on every path.',
      sentence:
        'This request arrived through a proxy, which forwarded no client certificate; configure the client with one.',
      actor: 'client or operator',
    },
    not_mutual_tls: {
      cause:
        'The request did not arrive on a TLS connection that this process terminates; the fact found says how it arrived.',
      remedy:
        'Use mutualTls() as the serverFactory, or a tls.Server that requests client certificates. A proxy that terminates TLS hides the certificate; plain HTTP and inject() have none.',
      sentence:
        'The server does not terminate the TLS connection of this request, so it cannot see a client certificate; connect to it directly.',
      actor: 'developer',
    },
  },
  certificate_untrusted: {
    issuer_unknown: {
      cause: 'This server does not trust the issuer {issuer}, and the client sent no chain to a trusted authority.',
      remedy:
        'Send the intermediate certificates with the certificate, or add its issuer to TLSBOUND_TLS_CLIENT_CA_FILE.',
      isPublic: true,
      actor: 'client or operator',
    },
    authority_unknown: {
      cause: 'The chain that the client sent ends at an authority that this server does not trust.',
      remedy: 'Use a certificate from an authority in TLSBOUND_TLS_CLIENT_CA_FILE, or add the root of the chain there.',
      actor: 'client or operator',
    },
    same_name: {
      cause: 'An authority named {authority} is trusted, but another key with the same name issued this certificate.',
      remedy:
        'Find out first who issued the certificate: an attacker can create an authority with this name. If the authority has a new key, trust its new certificate too. Both need a subjectKeyIdentifier, and their certificates an authorityKeyIdentifier; the facts found and expected are those of the certificate and of the trusted authorities.',
      actor: 'operator',
      sign: 'attack',
    },
    chain_incomplete: {
      cause: 'The authority {authority} is trusted, but its own issuer is missing.',
      remedy: 'Add its issuer, up to the self-signed root, to TLSBOUND_TLS_CLIENT_CA_FILE.',
      actor: 'operator',
    },
    self_signed: {
      cause: 'The certificate is self-signed, and no enabled client is registered with it.',
      remedy:
        'Compare the fact thumbprint with the certificate of the client. If the client renewed it, register the new one; a name in it proves nothing.',
      actor: 'client or operator',
    },
    registration_withdrawn: {
      cause: 'The certificate was registered when the connection began, but no longer is.',
      remedy: 'Register the certificate again, or enable its client.',
      actor: 'operator',
      sign: 'routine',
    },
    usage_missing: {
      cause: 'The certificate has no extendedKeyUsage extension.',
      remedy: 'Issue the client certificate with extendedKeyUsage clientAuth.',
      isPublic: true,
    },
    usage_not_client: {
      cause: 'The extendedKeyUsage of the certificate lacks clientAuth.',
      remedy: 'Issue the client certificate with extendedKeyUsage clientAuth.',
      isPublic: true,
    },
    key_usage: {
      cause: 'The keyUsage of the certificate allows neither digitalSignature nor keyAgreement.',
      remedy: 'Issue the client certificate with keyUsage digitalSignature.',
      isPublic: true,
    },
    key_too_weak: {
      cause: 'The key {found} of the certificate is too weak.',
      remedy: 'Use an EC key of 256 bits, an Ed25519 key, or an RSA key of 2048 bits or more.',
      isPublic: true,
    },
    signature_too_weak: {
      cause: 'The authority signed the certificate with a weak algorithm, such as SHA-1.',
      remedy: 'Issue a new certificate that is signed with SHA-256 or better.',
      isPublic: true,
    },
    critical_extension: {
      cause: 'The certificate, or one of its authorities, has a critical extension that OpenSSL does not support.',
      remedy: 'Issue a certificate without the extension, or mark it as not critical.',
    },
    malformed: {
      cause: 'The certificate, or a date in it, is malformed.',
      remedy: 'Issue a new certificate in valid DER.',
    },
    signature: {
      cause: 'The key of the named issuer does not verify the signature of the certificate.',
      remedy: 'The certificate was altered, or another authority has the same name and key identifier as {authority}.',
      actor: 'client or operator',
      sign: 'attack',
    },
    authority_ended: {
      cause:
        'The certificate itself is valid, but the certificate of its authority {authority} has expired; the fact found is the end of its validity.',
      remedy: 'Replace the certificate of the authority in TLSBOUND_TLS_CLIENT_CA_FILE and in the chain of the client.',
      actor: 'operator',
    },
    authority_not_yet_valid: {
      cause:
        'The certificate itself is valid, but the certificate of its authority {authority} is not valid yet; the fact found is the beginning of its validity.',
      remedy: 'Compare the clocks; use an authority that is valid now.',
      actor: 'operator',
    },
    authority_usage: {
      cause: 'The authority {authority} may not issue client certificates: its extendedKeyUsage lacks clientAuth.',
      remedy: 'Use an authority without extendedKeyUsage, or one with clientAuth in it.',
      actor: 'operator',
    },
    authority_key_usage: {
      cause: 'A certificate in the chain may not issue others: it is not a CA, or its keyUsage lacks keyCertSign.',
      remedy:
        'Issue the certificate with an authority that has basicConstraints CA and keyUsage keyCertSign. If the fact authority is the name of a client, that client issued the certificate itself, or its key was stolen.',
      actor: 'operator',
      sign: 'attack',
    },
    authority_constraints: {
      cause:
        'The constraints of an authority in the chain exclude the name in the certificate or the length of the chain.',
      remedy: 'Compare the certificate with nameConstraints and pathLenConstraint of its authorities.',
      actor: 'client or operator',
    },
    authority_too_weak: {
      cause: 'An authority in the chain has a weak key, or its certificate has a weak signature.',
      remedy: 'Use an authority with an EC key of 256 bits or an RSA key of 2048 bits, signed with SHA-256 or better.',
      actor: 'operator',
    },
    list_missing: {
      cause: 'Revocation lists are configured, but none from the authority {authority}.',
      remedy:
        'Add its list to TLSBOUND_TLS_CLIENT_CRL_FILE; every authority needs one, including root and intermediates.',
      actor: 'operator',
    },
    list_ended: {
      cause: 'The revocation list of the authority {authority} has expired.',
      remedy: 'Fetch its current list, replace it in TLSBOUND_TLS_CLIENT_CRL_FILE, and reload.',
      actor: 'operator',
    },
    list_not_yet_valid: {
      cause: 'The revocation list of the authority {authority} is not valid yet.',
      remedy: 'Compare the clocks; use a list that is valid now.',
      actor: 'operator',
    },
    list_scope: {
      cause: 'The scope of the revocation list of {authority} excludes a certificate of the chain.',
      remedy:
        'Compare the issuingDistributionPoint of the list with the certificate; add the list that covers the others.',
      actor: 'operator',
    },
    list_signature: {
      cause: 'The authority {authority} did not sign its revocation list, or may not sign lists (keyUsage cRLSign).',
      remedy: 'Fetch the list again from the authority; compare the authorityKeyIdentifier of the list with its key.',
      actor: 'operator',
    },
    forwarded_repeated: {
      cause: 'The request of the proxy has {found} fields {header}, so that the client may have sent one of them.',
      remedy: 'Configure the proxy to replace the field, not to add one.',
      sentence: 'The proxy in front of this server must forward exactly one client certificate.',
      actor: 'operator',
      sign: 'attack',
    },
    forwarded_by_client: {
      cause:
        'The certificate of the proxy also authenticates the client {registered}, which could state any certificate.',
      remedy:
        'Give the proxy a certificate with a name that no client has, or remove the client; see TLSBOUND_CLIENT_CERT_FROM.',
      sentence: 'The proxy in front of this server must not have the certificate of a client.',
      actor: 'operator',
      sign: 'attack',
    },
    forwarded_malformed: {
      cause: 'The field {header} of the proxy is not a certificate in the form {expected}: {found}.',
      remedy: 'Compare the configuration of the proxy with form and header in TLSBOUND_CLIENT_CERT_FROM.',
      sentence: 'The proxy in front of this server forwarded something that is not a client certificate.',
      actor: 'operator',
    },
    forwarded_unverifiable: {
      cause: 'The certificate that a proxy forwards has {found}.',
      remedy:
        'Issue the client certificate without that extension, with an RSA, Ed25519 or NIST curve key; or connect directly.',
      sentence: 'Behind a proxy that ends TLS, this server cannot verify a certificate of this kind.',
    },
    authority_problem: {
      cause: 'The authority {authority} cannot vouch for a forwarded certificate: {found}.',
      remedy: 'Correct what the fact found names in TLSBOUND_TLS_CLIENT_CA_FILE or TLSBOUND_TLS_CLIENT_CRL_FILE.',
      actor: 'operator',
    },
    not_verified: {
      cause: 'OpenSSL could not verify the client certificate; the fact code is its error code.',
      remedy: 'Compare the issuer of the certificate with the authorities in TLSBOUND_TLS_CLIENT_CA_FILE.',
      actor: 'client or operator',
    },
  },
  certificate_expired: {
    ended: {
      cause: 'The client certificate has expired.',
      remedy: 'Renew the client certificate; compare the clocks.',
      isPublic: true,
    },
    not_yet_valid: {
      cause: 'The client certificate is not valid yet.',
      remedy: 'Compare the clocks; use a certificate that is valid now.',
      isPublic: true,
    },
  },
  certificate_revoked: {
    listed: {
      cause: 'A revocation list of its authority contains the client certificate.',
      remedy: 'Issue a new certificate with a new key.',
      sign: 'attack',
    },
    authority_listed: {
      cause: 'A revocation list contains an authority in the chain, not the client certificate.',
      remedy: 'Issue a new certificate from an authority that is not revoked.',
      sign: 'attack',
    },
  },
  certificate_mismatch: {
    other_certificate: {
      cause: 'The token is bound to the certificate in bound_to; the connection presents the certificate in x5t#S256.',
      remedy:
        'If both belong to one client, it must get a new token after a renewal; otherwise the token was stolen. The member came_with compares the two.',
      sign: 'attack',
    },
  },
  connection_mismatch: {
    other_connection: {
      cause: 'The token is bound to another TLS connection of the same certificate.',
      remedy:
        'Get the token on the connection that uses it, and again after a reconnect. Compare peer with that of the event token.issued with this jti: if the client did not reconnect, its token and key were stolen.',
      sign: 'attack',
    },
    attested: {
      cause:
        'The request arrived through a proxy that ends TLS, and the token or the route needs the TLS connection of the client.',
      remedy: 'Request a token with token_binding certificate there, or connect to this server directly.',
      sentence:
        'This request arrived through a proxy that ends TLS; only tokens with token_binding certificate are accepted there.',
    },
  },
  binding_unavailable: {
    attested: {
      cause: 'The request arrived through a proxy that ends TLS, so that the token cannot be bound to the connection.',
      remedy: 'Request token_binding certificate, or connect to the server directly.',
      isPublic: true,
    },
    no_channel_binding: {
      cause: 'The connection has no channel binding: it is TLS 1.2 without the extended master secret.',
      remedy: 'Use TLS 1.3, or TLS 1.2 with the extended master secret (RFC 7627).',
      isPublic: true,
    },
    no_proof_algorithm: {
      cause: 'The key type of the client certificate cannot sign proofs: {found}.',
      remedy: 'Request another token_binding, or use a certificate with one of these keys: {expected}.',
      isPublic: true,
    },
    not_mutual_tls: {
      cause: 'The request did not arrive on a connection of mutualTls(); the fact found says how it arrived.',
      remedy:
        'Use mutualTls() as the serverFactory of the Fastify app. A proxy that terminates TLS hides the connection of the client; plain HTTP and inject() have no TLS connection.',
      sentence: 'The server does not terminate the TLS connection of this request; connect to it directly.',
      actor: 'developer',
    },
  },
  confirmation_malformed: {
    cnf_missing: {
      cause: 'The token has no cnf claim, so it is a plain bearer token.',
      remedy: 'Configure the issuer to bind its tokens to the client certificate (RFC 8705).',
    },
    cnf_malformed: {
      cause: 'The cnf claim is not a JSON object with the thumbprint of a certificate.',
      remedy: 'Configure the issuer to put the x5t#S256 of the certificate into cnf.',
    },
    cnf_member: {
      cause: 'The cnf claim has an unknown member, or a member with a malformed value.',
      remedy: 'See the fact member; only x5t#S256 and the bindings of this server are accepted.',
    },
  },
  bad_signature: {
    too_long: { cause: 'The token exceeds the length limit.', remedy: 'Compare the facts found and limit.' },
    not_jws: {
      cause: 'The token is not three base64url segments with a JSON header.',
      remedy: 'Send the access token exactly as it was issued, without truncating or re-encoding it.',
    },
    not_paseto: {
      cause:
        'The token begins like a PASETO, and its payload is not base64url of claims and a signature; or the claims are not a JSON object in UTF-8 with unique names.',
      remedy: 'Send the access token exactly as it was issued, without truncating or re-encoding it.',
    },
    paseto_version: {
      cause: 'The version or the purpose of the PASETO is not the accepted one, v4.public.',
      remedy:
        'Compare the facts found and expected. No other version and no encrypted token (purpose local) is accepted.',
      actor: 'client or issuer',
      sign: 'attack',
    },
    footer: {
      cause:
        'The footer of the PASETO is absent, too long, or not a JSON object with nothing but a kid that is a PASERK id (k4.pid).',
      remedy: 'Send the access token exactly as it was issued; otherwise the token was forged or altered.',
      actor: 'client or issuer',
      sign: 'attack',
    },
    header_member: {
      cause: 'The header of the token has a member that is not accepted, or a member of the wrong type.',
      remedy: 'See the fact header; tokens of tlsbound have exactly typ, alg and kid, and no token may have crit.',
      actor: 'client or issuer',
      sign: 'attack',
    },
    unknown_key: {
      cause: 'No key of the issuer has the kid of the token.',
      remedy:
        'Compare kid with the key set of the issuer. If another server issued the token, such as one for tests, get it from the issuer of this server. If a rotation removed the key, get a new token.',
      actor: 'client or issuer',
      sign: 'routine',
    },
    wrong_algorithm: {
      cause: 'The alg of the token is not that of the key with its kid, or is not one of the algorithms of its issuer.',
      remedy:
        'Compare the facts alg and expected. If they are those of the issuer, add the algorithm to its profile; otherwise the token was forged or altered.',
      actor: 'operator or issuer',
      sign: 'attack',
    },
    high_s: {
      cause:
        'The value s of the ECDSA signature is above half the order of the curve, so the signature was not verified.',
      remedy:
        'Configure the issuer to write the lower of the two values of s, which gives a token one encoding; otherwise the token was forged or altered.',
      actor: 'operator or issuer',
      sign: 'attack',
    },
    wrong_signature: {
      cause: 'The key with the kid of the token does not verify its signature.',
      remedy:
        'The token was forged or altered, another key has the same kid (a replaced key, or another server), the ECDSA signature is in DER (RFC 7518 section 3.4), or a PASETO was signed for another issuer or purpose (its implicit assertion). Compare the facts address and fetched, if any.',
      actor: 'operator or issuer',
      sign: 'attack',
    },
    not_stored: {
      cause: 'The token is opaque, and the store does not contain it.',
      remedy: 'It expired and was removed, or a server with another store issued it.',
      sentence: 'This server does not store the token; get a new one.',
      sign: 'routine',
    },
    ops_token: {
      cause: 'The token is not the ops token of this server.',
      remedy: 'Send the content of the file that TLSBOUND_OPS_TOKEN_FILE names.',
      sentence: 'The token is not the ops token of this server.',
      sign: 'attack',
    },
  },
  wrong_type: {
    typ: {
      cause: 'The profile of the issuer does not allow the typ of the token; the default is at+jwt.',
      remedy:
        'Send the access token, not another token of the issuer, or configure the matching profile for the issuer.',
    },
    other_token: {
      cause: 'The token is an ID token, refresh token or logout token of the issuer.',
      remedy: 'Send the access token; the fact found is the claim that identifies the kind of this token.',
    },
  },
  wrong_issuer: {
    iss: { cause: 'The iss claim is not the expected issuer.', remedy: 'Compare the facts found and expected.' },
  },
  wrong_audience: {
    aud: {
      cause: 'The aud claim does not contain the expected audience.',
      remedy: 'Request the token with this resource; compare the facts found and expected.',
      actor: 'client or issuer',
    },
  },
  not_yet_valid: {
    in_the_future: {
      cause: 'The iat or nbf of the token is in the future.',
      remedy: 'Compare the clocks of issuer and resource server.',
      actor: 'operator or issuer',
    },
  },
  expired: {
    ended: {
      cause: 'The exp of the token has passed.',
      remedy: 'Get a new token; if it was issued just now, compare the clocks.',
      sign: 'routine',
    },
  },
  claims_malformed: {
    claim: {
      cause: 'A claim of the token is missing, or does not have the form that RFC 9068 requires.',
      remedy: 'See the fact claim.',
    },
    lifetime: {
      cause: 'The exp of the token is before its iat, or its lifetime exceeds the limit.',
      remedy: 'Configure a shorter lifetime at the issuer.',
    },
  },
  binding_too_weak: {
    level: {
      cause: 'The binding of the token is weaker than the level that the route requires.',
      remedy: 'Request a token with the token_binding in the fact expected.',
    },
  },
  proof_missing: {
    header_missing: {
      cause: 'The request has no Session-Binding-Proof header.',
      remedy: 'Sign a proof for this connection and send it with the token.',
    },
  },
  proof_invalid: {
    form: {
      cause: 'The proof is not a compact JWS of at most 4096 characters.',
      remedy: 'Send one Session-Binding-Proof header with one proof.',
    },
    header: {
      cause:
        'The header of the proof does not have exactly typ, alg and x5t#S256 with the values for this certificate.',
      remedy:
        'Use typ tls-binding-proof+jwt, an algorithm of the certificate key, and the thumbprint of the certificate.',
    },
    claim: {
      cause: 'A claim of the proof is missing, unknown or malformed.',
      remedy: 'Send ath, ekm and iat; jti, htm and htu are optional; any other claim is rejected.',
    },
    other_connection: {
      cause: 'The ekm of the proof is for another connection.',
      remedy:
        'Sign a proof on each connection, and again after a reconnect. If the client did not reconnect, another party has its token and key, and replays a proof.',
      sign: 'attack',
    },
    other_token: {
      cause: 'The ath of the proof is not the SHA-256 hash of this token.',
      remedy: 'Sign a proof for each token; compare the facts found and expected.',
    },
    outside_window: {
      cause: 'The iat of the proof is too old, or in the future.',
      remedy: 'Sign a new proof; compare the clocks.',
    },
    other_request: {
      cause: 'The htm or htu of the proof does not match this request.',
      remedy: 'Sign a proof for this request, or omit htm and htu.',
    },
    wrong_signature: {
      cause: 'The key of the client certificate does not verify the signature of the proof.',
      remedy:
        'Sign with the private key of the certificate of this connection. An ECDSA signature is R and S (RFC 7518 section 3.4), not DER.',
      sign: 'attack',
    },
    not_per_request: {
      cause: 'The route requires a proof for each request, and this proof lacks jti, htm or htu.',
      remedy: 'Sign a proof with jti, htm and htu for each request.',
      sentence: 'This resource requires a proof with jti, htm and htu that was signed for this request.',
    },
    used_already: {
      cause: 'The jti of the proof was already used on this connection.',
      remedy: 'Use a new jti for each proof, also when an HTTP library sends a request again.',
      sign: 'attack',
    },
    too_many: {
      cause: 'The connection used more single-request proofs in one minute than the server stores.',
      remedy: 'Send fewer requests per connection, or use a proof for all requests of the connection.',
      sentence:
        'The connection used too many single-request proofs in one minute; send fewer, or a proof for all its requests.',
    },
  },
  signature_missing: {
    header_missing: {
      cause: 'The request has no {header} field, and this resource requires a signed request.',
      remedy:
        'Sign the request as the Accept-Signature field of this response says; see docs/reference/signed-requests.md.',
      isPublic: true,
    },
    other_tag: {
      cause: 'No signature of the request has the tag tlsbound-request.',
      remedy: 'Set the signature parameter tag to tlsbound-request.',
      isPublic: true,
    },
  },
  signature_invalid: {
    form: {
      cause: 'Signature-Input or Signature is not in the form of RFC 9421: {found}.',
      remedy:
        'Send Signature-Input as a dictionary of lists of strings, and Signature as a dictionary of byte sequences with the same keys, each key once.',
      isPublic: true,
    },
    labels: {
      cause: 'The request has more signatures than the server reads.',
      remedy: 'Send at most {limit} signatures.',
      isPublic: true,
    },
    too_long: {
      cause: 'The field {header} is too long.',
      remedy: 'Send at most {limit} characters.',
      isPublic: true,
    },
    two_signatures: {
      cause: 'Two signatures of the request have the tag tlsbound-request.',
      remedy: 'Send one signature with this tag.',
      isPublic: true,
    },
    parameter: {
      cause: 'The signature parameter {parameter} is missing, unknown or malformed.',
      remedy:
        'Send created, expires, nonce, keyid and tag, optionally alg, and no other; nonce has 1 to 64 characters.',
      isPublic: true,
    },
    component_missing: {
      cause: 'The signature does not cover {member}.',
      remedy:
        'Cover @method, @target-uri, authorization, tls-channel-binding, content-type if it is sent, and content-digest if the request has a body.',
      isPublic: true,
    },
    component: {
      cause: 'A component of the signature is not supported: {found}.',
      remedy: 'Cover fields that are sent, and derived components of requests, without parameters and each once.',
      isPublic: true,
    },
    key_kind: {
      cause: 'The key of the client certificate cannot sign requests.',
      remedy: 'Use a certificate with a key of another kind; compare the facts found and expected.',
      sentence:
        'The key of this client certificate cannot sign requests; use P-256, P-384, Ed25519, or RSA of 2048 bits.',
    },
    other_key: {
      cause: 'The parameter keyid or alg is not that of the client certificate of this connection.',
      remedy: 'Set keyid to the x5t#S256 of the certificate, and alg to the algorithm of its key, or omit alg.',
    },
    outside_window: {
      cause:
        'The signature is not valid now: created is in the future, expires has passed, or the time between is too long.',
      remedy: 'Sign each request when it is sent, for at most 60 seconds; compare the clocks.',
    },
    channel_binding: {
      cause: 'TLS-Channel-Binding is not a dictionary with tls-exporter as a byte sequence of 32 octets.',
      remedy: 'Send the SHA-256 hash of the tls-exporter value of the connection, and cover it with the signature.',
      isPublic: true,
    },
    other_connection: {
      cause: 'TLS-Channel-Binding is that of another connection.',
      remedy:
        'Sign for the connection that carries the request, and again after a reconnect. If the client did not reconnect, another party replays a request.',
      sign: 'attack',
    },
    no_channel_binding: {
      cause: 'The connection has no tls-exporter channel binding: it uses TLS 1.2 without the extended master secret.',
      remedy: 'Use TLS 1.3.',
      sentence: 'This connection has no channel binding that a signature can cover; use TLS 1.3.',
    },
    wrong_signature: {
      cause: 'The key of the client certificate does not verify the signature over this request.',
      remedy:
        'Sign with the private key of the certificate of this connection. Compare method, target, host and covered fields with those that were signed. An ECDSA signature is R and S, not DER.',
      sign: 'attack',
    },
    used_already: {
      cause: 'The nonce of the signature was already used on this connection.',
      remedy: 'Use a new nonce for each request, also when an HTTP library sends a request again.',
      sign: 'attack',
    },
    too_many: {
      cause: 'The connection used more nonces in one minute than the server stores.',
      remedy: 'Send fewer requests per connection.',
      sentence: 'The connection sent too many signed requests in one minute; send fewer.',
    },
  },
  digest_invalid: {
    missing: {
      cause: 'The request has a body and no Content-Digest field.',
      remedy: 'Send Content-Digest with sha-256 or sha-512 in the header of the request, not in a trailer.',
      isPublic: true,
    },
    form: {
      cause: 'The field Content-Digest is not in the form of RFC 9530: {found}.',
      remedy: 'Send a dictionary with each algorithm once, such as sha-256=:BASE64:.',
      isPublic: true,
    },
    algorithm: {
      cause: 'Content-Digest has neither sha-256 nor sha-512.',
      remedy: 'Use one of these two algorithms.',
      isPublic: true,
    },
    mismatch: {
      cause: 'The body does not have the {alg} digest in Content-Digest.',
      remedy:
        'Compute the digest over the octets that are sent, after compression. If the client did so, another party changed the body.',
      sign: 'attack',
    },
    body_read: {
      cause: 'The program read from the body before requireToken, so that its digest cannot be verified.',
      remedy: 'Call requireToken before everything that reads the body, such as a body parser.',
      sentence: 'The server cannot verify the digest of this body; contact its operator.',
      actor: 'developer',
    },
    upgrade: {
      cause: 'The request has a body and asks for an upgrade of the connection.',
      remedy: 'Send the request for an upgrade without a body.',
      isPublic: true,
    },
  },
  revoked: {
    token: {
      cause: 'The token itself was revoked.',
      remedy: 'Get a new token; the event token.revoked with this jti as value shows who revoked it.',
      sign: 'routine',
    },
    grant: {
      cause: 'The grant of the token was revoked.',
      remedy: 'Request a new grant; the event token.revoked with this grant as value shows who revoked it.',
      sign: 'routine',
    },
    client: {
      cause: 'Every token of the client that was issued before the time in the fact mark was revoked.',
      remedy:
        'Get a new token; the event token.revoked with this client_id as value, or client.changed, shows who did it.',
      sign: 'routine',
    },
    certificate: {
      cause: 'Every token of the certificate that was issued before the time in the fact mark was revoked.',
      remedy: 'Get a new token; the event token.revoked with the x5t#S256 as value shows who revoked them.',
      sign: 'routine',
    },
    all: {
      cause: 'Every token that this server issued before the time in the fact mark was revoked.',
      remedy: 'Get a new token; the event token.revoked of kind all shows who revoked them.',
      sign: 'routine',
    },
    client_disabled: {
      cause: 'The client of the token is disabled, or is no longer registered.',
      remedy: 'Run tlsbound clients list; tlsbound clients enable CLIENT_ID enables the client again.',
      actor: 'operator',
      sign: 'routine',
    },
    inactive: {
      cause: 'The issuer answers that the token is no longer active (RFC 7662).',
      remedy: 'Get a new token; the events of the issuer show who revoked it.',
      sign: 'routine',
    },
    by_hook: {
      cause: 'The isRevoked function of this resource server returned true for the token.',
      remedy: 'Get a new token; check the system behind isRevoked for who revoked it.',
      sign: 'routine',
    },
    key_removed: {
      cause: 'The key that signed the token was removed from the signing keys after the token was first used here.',
      remedy: 'Get a new token; the event key.rotated with this kid shows when the key was removed.',
      sign: 'routine',
    },
  },
  scope_missing: {
    scope: {
      cause: 'The scope of the token lacks a value that the route requires.',
      remedy: 'Compare the facts found and expected; register the client for the scope and request it.',
    },
  },
  unknown_client: {
    not_registered: {
      cause: 'No client is registered with this client_id.',
      remedy: 'Compare client_id with the output of tlsbound clients list; it is case-sensitive.',
    },
  },
  client_mismatch: {
    order_differs: {
      cause: 'The subject of the certificate has the parts of the registered name in reverse order.',
      remedy:
        'Register the fact presented with tlsbound clients add FILE: RFC 4514 writes the last part of the certificate first. tlsbound inspect CERTIFICATE-FILE prints that name.',
      actor: 'operator',
    },
    string_type: {
      cause: 'The subject has the text of the registered name, but in a string type that is not compared.',
      remedy: 'Issue the certificate with UTF8String or PrintableString, or register the fact presented as it is.',
    },
    other_name: {
      cause: 'The name in the certificate differs from the registered one.',
      remedy:
        'Compare the facts registered and presented; letter case and spaces count. If the certificate is not that of the client, another party uses its client_id, by mistake or to get its tokens.',
      sign: 'attack',
    },
    other_kind_of_name: {
      cause: 'The certificate has the registered name, but as another kind of name.',
      remedy: 'Compare the facts registered and presented; register the kind of name that the certificate has.',
    },
    no_name: {
      cause: 'The certificate has no name of the registered kind.',
      remedy:
        'If the certificate is that of the client, register one of the names in the fact presented; otherwise issue another certificate.',
    },
    name_unreadable: {
      cause: 'The names in the certificate are not valid DER and cannot be compared.',
      remedy: 'Issue a new certificate in valid DER (X.690).',
      actor: 'client',
    },
    not_registered_certificate: {
      cause: 'The client is not registered with this certificate.',
      remedy:
        'Compare the fact thumbprint with the certificate of the client. If the client renewed it, add it to x5c in the jwks of the registration.',
    },
    not_vouched_for: {
      cause: 'The client is registered by name, and no trusted authority issued the certificate.',
      remedy: 'Present a certificate from a trusted authority.',
      actor: 'client',
    },
    secret: {
      cause: 'The client secret is wrong.',
      remedy:
        'Send a current secret of the client. If the client did not send the request, another party has its certificate and guesses its secret.',
      actor: 'client or operator',
      sign: 'attack',
    },
    secret_missing: {
      cause: 'The request has no client secret, or an empty one.',
      remedy: 'Send the secret of the client with Authorization: Basic.',
      actor: 'client',
    },
    secret_none_stored: {
      cause: 'The client is registered for a secret, but has none.',
      remedy: 'Run tlsbound clients add-secret CLIENT_ID, and give the secret to the client.',
      actor: 'operator',
    },
    secret_delayed: {
      cause: 'The secret was not checked, because the client recently sent a wrong one.',
      remedy: 'Wait 90 seconds; find out who sends wrong secrets with the certificate of this client.',
      actor: 'client or operator',
      sign: 'attack',
    },
    other_owner: {
      cause: 'The client that requests the revocation does not own the token.',
      remedy:
        'The token stays valid, and the response is 200 as for every token. Find out how the client in by got the token; an administrator can revoke it with tlsbound revoke.',
      sentence: 'The token belongs to another client.',
      actor: 'operator',
      sign: 'attack',
    },
    not_a_resource: {
      cause: 'A client without a registered resource requests the introspection of a token of another client.',
      remedy:
        'The response is 200 and says that the token is inactive. If the client in by is a resource server, register its resource; otherwise find out how it got the token.',
      sentence: 'The token belongs to another client, and this client has no registered resource.',
      actor: 'operator',
      sign: 'attack',
    },
  },
  client_disabled: {
    disabled: {
      cause: 'An administrator disabled the client.',
      remedy: 'Run tlsbound clients enable CLIENT_ID.',
      sign: 'routine',
    },
    format_unavailable: {
      cause: 'The client is registered for PASETO, and no signing key of this server is for PASETO now.',
      remedy: 'Run tlsbound keys rotate --algorithm v4.public, on the file of every server that shares the store.',
      sentence: 'This server cannot issue tokens in the access_token_format of the client; contact the operator.',
    },
  },
  grant_type_unsupported: {
    grant_type: {
      cause: 'The server does not support this grant_type.',
      remedy: 'Use client_credentials, refresh_token or urn:ietf:params:oauth:grant-type:token-exchange.',
      isPublic: true,
    },
  },
  grant_type_not_allowed: {
    grant_type: {
      cause: 'The grant_types of the registration do not contain this grant_type.',
      remedy: 'Add it to the grant_types of the registration.',
    },
    authorization_endpoint: {
      cause: 'No client can be registered for the authorization endpoint: this server has no users.',
      remedy: 'Request a token at the token endpoint, with a client certificate.',
      isPublic: true,
    },
  },
  scope_denied: {
    scope_malformed: {
      cause: 'The scope is not a list of unique values separated by single spaces.',
      remedy: 'Separate the values with one space, and send each value once.',
      isPublic: true,
      actor: 'client',
    },
    not_registered: {
      cause: 'The scope of the registration lacks a value that the client requests.',
      remedy: 'Compare the facts found and expected; add the value to the registration, or request less.',
    },
    wider_than_granted: {
      cause:
        'The client requests more scope than the refresh token has, or than the subject token and the registration have in common.',
      remedy: 'Request only the scope in the fact expected or a part of it.',
      sentence: 'The request has more scope than was granted; request a part of the granted scope.',
      actor: 'client',
    },
    nothing_left: {
      cause: 'The subject token and the registration have no scope in common.',
      remedy: 'Compare the scope of the subject token with that of the registration.',
      sentence: 'The subject token and the registration of the client have no scope in common.',
    },
  },
  binding_not_allowed: {
    not_registered: {
      cause: 'The token_bindings of the registration do not contain the level that the client requests.',
      remedy: 'Add it to the token_bindings of the registration, or request a registered level.',
    },
    weaker_than_subject: {
      cause: 'The client requests a weaker binding than the subject token has.',
      remedy: 'Request the level of the subject token or a stronger one.',
      sentence: 'The token_binding is weaker than that of the subject token; request an equal or stronger one.',
      actor: 'client',
    },
  },
  target_unknown: {
    not_registered: {
      cause: 'The resource is neither the audience of this server nor the resource of a registered client.',
      remedy: 'Compare the spelling with the registered resources, or register the API as a client with this resource.',
    },
    other_than_granted: {
      cause: 'The grant is for another resource.',
      remedy: 'Omit resource when refreshing, or send the resource of the grant.',
      sentence: 'The grant is for another resource; omit resource, or send that of the grant.',
      actor: 'client',
    },
    two_targets: {
      cause: 'The request names two targets: resource or audience twice, or the two with different values.',
      remedy: 'Send one request for each target.',
      isPublic: true,
      actor: 'client',
    },
  },
  refresh_unknown: {
    form: {
      cause: 'The refresh_token does not have the form of a refresh token of this server.',
      remedy: 'Send it exactly as it was issued; compare the facts found and expected.',
    },
    not_stored: {
      cause: 'The store does not contain the refresh token.',
      remedy: 'It expired and was removed, or a server with another store issued it.',
      sign: 'routine',
    },
    other_client: {
      cause: 'The refresh token belongs to another client.',
      remedy: 'The token was stolen or mixed up; compare client_id with by.',
      actor: 'client or operator',
      sign: 'attack',
    },
  },
  refresh_expired: {
    ended: {
      cause: 'The lifetime of the grant has ended. No use extends it, and there is no idle limit.',
      remedy:
        'Request a new grant. TLSBOUND_REFRESH_TOKEN_LIFETIME is the lifetime of new grants; the fact limit is that of this one.',
      sign: 'routine',
    },
  },
  refresh_reused: {
    reused: {
      cause: 'The refresh token was used again after its successor was used.',
      remedy:
        'Two processes of the client may use copies of its tokens, or it restored an old backup; otherwise another party has the token and the key of the client. theft_response decides whether the grant is revoked; see the fact grant_revoked and the events with this grant.',
      actor: 'client or operator',
      sign: 'attack',
    },
    answer_lost: {
      cause: 'The refresh token was used again, and its unused successor can no longer be issued again.',
      remedy:
        'The client probably lost a response and retried too late. Within a minute of the first use, a retry gets the same successor. Later, request a new grant.',
      actor: 'client or operator',
      sign: 'attack',
    },
  },
  refresh_revoked: {
    revoked: {
      cause: 'The grant, its client, its certificate or all tokens were revoked.',
      remedy: 'Request a new grant; the event token.revoked shows who revoked it.',
      sign: 'routine',
    },
  },
  refresh_certificate_mismatch: {
    other_certificate: {
      cause: 'The refresh token is bound to the certificate in bound_to; the connection presents another one.',
      remedy:
        'After a renewal of the certificate, the client must request a new grant, unless its registration has refresh_token_binding client; otherwise another party has the token and a certificate of the client.',
      actor: 'client or operator',
      sign: 'attack',
    },
  },
  subject_token_invalid: {
    too_long: { cause: 'The subject token exceeds the length limit.', remedy: 'Get a shorter token from its issuer.' },
    not_jws: {
      cause: 'The subject token is not three base64url segments with a JSON header and JSON claims.',
      remedy: 'Send the token exactly as its issuer issued it; encrypted tokens are not supported.',
    },
    not_trusted: {
      cause: 'The iss of the subject token is not a trusted issuer.',
      remedy: 'Compare the fact issuer with the entries of TLSBOUND_TRUSTED_ISSUERS_FILE; they must be identical.',
      actor: 'client or operator',
    },
    wrong_algorithm: {
      cause: 'The algorithms of the issuer do not contain the alg of the subject token.',
      remedy: 'If the fact alg is an asymmetric algorithm, add it to the algorithms of the entry.',
      actor: 'operator or issuer',
    },
    header_member: {
      cause: 'The header of the subject token has a member crit or b64, or a kid that is not a string.',
      remedy: 'Get a token without extensions from the issuer; see the fact header.',
      actor: 'issuer',
    },
    unknown_key: {
      cause: 'No key of the issuer matches the kid and alg of the subject token.',
      remedy: 'Compare the facts kid and alg with the key set of the issuer.',
      actor: 'operator or issuer',
      sign: 'routine',
    },
    wrong_signature: {
      cause:
        'No key of the issuer for the kid and alg of the subject token made its signature, or its claims are not UTF-8.',
      remedy:
        'The token was forged or altered, another key has the same kid (a replaced key, or another server), the ECDSA signature is in DER (RFC 7518 section 3.4), or a PASETO was signed for another issuer or purpose (its implicit assertion). Compare the facts address and fetched, if any.',
      actor: 'operator or issuer',
      sign: 'attack',
    },
    typ: {
      cause:
        'The typ of the subject token does not match subject_token_type, or the profile of its issuer does not have it.',
      remedy: 'Set subject_token_type to the type of the token; compare the fact found with the profile of the entry.',
    },
    other_token: {
      cause: 'By its claims, the subject token is not of the kind that subject_token_type names.',
      remedy:
        'Send the access token of the user, or set subject_token_type to id_token for an ID token; see the fact found.',
    },
    claim: {
      cause: 'A claim of the subject token is missing, is malformed, or has an unexpected value.',
      remedy: 'See the fact claim; compare found with expected.',
      actor: 'issuer',
    },
    scope_elsewhere: {
      cause: 'The subject token has no scope where its entry says, but another claim that limits it.',
      remedy:
        'Set scope_claim or profile of the entry so that the fact claim is read, or let the issuer write the fact expected.',
      actor: 'operator or issuer',
    },
    audience: {
      cause: 'The aud of the subject token does not contain the audience of the issuer entry.',
      remedy: 'Compare the facts found and expected; the audience in TLSBOUND_TRUSTED_ISSUERS_FILE must be identical.',
      actor: 'client or operator',
    },
    ended: {
      cause: 'The exp of the subject token has passed.',
      remedy: 'Get a new token from its issuer; if it was issued just now, compare the clocks.',
      sign: 'routine',
    },
    in_the_future: {
      cause: 'The iat or nbf of the subject token is in the future.',
      remedy: 'Compare the clocks of the issuer and this server.',
      actor: 'operator or issuer',
    },
    too_old: {
      cause: 'The subject token is older than the maximum_age of the issuer entry.',
      remedy: 'Get a new token from its issuer, or raise maximum_age.',
      sign: 'routine',
    },
    foreign_claim: {
      cause: 'The subject token has the claim act or events, so it is about another actor or an event.',
      remedy: 'Send the token that was issued to the user.',
    },
    may_act: {
      cause: 'The may_act of the subject token does not contain only this client.',
      remedy:
        'Compare the facts found and expected; get a token that names this client in may_act. A token that names another client is meant for that client: find out how this one got it.',
      actor: 'client or issuer',
    },
    confirmation: {
      cause: 'The cnf of the subject token does not match the x5t#S256 of the client certificate.',
      remedy: 'Only the client that the token is bound to can exchange it; see the facts.',
      actor: 'client or issuer',
      sign: 'attack',
    },
    names_a_client: {
      cause: 'The subject of the token is equal to the client_id of a registered client.',
      remedy:
        'Set a subject_prefix in the entry of the issuer with which no client_id begins. The fact found is the subject with its prefix: a user with this name could pass for the client.',
      actor: 'operator',
      sign: 'attack',
    },
    other_certificate: {
      cause: 'This server issued the subject token to another certificate.',
      remedy: 'Only the client that the token was issued to can exchange it; another client that has it has stolen it.',
      actor: 'client or operator',
      sign: 'attack',
    },
    other_connection: {
      cause: 'This server issued the subject token on another TLS connection of the same certificate.',
      remedy:
        'Get the token on the connection that exchanges it, and again after a reconnect. Compare peer with that of the event token.issued with this jti: if the client did not reconnect, its token and key were stolen.',
      sign: 'attack',
    },
    other_client: {
      cause: 'This server issued the subject token to another client with the same certificate.',
      remedy: 'Send the client_id that the token was issued to.',
      actor: 'client or operator',
      sign: 'attack',
    },
    own_token: {
      cause:
        'The iss of the subject token is this server, or the token is opaque; it is rejected for the reason and detail in the facts.',
      remedy: 'See the detail of that reason.',
    },
  },
  issuer_unavailable: {
    ...fetchDetails,
    no_verdict: {
      cause: 'The answer of the introspection endpoint does not say whether the token is active.',
      remedy:
        'Check introspection_endpoint in the metadata of the issuer, which must answer as RFC 7662 section 2.2 says.',
    },
  },
  report_signature_invalid: {
    unknown_key: {
      cause: 'No reporter has a key with this identifier.',
      remedy: 'Add the key to TLSBOUND_LEAK_KEYS_FILE.',
      actor: 'operator or reporter',
    },
    wrong_signature: {
      cause: 'The key does not verify the signature of the received body.',
      remedy:
        'Sign the exact octets of the body, and check that no proxy changes them. If the reporter did not send the report, it was forged.',
      actor: 'reporter',
      sign: 'attack',
    },
  },
  reporter_unavailable: fetchDetails,
  store_unavailable: {
    no_answer: {
      cause: 'The store did not respond, or returned an error.',
      remedy: 'See the error in the log.',
    },
    read_only: {
      cause: 'The store is read-only: its database, file or disk does not allow writes, or it is a standby.',
      remedy: 'Connect to the primary, or make the database, file or disk writable; the log has the error.',
    },
    full: {
      cause: 'The disk of the store is full.',
      remedy: 'Free or add disk space; the server recovers without a restart.',
    },
    session: {
      cause: 'A database connection does not have the requested schema or timeouts.',
      remedy: 'Connect without a pooler, or set them for the role; the log shows the difference.',
    },
    not_listening: {
      cause: 'The mutual-TLS listener accepts no connections.',
      remedy: 'The server is starting or stopping; see the log.',
    },
    stale: {
      cause: 'The server has had no response from the store for 5 seconds and may have missed a revocation.',
      remedy: 'Check the database and the network to it.',
    },
    event_not_written: {
      cause: 'Security events cannot be written, so no token is issued or accepted.',
      remedy: 'Check the disk and the permissions of TLSBOUND_AUDIT_FILE; see the error in the log.',
    },
  },
  upstream_unavailable: {
    unreachable: {
      cause: 'No connection to the upstream {address} could be opened: {found}.',
      remedy: 'Check that the upstream runs, its address in the routes, the network and the firewall.',
    },
    not_trusted: {
      cause: 'TLS with the upstream {address} failed: {found}.',
      remedy:
        'See the fact found. Check scheme and port of the address, ca_file, cert_file and key_file of the route, and the certificate of the upstream.',
    },
    busy: {
      cause: 'As many requests as allowed are under way to the upstream {address}.',
      remedy: 'Make the upstream faster or start more of it; see docs/reference/limits.md.',
    },
    tunnels: {
      cause: 'As many upgraded connections as allowed are open.',
      remedy: 'Close some, or start more gateways; see docs/reference/limits.md.',
    },
  },
  upstream_failed: {
    response_malformed: {
      cause: 'The response of the upstream {address} is not valid HTTP/1.1: {found}.',
      remedy: 'Check that the address is that of an HTTP server, and update the upstream.',
    },
    cut_off: {
      cause: 'The upstream {address} closed the connection before its response: {found}.',
      remedy: 'See the log of the upstream.',
    },
    unfit: {
      cause: 'The response of the upstream {address} cannot be sent to the client.',
      remedy: 'Check the header fields and the length of the response.',
    },
  },
  upstream_timeout: {
    no_response: {
      cause: 'The upstream {address} did not respond for {limit} seconds.',
      remedy: 'See the log of the upstream, or set timeout in the route.',
    },
    connect: {
      cause: 'The connection to the upstream {address} timed out.',
      remedy: 'Check the address in the routes, the network and the firewall.',
    },
  },
} as const satisfies Readonly<Record<string, Readonly<Record<string, DetailEntry>>>>

type Reason = keyof typeof details

/** Who can fix a refusal, unless its detail says otherwise. */
const actors: Readonly<Record<Reason, Actor>> = {
  no_token: 'client',
  malformed_request: 'client',
  no_certificate: 'client',
  certificate_untrusted: 'client',
  certificate_expired: 'client',
  certificate_revoked: 'client or operator',
  certificate_mismatch: 'client or operator',
  connection_mismatch: 'client or operator',
  binding_unavailable: 'client',
  confirmation_malformed: 'issuer',
  bad_signature: 'client',
  wrong_type: 'client or operator',
  wrong_issuer: 'client or operator',
  wrong_audience: 'client',
  not_yet_valid: 'issuer',
  expired: 'client',
  claims_malformed: 'issuer',
  binding_too_weak: 'client',
  proof_missing: 'client',
  proof_invalid: 'client',
  signature_missing: 'client',
  signature_invalid: 'client',
  digest_invalid: 'client',
  revoked: 'client',
  scope_missing: 'client or operator',
  unknown_client: 'client or operator',
  client_mismatch: 'client or operator',
  client_disabled: 'operator',
  grant_type_unsupported: 'client',
  grant_type_not_allowed: 'client or operator',
  scope_denied: 'client or operator',
  binding_not_allowed: 'client or operator',
  target_unknown: 'client or operator',
  refresh_unknown: 'client',
  refresh_expired: 'client',
  refresh_reused: 'client',
  refresh_revoked: 'client',
  refresh_certificate_mismatch: 'client',
  subject_token_invalid: 'client',
  issuer_unavailable: 'operator or issuer',
  report_signature_invalid: 'reporter',
  reporter_unavailable: 'operator or reporter',
  store_unavailable: 'operator',
  upstream_unavailable: 'operator',
  upstream_failed: 'operator',
  upstream_timeout: 'operator',
}

/** The names of the details of a reason. */
export type DetailOf<R extends Reason> = R extends Reason ? keyof (typeof details)[R] & string : never

export type Detail = DetailOf<Reason>

/** The meaning of each fact, in the order of the documentation. */
export const factNames = {
  parameter: 'name of the parameter',
  member: 'name of the member',
  claim: 'name of the claim',
  header: 'name of the header or header member',
  typ: 'typ of the token',
  found: 'what was found',
  expected: 'what was expected',
  limit: 'the limit that was exceeded: a number of characters, octets, items or seconds, as the cause says',
  code: 'error code of OpenSSL, the HTTP parser or the network',
  reason: 'the underlying reason',
  detail: 'the detail of the underlying reason',
  subject: 'subject of the presented certificate, in the format of RFC 4514',
  issuer: 'issuer of the certificate or token',
  serial: 'serial number of the certificate, hexadecimal',
  thumbprint: 'x5t#S256 of the presented certificate',
  authority: 'the authority that the detail is about',
  list: 'issuer, number and expiry of the revocation list that the detail is about',
  sent: 'subject of the first certificate that the client sent after its own',
  registered: 'the name that the client is registered with; for forwarded_by_client its client_id',
  presented: 'the name in the certificate',
  kid: 'kid of the token',
  alg: 'alg of the token, proof, signature or digest',
  token_binding: 'the requested token_binding',
  host: 'host of the request',
  origin: 'Origin header of the request',
  server_name: 'server name (SNI) of the TLS handshake',
  address: 'address that was fetched',
  fetched: 'time at which the address was fetched, seconds since 1970',
  now: 'time of this server with which found was compared, seconds since 1970',
  mark: 'mark of a revocation: tokens with an earlier iat are revoked; seconds since 1970, a few seconds after the revocation',
  first_use: 'seconds since the first use of the refresh token',
  grant_revoked: 'whether this refusal revoked the grant: yes or no',
  ignored_header:
    'a header field with a client certificate that was ignored, because no known proxy wrote it; in any refusal',
} as const

/** The compared values. Strings may come from the client; the event writer shortens and redacts them. */
export type RefusalFacts = { readonly [name in keyof typeof factNames]?: string | number | undefined }

/** Returns the entry of a detail. */
export function detailOf(reason: Reason, detail: string): DetailEntry {
  return (details[reason] as Readonly<Record<string, DetailEntry>>)[detail] as DetailEntry
}

/** Returns who can fix a refusal, and whether it may be a sign of an attack. */
export function classify(reason: Reason, detail: string): { readonly actor: Actor; readonly sign: Sign } {
  const { actor = actors[reason], sign = 'fault' } = detailOf(reason, detail)
  return { actor, sign }
}

/** Returns the text for the client, or undefined if it receives the sentence of the reason. ASCII without quotes (RFC 6749 §5.2). */
export function describeForClient(reason: Reason, detail: string, facts: RefusalFacts): string | undefined {
  const { cause, remedy, isPublic, sentence } = detailOf(reason, detail)
  if (isPublic !== true) return sentence
  const fill = (text: string) =>
    text.replace(/ ?\{(\w+)\}/g, (whole, name: keyof RefusalFacts) => {
      const fact = facts[name]?.toString()
      return fact !== undefined && /^[\x20\x21\x23-\x5b\x5d-\x7e]{1,200}$/.test(fact)
        ? whole.replace(`{${name}}`, fact)
        : ''
    })
  return `${fill(cause)} ${fill(remedy)}`
}
