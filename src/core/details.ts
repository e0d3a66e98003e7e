// Details: why exactly a request was refused, for the operator. A reason (errors.ts) is what the client is told; each reason
// has one detail or more, and events and log lines carry the detail with the facts that were compared. The list is closed;
// docs/reference/refusals.md is generated from it.

export interface DetailEntry {
  /** What was found, in one sentence. `{name}` stands for a fact. */
  readonly cause: string
  /** What to do about it, for the operator of the server or the client. */
  readonly remedy: string
  /**
   * Whether the client is told the cause and the remedy too, as `error_description`: only where the cause is the form of its
   * own request or its own certificate, so that it helps no attacker.
   */
  readonly told?: true
}

/** Why a document could not be fetched. The fact address is its URL, and the log has the whole finding. */
const fetchDetails = {
  host_unknown: {
    cause: 'The name of the host in the address has no IP address.',
    remedy: 'Check the spelling of the address and the DNS of this machine.',
  },
  unreachable: {
    cause: 'Nothing accepts connections at the address, or no route leads there.',
    remedy: 'Check the port, the network and the firewall, and whether the server runs.',
  },
  timed_out: {
    cause: 'The connection, the handshake or the answer took too long.',
    remedy: 'Check network, firewall and server; see docs/reference/limits.md.',
  },
  cut_off: {
    cause: 'The server closed the connection before its answer was complete.',
    remedy: 'Check that the server is healthy, and what its log says.',
  },
  not_tls: {
    cause: 'The server at the address does not speak TLS.',
    remedy: 'Check the port; it must be one of an HTTPS server.',
  },
  tls_failed: {
    cause: 'The TLS handshake failed: versions, ciphers or a certificate of this side do not suit the server.',
    remedy: 'Enable TLS 1.3 on both sides; the log has the error of OpenSSL.',
  },
  not_trusted: {
    cause: 'No authority that is trusted for the address vouches for the certificate of the server.',
    remedy: 'Give the authority as ca_file, or let the server send its whole chain.',
  },
  outside_validity: {
    cause: 'The certificate of the server, or of one of its authorities, has expired or is not valid yet.',
    remedy: 'Renew it; compare the clocks.',
  },
  name_mismatch: {
    cause: 'The certificate of the server is not for the host in the address.',
    remedy: 'Use an address with one of the names of the certificate; the log lists them.',
  },
  not_http: {
    cause: 'The answer is not valid HTTP/1.1.',
    remedy: 'Check the port; it must be one of an HTTPS server.',
  },
  redirect: {
    cause: 'The answer is a redirect, and redirects are not followed.',
    remedy: 'Use the address that the redirect names.',
  },
  status: {
    cause: 'The answer has another status than 200.',
    remedy: 'Check the address; the fact found is the status.',
  },
  compressed: {
    cause: 'The answer is compressed, which was not asked for.',
    remedy: 'Let the server respect Accept-Encoding: identity.',
  },
  too_large: {
    cause: 'The document is larger than is read.',
    remedy: 'Check the address; see docs/reference/limits.md.',
  },
  not_json: {
    cause: 'The answer is not JSON in UTF-8.',
    remedy: 'Check the address; the log has the type of the answer.',
  },
  no_usable_key: {
    cause: 'The document has no key that can be used here.',
    remedy: 'Check the address, and the kinds of the keys that are published there.',
  },
} as const satisfies Readonly<Record<string, DetailEntry>>

/** Why a document could not be fetched. */
export type FetchDetail = keyof typeof fetchDetails

