// What a client may request, and whether it may still act.
import type { DetailEntry } from './entry.ts'

export const clientDetails = {
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
} as const satisfies Readonly<Record<string, Readonly<Record<string, DetailEntry>>>>
