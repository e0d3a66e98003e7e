// Access tokens and their binding.
import type { DetailEntry } from './entry.ts'

export const tokenDetails = {
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
} as const satisfies Readonly<Record<string, Readonly<Record<string, DetailEntry>>>>