/** Every detail of every reason, by reason. */
export const details = {
  no_token: {
    authorization_missing: {
      cause: 'The request has no Authorization header.',
      remedy: 'Send the access token as Authorization: Bearer TOKEN.',
      told: true,
    },
    scheme_not_bearer: {
      cause: 'The Authorization header uses another scheme than Bearer.',
      remedy: 'Send the access token as Authorization: Bearer TOKEN.',
      told: true,
    },
  },
  malformed_request: {
    parameter_missing: {
      cause: 'The parameter {parameter} is missing.',
      remedy: 'Add it to the form in the request body.',
      told: true,
    },
    parameter_empty: {
      cause: 'The parameter {parameter} is empty.',
      remedy: 'Send a value; an empty parameter counts as missing (RFC 6749 section 3.2).',
      told: true,
    },
    parameter_repeated: {
      cause: 'The parameter {parameter} occurs more than once.',
      remedy: 'Send each parameter once (RFC 6749 section 3.2).',
      told: true,
    },
    parameter_encoding: {
      cause: 'The parameter {parameter} is badly encoded: it contains {found}.',
      remedy: 'Encode names and values as percent-encoded UTF-8, without NUL.',
      told: true,
    },
    parameter_too_long: {
      cause: 'The parameter {parameter} is longer than {limit} characters.',
      remedy: 'Send a shorter value.',
      told: true,
    },
    parameter_invalid: {
      cause: 'The value of the parameter {parameter} is not supported.',
      remedy: 'Expected: {expected}.',
      told: true,
    },
    parameter_not_supported: {
      cause: 'The parameter {parameter} is not supported here.',
      remedy: 'Leave it out; {expected}.',
      told: true,
    },
    query_not_allowed: {
      cause: 'The request has a query.',
      remedy: 'Send all parameters in the request body.',
      told: true,
    },
    token_in_query: {
      cause: 'The query contains an access_token.',
      remedy: 'Send the token in the Authorization header only; treat the token in the query as leaked.',
      told: true,
    },
    authorization_repeated: {
      cause: 'The request has more than one Authorization header.',
      remedy: 'Send one Authorization header.',
      told: true,
    },
    authorization_malformed: {
      cause: 'The Authorization header is not of the form of its scheme.',
      remedy: 'Send Bearer TOKEN, or Basic with the base64 of CLIENT_ID:SECRET; one space, no comma.',
      told: true,
    },
    authorization_not_expected: {
      cause: 'The request has an Authorization header, and the client is not registered for a secret.',
      remedy: 'Leave the header out, or register the client with token_endpoint_auth_method client_secret_basic.',
      told: true,
    },
    client_id_differs: {
      cause: 'The client_id in the form is not the one in the Authorization header.',
      remedy: 'Send the same client_id in both, or in one of them.',
      told: true,
    },
    header_repeated: { cause: 'The header {header} occurs more than once.', remedy: 'Send it once.', told: true },
    content_type_missing: {
      cause: 'The request has no Content-Type.',
      remedy: 'Send the body as {expected}.',
      told: true,
    },
    content_type: {
      cause: 'The Content-Type {found} is not the one that this address accepts.',
      remedy: 'Send the body as {expected}.',
      told: true,
    },
    charset: {
      cause: 'The Content-Type has the charset {found}.',
      remedy: 'Send the body in UTF-8, as {expected}.',
      told: true,
    },
    content_encoding: {
      cause: 'The request body has the Content-Encoding {found}.',
      remedy: 'Send the body without Content-Encoding.',
      told: true,
    },
    body_empty: { cause: 'The request has no body.', remedy: 'Send one JSON value in UTF-8.', told: true },
    body_not_utf8: {
      cause: 'The request body is not valid UTF-8.',
      remedy: 'Send one JSON value in UTF-8.',
      told: true,
    },
    body_not_json: {
      cause: 'The request body is not valid JSON {found}.',
      remedy: 'Send one JSON value in UTF-8.',
      told: true,
    },
    body_too_deep: {
      cause: 'The request body has objects and arrays that are nested more than {limit} deep.',
      remedy: 'Send JSON that is less nested.',
      told: true,
    },
    body_prototype: {
      cause: 'The request body has a member named __proto__ or constructor.prototype.',
      remedy: 'Send JSON without such a member.',
      told: true,
    },
    body_form: {
      cause: 'The request body is JSON, but not of the form that this address accepts.',
      remedy: 'Expected: {expected}.',
      told: true,
    },
    body_too_large: {
      cause: 'The request body is larger than the {limit} octets that this address accepts.',
      remedy: 'Send less in one request; see docs/reference/limits.md.',
      told: true,
    },
    body_framing: {
      cause: 'Content-Length and Transfer-Encoding do not say clearly where the request body ends: {found}.',
      remedy: 'Send exactly one of them, with one valid value.',
      told: true,
    },
    chunk_malformed: {
      cause: 'The chunks of the request body are malformed: {found}.',
      remedy: 'Send each chunk with its length in hexadecimal and no long extension (RFC 9112 section 7.1).',
      told: true,
    },
    signature_headers: {
      cause: 'A signed report needs exactly one key identifier and one signature, and no Authorization header.',
      remedy: 'Send each of the two signature headers once, or report as a client with a token instead.',
      told: true,
    },
    cross_site: {
      cause: 'A page of another origin made a browser send the request; {header} is {found}.',
      remedy: 'Send it from a program, which sends neither Origin nor Sec-Fetch-Site, or from a page of this origin.',
      told: true,
    },
    host_missing: {
      cause: 'The request names no host.',
      remedy: 'Send one Host header (HTTP/1.1) or :authority (HTTP/2).',
      told: true,
    },
    host_repeated: {
      cause: 'The request names more than one host.',
      remedy: 'Send one Host header (HTTP/1.1) or :authority (HTTP/2).',
      told: true,
    },
    host_malformed: {
      cause: 'The host {host} of the request is neither a name nor an address with a port.',
      remedy: 'Send Host as HOST:PORT (RFC 9110 section 7.2).',
      told: true,
    },
    misdirected: {
      cause: 'The request is for the host {host}, but the TLS handshake named {server_name}.',
      remedy: 'Open a connection for the host of the request; Host and the server name (SNI) must be the same name.',
      told: true,
    },
    host_not_loopback: {
      cause: 'The ops listener does not accept requests for the host {host}.',
      remedy: 'Send Host: {expected}; through a port forward, set the Host header to it (curl -H).',
      told: true,
    },
    target_malformed: {
      cause: 'The request target has {found}.',
      remedy: 'Request a path that begins with a slash, percent-encoded, without a fragment.',
      told: true,
    },
    method_malformed: {
      cause: 'The request does not begin with a method that HTTP knows.',
      remedy: 'Speak HTTP/1.1 or HTTP/2; methods are case-sensitive.',
      told: true,
    },
    version_unsupported: {
      cause: 'The request target is not followed by a supported version of HTTP: {found}.',
      remedy: 'Speak HTTP/1.1, or HTTP/2 with the ALPN protocol h2; a request target contains no space.',
      told: true,
    },
    header_malformed: {
      cause: 'A header of the request is malformed: {found}.',
      remedy: 'Send NAME: VALUE, without a space before the colon and without control characters.',
      told: true,
    },
    line_end: {
      cause: 'A line of the head or a chunk of the request does not end with CR LF: {found}.',
      remedy: 'End each line with CR LF.',
      told: true,
    },
    head_too_large: {
      cause: 'The request line and headers are larger than the server accepts.',
      remedy: 'Send fewer or shorter headers; see docs/reference/limits.md.',
      told: true,
    },
    request_incomplete: {
      cause: 'The connection ended in the middle of a request.',
      remedy: 'Send the whole request before the end of the connection.',
      told: true,
    },
    after_close: {
      cause: 'Octets follow a request that asked to close the connection.',
      remedy: 'Send nothing after a request with Connection: close.',
      told: true,
    },
    not_found: {
      cause: 'There is no such address.',
      remedy: 'Compare the path with the list of endpoints.',
      told: true,
    },
    method_not_allowed: {
      cause: 'The address does not support the method {found}.',
      remedy: 'Use one of: {expected}.',
      told: true,
    },
    expectation: {
      cause: 'The Expect header is {found}.',
      remedy: 'Leave the header out; only 100-continue is supported.',
      told: true,
    },
    http2_flood: {
      cause: 'The HTTP/2 connection had more than {limit} stream resets and PING and SETTINGS frames at once.',
      remedy: 'Cancel fewer requests on one connection and ping less often; see docs/reference/limits.md.',
      told: true,
    },
    request_timed_out: {
      cause: 'The request was not complete in time.',
      remedy: 'Send the request faster; see docs/reference/limits.md.',
      told: true,
    },
    not_http: {
      cause: 'The connection carries {found} where an HTTP request is expected.',
      remedy:
        'Speak HTTP/1.1 or HTTP/2; compare the address and port of the client, and whether it must use https or http.',
      told: true,
    },
    http_error: {
      cause: 'HTTP itself refuses the request; the code is {code}.',
      remedy: 'Look up the code.',
      told: true,
    },
  },
  no_certificate: {
    not_sent: {
      cause: 'The client sent no certificate in the TLS handshake.',
      remedy: 'Configure the client with a certificate and its private key.',
    },
    not_mutual_tls: {
      cause: 'The request did not come over a TLS connection that this process terminates.',
      remedy:
        'Listen with mutualTls(), or with a tls.Server that requests client certificates; inject() has no connection.',
    },
  },
  certificate_untrusted: {
    issuer_unknown: {
      cause: 'The issuer {issuer} is no authority of this server, and the client sent no chain that leads to one.',
      remedy:
        'Send the intermediate certificates with the certificate, or add its authority to TLSBOUND_TLS_CLIENT_CA_FILE.',
      told: true,
    },
    authority_unknown: {
      cause: 'The chain that the client sent ends in an authority that this server does not trust.',
      remedy: 'Use a certificate of an authority in TLSBOUND_TLS_CLIENT_CA_FILE, or add the root of the chain there.',
    },
    same_name: {
      cause: 'An authority of the name {authority} is trusted, but it has another key than the one that issued this.',
      remedy:
        'Add the certificate of the other authority too; both need a subjectKeyIdentifier, certificates an authorityKeyIdentifier.',
    },
    chain_incomplete: {
      cause: 'The authority {authority} is trusted, but the authority that issued it is missing.',
      remedy: 'Add its issuer, up to the self-signed root, to TLSBOUND_TLS_CLIENT_CA_FILE.',
    },
    self_signed: {
      cause: 'The certificate is self-signed, and no enabled client is registered with it.',
      remedy: 'Compare thumbprint with the certificates of the registration; after a renewal, register the new one.',
    },
    registration_withdrawn: {
      cause: 'The certificate was registered itself when the connection began, and no longer is.',
      remedy: 'Register the certificate again, or enable its client.',
    },
    usage_missing: {
      cause: 'The certificate has no extendedKeyUsage extension.',
      remedy: 'Issue the client certificate with extendedKeyUsage clientAuth.',
      told: true,
    },
    usage_not_client: {
      cause: 'The extendedKeyUsage of the certificate lacks clientAuth.',
      remedy: 'Issue the client certificate with extendedKeyUsage clientAuth.',
      told: true,
    },
    key_usage: {
      cause: 'The keyUsage of the certificate allows neither digitalSignature nor keyAgreement.',
      remedy: 'Issue the client certificate with keyUsage digitalSignature.',
      told: true,
    },
    key_too_weak: {
      cause: 'The key of the certificate is too weak.',
      remedy: 'Use an EC key of 256 bits, an Ed25519 key, or an RSA key of 2048 bits or more.',
      told: true,
    },
    signature_too_weak: {
      cause: 'The authority signed the certificate with a weak algorithm, such as SHA-1.',
      remedy: 'Issue the certificate anew with SHA-256 or better.',
      told: true,
    },
    critical_extension: {
      cause: 'The certificate, or one of its authorities, has a critical extension that OpenSSL does not know.',
      remedy: 'Issue the certificate without it, or not marked as critical.',
    },
    malformed: {
      cause: 'The certificate, or a date in it, cannot be read.',
      remedy: 'Issue the certificate anew, in DER.',
    },
    signature: {
      cause: 'The authority that the certificate names did not make its signature.',
      remedy: 'The certificate was altered, or another authority has the name and key identifier of {authority}.',
    },
    authority_ended: {
      cause: 'The certificate itself is valid, but that of its authority {authority} has ended.',
      remedy: 'Replace the certificate of the authority in TLSBOUND_TLS_CLIENT_CA_FILE and in the chain of the client.',
    },
    authority_not_yet_valid: {
      cause: 'The certificate itself is valid, but the validity of its authority {authority} has not begun.',
      remedy: 'Compare the clocks; use an authority that is valid now.',
    },
    authority_usage: {
      cause:
        'The authority {authority} may not issue certificates of TLS clients: its extendedKeyUsage lacks clientAuth.',
      remedy: 'Use an authority without extendedKeyUsage, or with clientAuth in it.',
    },
    authority_key_usage: {
      cause: 'A certificate of the chain may not issue others: it is no CA, or its keyUsage lacks keyCertSign.',
      remedy: 'Use an authority with basicConstraints CA and keyUsage keyCertSign.',
    },
    authority_constraints: {
      cause: 'An authority of the chain is confined to other names, or to a shorter chain.',
      remedy: 'Compare the certificate with nameConstraints and pathLenConstraint of its authorities.',
    },
    authority_too_weak: {
      cause: 'An authority of the chain has a weak key, or its certificate a weak signature.',
      remedy: 'Use an authority with an EC key of 256 bits or an RSA key of 2048 bits, signed with SHA-256 or better.',
    },
    list_missing: {
      cause: 'There are revocation lists, but none of the authority {authority}.',
      remedy:
        'Add its list to TLSBOUND_TLS_CLIENT_CRL_FILE: every authority needs one, the root and an intermediate too.',
    },
    list_ended: {
      cause: 'The revocation list of the authority {authority} has ended.',
      remedy: 'Fetch its current list, replace it in TLSBOUND_TLS_CLIENT_CRL_FILE, and reload.',
    },
    list_not_yet_valid: {
      cause: 'The revocation list of the authority {authority} is not valid yet.',
      remedy: 'Compare the clocks; use a list that is valid now.',
    },
    list_scope: {
      cause: 'The scope of the revocation list of {authority} excludes a certificate of the chain.',
      remedy:
        'Compare the issuingDistributionPoint of the list with the certificate; add the list that is for the others.',
    },
    list_signature: {
      cause: 'The revocation list of {authority} was not signed by it, or it may not sign lists (keyUsage cRLSign).',
      remedy: 'Fetch the list again from the authority; compare the authorityKeyIdentifier of the list with its key.',
    },
    not_verified: {
      cause: 'OpenSSL could not verify the client certificate; the fact code is its error.',
      remedy: 'Compare the issuer of the certificate with the authorities in TLSBOUND_TLS_CLIENT_CA_FILE.',
    },
  },
  certificate_expired: {
    ended: {
      cause: 'The client certificate is past the end of its validity.',
      remedy: 'Renew the client certificate; compare the clocks.',
      told: true,
    },
    not_yet_valid: {
      cause: 'The validity of the client certificate has not begun.',
      remedy: 'Compare the clocks; use a certificate that is valid now.',
      told: true,
    },
  },
  certificate_revoked: {
    listed: {
      cause: 'A revocation list of its authority names the client certificate.',
      remedy: 'Issue a new certificate with a new key.',
    },
    authority_listed: {
      cause: 'A revocation list names an authority of the chain, not the client certificate.',
      remedy: 'Issue a new certificate by an authority that is not revoked.',
    },
  },
  certificate_mismatch: {
    other_certificate: {
      cause: 'The token is bound to the certificate bound_to; the connection presents the certificate x5t#S256.',
      remedy:
        'If both belong to the same client, it must get a new token after a renewal; otherwise the token was stolen.',
    },
  },
  connection_mismatch: {
    other_connection: {
      cause: 'The token is bound to another TLS connection of the same certificate.',
      remedy:
        'Get the token on the connection that uses it; a client that did not reconnect has lost its token and key.',
    },
  },
  binding_unavailable: {
    no_channel_binding: {
      cause: 'The connection has no channel binding: it is TLS 1.2 without the extended master secret.',
      remedy: 'Use TLS 1.3, or TLS 1.2 with the extended master secret (RFC 7627).',
    },
    no_proof_algorithm: {
      cause: 'No proof can be signed with the key of the client certificate: {found}.',
      remedy: 'Ask for another token_binding, or use a certificate with one of these keys: {expected}.',
      told: true,
    },
    not_mutual_tls: {
      cause: 'The request did not come over a connection of mutualTls().',
      remedy: 'Use mutualTls() as the serverFactory of the Fastify app; inject() has no TLS connection.',
    },
  },
  confirmation_malformed: {
    cnf_missing: {
      cause: 'The token has no cnf claim, so it is a plain bearer token.',
      remedy: 'Configure the issuer to bind its tokens to the client certificate (RFC 8705).',
    },
    cnf_malformed: {
      cause: 'The cnf claim is not a JSON object with the thumbprint of a certificate.',
      remedy: 'Configure the issuer to write x5t#S256 of the certificate into cnf.',
    },
    cnf_member: {
      cause: 'The cnf claim has a member that is unknown, or whose value is malformed.',
      remedy: 'The fact member names it; only x5t#S256 and the bindings of this server are accepted.',
    },
  },
  bad_signature: {
    too_long: { cause: 'The token is longer than accepted.', remedy: 'Compare its length with the limit.' },
    not_jws: {
      cause: 'The token is not three base64url segments with a JSON header.',
      remedy: 'Send the access token exactly as it was issued; nothing may be cut, added or encoded again.',
    },
    header_member: {
      cause: 'The header of the token has a member that is not accepted, or one of another type.',
      remedy:
        'The fact header names the member; tokens of tlsbound have exactly typ, alg and kid, and no token may have crit.',
    },
    unknown_key: {
      cause: 'No key of the issuer has the kid of the token.',
      remedy: 'Compare kid with the key set of the issuer; after a rotation that removed the key, get a new token.',
    },
    wrong_algorithm: {
      cause: 'The alg of the token is not that of the key that its kid names.',
      remedy: 'Tokens of this issuer are signed with the algorithm of their key; this one was forged or altered.',
    },
    high_s: {
      cause: 'The ECDSA signature of the token has the higher one of its two values of s.',
      remedy:
        'The issuer must write the lower value, so that a token has one spelling; otherwise the token was altered.',
    },
    wrong_signature: {
      cause: 'The key that the token names did not make its signature.',
      remedy: 'The token was forged or altered, or two servers have different keys under one kid.',
    },
    not_stored: {
      cause: 'The token is an opaque one that the store does not contain.',
      remedy: 'It has expired and was removed, or another server with another store issued it.',
    },
    ops_token: {
      cause: 'The token is not the ops token of this server.',
      remedy: 'Send the content of the file that TLSBOUND_OPS_TOKEN_FILE names.',
    },
  },
  wrong_type: {
    typ: {
      cause: 'The typ of the token is not one that the profile of its issuer has; at+jwt by default.',
      remedy: 'Send the access token, not another token of the issuer; choose the profile of the issuer.',
    },
    other_token: {
      cause: 'The token is an ID token, refresh token or logout token of the issuer.',
      remedy: 'Send the access token; the fact found names the claim that shows what this one is.',
    },
  },
  wrong_issuer: {
    iss: { cause: 'The iss claim is not the expected issuer.', remedy: 'Compare the facts found and expected.' },
  },
  wrong_audience: {
    aud: {
      cause: 'The aud claim does not contain the expected audience.',
      remedy: 'Ask for the token with this resource; compare the facts found and expected.',
    },
  },
  not_yet_valid: {
    in_the_future: {
      cause: 'The iat or nbf of the token lies in the future.',
      remedy: 'Compare the clocks of issuer and resource server.',
    },
  },
  expired: {
    ended: {
      cause: 'The exp of the token has passed.',
      remedy: 'Get a new token; if it was issued just now, compare the clocks.',
    },
  },
  claims_malformed: {
    claim: {
      cause: 'A claim of the token is missing, or has another form than RFC 9068 describes.',
      remedy: 'The fact claim names it.',
    },
    lifetime: {
      cause: 'The token ends before it begins, or lives longer than accepted.',
      remedy: 'Configure a shorter lifetime at the issuer.',
    },
  },
  binding_too_weak: {
    level: {
      cause: 'The level of the token is below the one that the route demands.',
      remedy: 'Ask for a token with the token_binding of the fact expected.',
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
      cause: 'The header of the proof is not exactly typ, alg and x5t#S256 with the values for this certificate.',
      remedy:
        'Use typ tls-binding-proof+jwt, an algorithm of the certificate key, and the thumbprint of the certificate.',
    },
    claim: {
      cause: 'A claim of the proof is missing, unknown or malformed.',
      remedy: 'Send ath, ekm and iat; jti, htm and htu are optional; any other claim is rejected.',
    },
    other_connection: {
      cause: 'The ekm of the proof is not that of this connection.',
      remedy: 'Sign a proof on each connection; a proof seen elsewhere was replayed.',
    },
    other_token: {
      cause: 'The ath of the proof is not the hash of this token.',
      remedy: 'Sign a proof for each token.',
    },
    outside_window: {
      cause: 'The iat of the proof is too old, or lies in the future.',
      remedy: 'Sign a new proof; compare the clocks.',
    },
    other_request: {
      cause: 'The htm or htu of the proof is not that of this request.',
      remedy: 'Sign a proof for this request, or leave htm and htu out.',
    },
    wrong_signature: {
      cause: 'The key of the client certificate did not sign the proof.',
      remedy: 'Sign with the private key of the certificate of this connection.',
    },
    not_per_request: {
      cause: 'The route demands a proof for each request, and this one lacks jti, htm or htu.',
      remedy: 'Sign a proof with jti, htm and htu for each request.',
    },
    used_already: {
      cause: 'The jti of the proof was used on this connection already.',
      remedy: 'Use a new jti for each proof.',
    },
    too_many: {
      cause: 'The connection has used more single-request proofs in a minute than are remembered.',
      remedy: 'Send fewer requests per connection, or use a proof for all requests of the connection.',
    },
  },
  revoked: {
    token: {
      cause: 'The token itself was revoked.',
      remedy: 'Get a new token; the event token.revoked with this jti as value says who revoked it.',
    },
    grant: {
      cause: 'The grant that the token belongs to was revoked.',
      remedy: 'Ask for a new grant; the event token.revoked with this grant as value says who revoked it.',
    },
    client: {
      cause: 'All tokens of the client were revoked after this one was issued.',
      remedy:
        'Get a new token; the event token.revoked with this client_id as value, or client.changed, says who did it.',
    },
    certificate: {
      cause: 'All tokens of the certificate were revoked after this one was issued.',
      remedy: 'Get a new token; the event token.revoked with the x5t#S256 as value says who revoked them.',
    },
    all: {
      cause: 'All tokens of this server were revoked after this one was issued.',
      remedy: 'Get a new token; the event token.revoked of kind all says who revoked them.',
    },
    client_disabled: {
      cause: 'The client of the token is disabled, or is no longer registered.',
      remedy: 'Compare with tlsbound clients list; tlsbound clients enable CLIENT_ID lets it in again.',
    },
    by_hook: {
      cause: 'The isRevoked function of this resource server says that the token was revoked.',
      remedy: 'Get a new token; the system behind isRevoked knows who revoked it.',
    },
    key_removed: {
      cause: 'The key that signed the token was removed from the signing keys after the token was first used here.',
      remedy: 'Get a new token; the event key.rotated with this kid says when the key went.',
    },
  },
  scope_missing: {
    scope: {
      cause: 'The scope of the token lacks a value that the route demands.',
      remedy: 'Compare the facts found and expected; register the client for the scope and ask for it.',
    },
  },
  unknown_client: {
    not_registered: {
      cause: 'No client is registered under this client_id.',
      remedy: 'Compare client_id with tlsbound clients list; it is case-sensitive.',
    },
  },
  client_mismatch: {
    order_differs: {
      cause: 'The subject of the certificate has the parts of the registered name in the opposite order.',
      remedy: 'Register the fact presented: RFC 4514 writes the last part of the certificate first.',
    },
    string_type: {
      cause: 'The subject has the text of the registered name in a string type that is not compared.',
      remedy: 'Issue the certificate with UTF8String or PrintableString, or register the fact presented as it is.',
    },
    other_name: {
      cause: 'The certificate has another name than the registered one.',
      remedy: 'Compare the facts registered and presented; letter case and spaces count.',
    },
    other_kind_of_name: {
      cause: 'The certificate has the registered name as another kind of name.',
      remedy: 'Compare the facts registered and presented; register the kind of name that the certificate has.',
    },
    no_name: {
      cause: 'The certificate has no name of the registered kind.',
      remedy: 'The fact presented lists the names that it has; register one of these, or issue another certificate.',
    },
    name_unreadable: {
      cause: 'The names in the certificate are not in DER, so that they cannot be compared.',
      remedy: 'Issue the certificate again with an authority that writes DER (X.690).',
    },
    not_registered_certificate: {
      cause: 'The certificate is none of those that the client is registered with.',
      remedy: 'Add the certificate to jwks of the registration (x5c).',
    },
    not_vouched_for: {
      cause: 'The client is registered by a name, and no authority of the server issued the certificate.',
      remedy: 'Present a certificate that a trusted authority issued.',
    },
    secret: {
      cause: 'The client secret is missing or wrong.',
      remedy: 'Send the secret of the client with Authorization: Basic.',
    },
    secret_delayed: {
      cause: 'A wrong secret came shortly before, so that this one was not tried.',
      remedy: 'Wait 90 seconds; find out who sends wrong secrets with the certificate of this client.',
    },
    other_owner: {
      cause: 'The token belongs to another client than the one that asks for its revocation.',
      remedy: 'Find out how the client got the token; an administrator revokes it with tlsbound revoke.',
    },
    not_a_resource: {
      cause: 'A client without a resource asks about the token of another client.',
      remedy: 'Register resource for a resource server; otherwise find out how the client got the token.',
    },
  },
  client_disabled: {
    disabled: { cause: 'An administrator has disabled the client.', remedy: 'tlsbound clients enable CLIENT_ID' },
  },
  grant_type_unsupported: {
    grant_type: {
      cause: 'The server does not support this grant_type.',
      remedy: 'Use client_credentials, refresh_token or urn:ietf:params:oauth:grant-type:token-exchange.',
      told: true,
    },
  },
  grant_type_not_allowed: {
    grant_type: {
      cause: 'The grant_types of the registration do not contain this one.',
      remedy: 'Add it to grant_types of the registration.',
    },
  },
  scope_denied: {
    scope_malformed: {
      cause: 'The scope is not a list of words with single spaces between them, each once.',
      remedy: 'Separate the words with one space; repeat none.',
      told: true,
    },
    not_registered: {
      cause: 'The scope of the registration lacks a value that the client asks for.',
      remedy: 'Compare the facts found and expected; add it to the registration or ask for less.',
    },
    wider_than_granted: {
      cause: 'The client asks for more scope than the refresh token or the subject token has.',
      remedy: 'Ask for a part of the scope that was granted.',
    },
    nothing_left: {
      cause: 'The subject token and the registration have no scope in common.',
      remedy: 'Compare the scope of the subject token with that of the registration.',
    },
  },
  binding_not_allowed: {
    not_registered: {
      cause: 'The token_bindings of the registration do not contain the level that the client asks for.',
      remedy: 'Add it to token_bindings of the registration, or ask for a registered level.',
    },
    weaker_than_subject: {
      cause: 'The client asks for a weaker binding than the subject token has.',
      remedy: 'Ask for the level of the subject token or a stronger one.',
    },
  },
  target_unknown: {
    not_registered: {
      cause: 'The resource is neither the audience of this server nor the resource of a registered client.',
      remedy: 'Compare the spelling with the resource of the registrations.',
    },
    other_than_granted: {
      cause: 'The resource is not the one that the grant is for.',
      remedy: 'Leave resource out when refreshing, or send the one of the grant.',
    },
    two_targets: {
      cause: 'The request names two targets: resource or audience twice, or the two with different values.',
      remedy: 'Send one request for each target.',
      told: true,
    },
  },
  refresh_unknown: {
    form: { cause: 'The refresh_token is not of the form of one of this server.', remedy: 'Send it as it was issued.' },
    not_stored: {
      cause: 'The store does not contain the refresh token.',
      remedy: 'It ended and was removed, or another server with another store issued it.',
    },
    other_client: {
      cause: 'The refresh token belongs to another client.',
      remedy: 'The token was stolen or mixed up: compare client_id with by.',
    },
  },
  refresh_expired: {
    ended: { cause: 'The grant of the refresh token has ended.', remedy: 'Ask for a new grant.' },
  },
  refresh_reused: {
    raced: {
      cause: 'The refresh token was used by another request within the last second.',
      remedy: 'Refresh once for all requests of the client.',
    },
    reused: {
      cause: 'The refresh token was used before, and its successor was used or replaced since.',
      remedy: 'Two parties hold the token: the grant was revoked; see the event refresh.reused.',
    },
    answer_lost: {
      cause: 'The refresh token was used more than a minute ago, and its successor was never used.',
      remedy: 'The client probably lost an answer and asked again too late. The grant was revoked; ask for a new one.',
    },
  },
  refresh_revoked: {
    revoked: {
      cause: 'The grant, its client, its certificate or everything of its time was revoked.',
      remedy: 'Ask for a new grant; the event token.revoked says who revoked it.',
    },
  },
  refresh_certificate_mismatch: {
    other_certificate: {
      cause: 'The refresh token is bound to the certificate bound_to; the connection presents another one.',
      remedy: 'After a renewal of the certificate the client must ask for a new grant.',
    },
  },
  subject_token_invalid: {
    too_long: { cause: 'The subject token is longer than accepted.', remedy: 'Ask its issuer for a shorter token.' },
    not_jws: {
      cause: 'The subject token is not three base64url segments with a JSON header and JSON claims.',
      remedy: 'Send the token exactly as its issuer gave it; encrypted tokens are not supported.',
    },
    not_trusted: {
      cause: 'No trusted issuer has the iss of the subject token.',
      remedy: 'Compare the fact issuer with the entries of TLSBOUND_TRUSTED_ISSUERS_FILE, letter by letter.',
    },
    wrong_algorithm: {
      cause: 'The alg of the subject token is not one of the algorithms of its issuer.',
      remedy: 'Add the fact alg to algorithms of the entry, if it is a signature with a public key.',
    },
    header_member: {
      cause: 'The header of the subject token has a crit member, or a kid that is not a string.',
      remedy: 'Ask the issuer for a token without extensions; the fact header names the member.',
    },
    unknown_key: {
      cause: 'No key of the issuer fits the kid and alg of the subject token.',
      remedy: 'Compare the facts kid and alg with the key set of the issuer.',
    },
    wrong_signature: {
      cause:
        'No key of the issuer for the kid and alg of the subject token made its signature, or its claims are not UTF-8.',
      remedy: 'The token was forged or altered, or the key set is that of another issuer.',
    },
    typ: {
      cause: 'The typ of the subject token does not fit subject_token_type.',
      remedy: 'Send an access token or ID token under its own type.',
    },
    claim: {
      cause: 'A claim of the subject token is missing, malformed, or not the expected one.',
      remedy: 'The fact claim names it; compare found with expected.',
    },
    scope_elsewhere: {
      cause: 'The subject token has no scope where its entry says, but another claim that limits it.',
      remedy: 'Set scope_claim of the entry to the fact claim if that holds the scope, or let the issuer write scope.',
    },
    audience: {
      cause: 'The aud of the subject token does not contain the audience of its entry.',
      remedy:
        'Compare the facts found and expected; audience in TLSBOUND_TRUSTED_ISSUERS_FILE is compared letter by letter.',
    },
    ended: {
      cause: 'The exp of the subject token has passed.',
      remedy: 'Get a new token of its issuer; if it was issued just now, compare the clocks.',
    },
    in_the_future: {
      cause: 'The iat or nbf of the subject token lies in the future.',
      remedy: 'Compare the clocks of the issuer and this server.',
    },
    too_old: {
      cause: 'The iat of the subject token is longer ago than maximum_age of its entry allows.',
      remedy: 'Get a new token of its issuer, or raise maximum_age.',
    },
    foreign_claim: {
      cause: 'The subject token has the claim act or events, so that it speaks of another actor or of an event.',
      remedy: 'Send the token of the user itself.',
    },
    may_act: {
      cause: 'The may_act of the subject token does not name this client alone.',
      remedy: 'Compare the facts found and expected; ask the issuer for a token that this client may use.',
    },
    confirmation: {
      cause: 'The cnf of the subject token is not the x5t#S256 of the certificate of this client.',
      remedy: 'Only the client that the token is bound to can exchange it; the fact found is the reason.',
    },
    names_a_client: {
      cause: 'The subject of the token has the name of a registered client.',
      remedy: 'Give the issuer a subject_prefix.',
    },
    other_certificate: {
      cause: 'This server issued the subject token, to another certificate than the one that is presented.',
      remedy: 'Only the client that the token was issued to can exchange it; another party that has it has stolen it.',
    },
    other_connection: {
      cause: 'This server issued the subject token, on another TLS connection of the same certificate.',
      remedy: 'Get the token on the connection that exchanges it.',
    },
    other_client: {
      cause: 'This server issued the subject token, to another client with the same certificate.',
      remedy: 'Send the client_id that the token was issued to.',
    },
    own_token: {
      cause: 'This server issued the subject token, and refuses it for the reason in the fact reason.',
      remedy: 'See the details of that reason.',
    },
  },
  issuer_unavailable: fetchDetails,
  report_signature_invalid: {
    unknown_key: {
      cause: 'No reporter has a key with this identifier.',
      remedy: 'Add the key to TLSBOUND_LEAK_KEYS_FILE.',
    },
    wrong_signature: {
      cause: 'The key did not sign the body as it came.',
      remedy: 'Sign the exact octets of the body; no proxy may change them.',
    },
  },
  reporter_unavailable: fetchDetails,
  store_unavailable: {
    no_answer: {
      cause: 'The store did not answer, or answered with an error.',
      remedy: 'The log has its error.',
    },
    read_only: {
      cause: 'The store accepts no changes: its database, file or disk is read-only, or it is a standby.',
      remedy: 'Connect to the primary, or make the database, file or disk writable; the log has the error.',
    },
    full: {
      cause: 'The disk of the store has no room.',
      remedy: 'Free or add space; the server goes on by itself.',
    },
    session: {
      cause: 'A connection to the database does not have the schema or the time-outs that were asked for.',
      remedy: 'Connect without a pooler, or set them for the role; the log names the difference.',
    },
    not_listening: {
      cause: 'The mutual-TLS listener accepts no connections.',
      remedy: 'The server is starting or stopping; the log says which.',
    },
    stale: {
      cause: 'The server has not heard from the store for 5 seconds, so that it may not know of a revocation.',
      remedy: 'Check the database and the network to it.',
    },
    event_not_written: {
      cause: 'Security events cannot be written, so that nothing is issued or accepted.',
      remedy: 'Check the disk and the rights of TLSBOUND_AUDIT_FILE; the log has the error.',
    },
  },
} as const satisfies Readonly<Record<string, Readonly<Record<string, DetailEntry>>>>

