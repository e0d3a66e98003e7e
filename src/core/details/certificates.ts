// Client certificates, at the handshake and with a token.
import type { DetailEntry } from './entry.ts'

export const certificateDetails = {
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
} as const satisfies Readonly<Record<string, Readonly<Record<string, DetailEntry>>>>
