// All scenarios, in the order in which they run and are reported: from the simplest theft to the most powerful one.
import type { Scenario } from './scenario.ts'
import { scenario as ambiguousToken } from './scenarios/ambiguous-token.ts'
import { scenario as brokenConfirmation } from './scenarios/broken-confirmation.ts'
import { scenario as changedBody } from './scenarios/changed-body.ts'
import { scenario as changedClaims } from './scenarios/changed-claims.ts'
import { scenario as downgrade } from './scenarios/downgrade.ts'
import { scenario as emptySignature } from './scenarios/empty-signature.ts'
import { scenario as exchangedToken } from './scenarios/exchanged-token.ts'
import { scenario as expiredCertificate } from './scenarios/expired-certificate.ts'
import { scenario as expiredToken } from './scenarios/expired-token.ts'
import { scenario as forgedBindingHeaders } from './scenarios/forged-binding-headers.ts'
import { scenario as forgedCertificateHeaders } from './scenarios/forged-certificate-headers.ts'
import { scenario as garbageToken } from './scenarios/garbage-token.ts'
import { scenario as keyInHeader } from './scenarios/key-in-header.ts'
import { scenario as manyConnections } from './scenarios/many-connections.ts'
import { scenario as mixedTokens } from './scenarios/mixed-tokens.ts'
import { scenario as noCertificate } from './scenarios/no-certificate.ts'
import { scenario as noExtendedMasterSecret } from './scenarios/no-extended-master-secret.ts'
import { scenario as otherCertificate } from './scenarios/other-certificate.ts'
import { scenario as otherConnection } from './scenarios/other-connection.ts'
import { scenario as otherRequest } from './scenarios/other-request.ts'
import { scenario as pasetoKeyOfAnotherPurpose } from './scenarios/paseto-key-of-another-purpose.ts'
import { scenario as pasetoLocal } from './scenarios/paseto-local.ts'
import { scenario as pasetoOlderVersion } from './scenarios/paseto-older-version.ts'
import { scenario as pasetoOtherFooter } from './scenarios/paseto-other-footer.ts'
import { scenario as pasetoWithoutImplicitAssertion } from './scenarios/paseto-without-implicit-assertion.ts'
import { scenario as proofByAnotherKey } from './scenarios/proof-by-another-key.ts'
import { scenario as proofOfAnotherToken } from './scenarios/proof-of-another-token.ts'
import { scenario as refreshAfterRenewal } from './scenarios/refresh-after-renewal.ts'
import { scenario as refreshBeforeRenewal } from './scenarios/refresh-before-renewal.ts'
import { scenario as refreshByAnotherClient } from './scenarios/refresh-by-another-client.ts'
import { scenario as refreshDuringRenewal } from './scenarios/refresh-during-renewal.ts'
import { scenario as refreshTokenRace } from './scenarios/refresh-token-race.ts'
import { scenario as refreshTokenReuse } from './scenarios/refresh-token-reuse.ts'
import { scenario as relay } from './scenarios/relay.ts'
import { scenario as renegotiation } from './scenarios/renegotiation.ts'
import { scenario as renegotiationAsAnother } from './scenarios/renegotiation-as-another.ts'
import { scenario as renewedCertificate } from './scenarios/renewed-certificate.ts'
import { scenario as replayedSignature } from './scenarios/replayed-signature.ts'
import { scenario as retargetedSignature } from './scenarios/retargeted-signature.ts'
import { scenario as revokedToken } from './scenarios/revoked-token.ts'
import { scenario as samePort } from './scenarios/same-port.ts'
import { scenario as sameSubject } from './scenarios/same-subject.ts'
import { scenario as serverRestart } from './scenarios/server-restart.ts'
import { scenario as signatureByAnotherKey } from './scenarios/signature-by-another-key.ts'
import { scenario as signatureOfAnotherConnection } from './scenarios/signature-of-another-connection.ts'
import { scenario as staleProof } from './scenarios/stale-proof.ts'
import { scenario as staleSignature } from './scenarios/stale-signature.ts'
import { scenario as stolenProof } from './scenarios/stolen-proof.ts'
import { scenario as stolenTicket } from './scenarios/stolen-ticket.ts'
import { scenario as symmetricSignature } from './scenarios/symmetric-signature.ts'
import { scenario as ticketAfterExpiry } from './scenarios/ticket-after-expiry.ts'
import { scenario as tokenElsewhere } from './scenarios/token-elsewhere.ts'
import { scenario as tokenInQuery } from './scenarios/token-in-query.ts'
import { scenario as twoAuthorizationHeaders } from './scenarios/two-authorization-headers.ts'
import { scenario as uncoveredBody } from './scenarios/uncovered-body.ts'
import { scenario as unknownConfirmation } from './scenarios/unknown-confirmation.ts'
import { scenario as unsignedProof } from './scenarios/unsigned-proof.ts'
import { scenario as unsignedRequest } from './scenarios/unsigned-request.ts'
import { scenario as unsignedToken } from './scenarios/unsigned-token.ts'

export const scenarios: readonly Scenario[] = [
  noCertificate,
  otherCertificate,
  tokenInQuery,
  tokenElsewhere,
  twoAuthorizationHeaders,
  ambiguousToken,
  garbageToken,
  forgedCertificateHeaders,
  forgedBindingHeaders,
  otherRequest,
  expiredToken,
  changedClaims,
  unsignedToken,
  emptySignature,
  symmetricSignature,
  keyInHeader,
  pasetoLocal,
  pasetoOlderVersion,
  pasetoOtherFooter,
  pasetoKeyOfAnotherPurpose,
  pasetoWithoutImplicitAssertion,
  brokenConfirmation,
  unknownConfirmation,
  downgrade,
  relay,
  sameSubject,
  renewedCertificate,
  expiredCertificate,
  unsignedProof,
  proofByAnotherKey,
  proofOfAnotherToken,
  staleProof,
  stolenProof,
  unsignedRequest,
  changedBody,
  uncoveredBody,
  retargetedSignature,
  signatureByAnotherKey,
  staleSignature,
  replayedSignature,
  signatureOfAnotherConnection,
  refreshByAnotherClient,
  refreshBeforeRenewal,
  refreshDuringRenewal,
  refreshTokenReuse,
  refreshTokenRace,
  refreshAfterRenewal,
  exchangedToken,
  revokedToken,
  stolenTicket,
  ticketAfterExpiry,
  otherConnection,
  manyConnections,
  mixedTokens,
  samePort,
  noExtendedMasterSecret,
  renegotiation,
  renegotiationAsAnother,
  serverRestart,
]
