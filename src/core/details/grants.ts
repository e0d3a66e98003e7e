// Refresh tokens, and tokens of other issuers.
import type { DetailEntry } from './entry.ts'
import { fetchDetails } from './fetch.ts'

export const grantDetails = {
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
} as const satisfies Readonly<Record<string, Readonly<Record<string, DetailEntry>>>>
