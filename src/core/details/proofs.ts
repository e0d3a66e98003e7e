// Binding proofs, and signatures of requests.
import type { DetailEntry } from './entry.ts'

export const proofDetails = {
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
} as const satisfies Readonly<Record<string, Readonly<Record<string, DetailEntry>>>>
