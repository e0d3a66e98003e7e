// What the package promises to others, and nothing else.
import './process/require-node.js'

export type { AccessToken, AccessTokenClaims } from './core/access-token.ts'
export { type BindingType, type ChannelBindings, readChannelBindings } from './core/channel-binding.ts'
export { type Confirmation, confirm, type TokenBinding, verifyConfirmation } from './core/confirmation.ts'
export { type ErrorCode, OAuthError, type Reason, reasons } from './core/errors.ts'
export { type Presenter, readCertificate } from './core/presenter.ts'
export type { IssuerAlgorithm } from './keys/key-set.ts'
export { type RequireTokenOptions, requireToken } from './plugins/fastify.ts'
export type { MutualTls, MutualTlsOptions } from './tls/listener-options.ts'
export { mutualTls } from './tls/mutual-tls.ts'
export type { TlsMaterial } from './tls/options.ts'
export type { TokenDemand } from './verify/demand.ts'
export type { IssuerKeys } from './verify/issuer-keys.ts'
export { type IssuerProfile, type IssuerProfileName, issuerProfiles } from './verify/issuer-profiles.ts'
export type { RefusalAnswer } from './verify/refusal.ts'
export {
  type AcceptedIssuer,
  createVerifier,
  type NodeRequest,
  type Verifier,
  type VerifierOptions,
  type VerifierSettings,
} from './verify/verifier.ts'