type Reason = keyof typeof details

/** The details of a reason. */
export type DetailOf<R extends Reason> = R extends Reason ? keyof (typeof details)[R] & string : never

export type Detail = DetailOf<Reason>

/** What facts are about, in the order in which they are documented. */
export const factNames = {
  parameter: 'name of the parameter',
  member: 'name of the member',
  claim: 'name of the claim',
  header: 'name of the header or header member',
  found: 'what was found',
  expected: 'what was expected',
  limit: 'the bound that was exceeded',
  code: 'error code of the part that found it (OpenSSL, HTTP parser, network)',
  reason: 'the reason behind this one',
  subject: 'subject of the presented certificate, as RFC 4514 writes it',
  issuer: 'issuer of the certificate or token',
  serial: 'serial number of the certificate, hexadecimal',
  thumbprint: 'x5t#S256 of the presented certificate',
  authority: 'the authority that the detail is about',
  list: 'the revocation list that the detail is about: its issuer, number and end',
  sent: 'subject of the first certificate that the client sent after its own',
  registered: 'the name that the client is registered with',
  presented: 'the name that the certificate has',
  kid: 'id of the key that the token names',
  alg: 'algorithm that the token names',
  host: 'host that the request names',
  server_name: 'server name (SNI) of the TLS handshake',
  address: 'address that was fetched',
  time: 'the time that was compared, seconds since 1970',
} as const

/** What was compared. Texts may come from the client: the writer of the event shortens and redacts them. */
export type RefusalFacts = { readonly [name in keyof typeof factNames]?: string | number | undefined }

/** The entry of a detail. */
export function detailOf(reason: Reason, detail: string): DetailEntry {
  return (details[reason] as Readonly<Record<string, DetailEntry>>)[detail] as DetailEntry
}

/** The sentence for the client where it may be told the detail, else undefined. ASCII without quotes (RFC 6749 §5.2). */
export function describeForClient(reason: Reason, detail: string, facts: RefusalFacts): string | undefined {
  const { cause, remedy, told } = detailOf(reason, detail)
  if (told !== true) return undefined
  const fill = (text: string) =>
    text.replace(/ ?\{(\w+)\}/g, (whole, name: keyof RefusalFacts) => {
      const fact = facts[name]?.toString()
      return fact !== undefined && /^[\x20\x21\x23-\x5b\x5d-\x7e]{1,200}$/.test(fact)
        ? whole.replace(`{${name}}`, fact)
        : ''
    })
  return `${fill(cause)} ${fill(remedy)}`
}
