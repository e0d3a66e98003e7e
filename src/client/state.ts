// The state of a client for a status page: plain JSON without tokens, keys or keying material.
import type { ChannelBindings } from '../core/channel-binding.ts'
import type { TokenBinding } from '../core/confirmation.ts'
import type { PresenterCertificate } from '../core/presenter.ts'
import type { BoundChannel } from './connection/channel.ts'
import type { ClientError, Problem } from './errors.ts'
import { readExpiry, type Token } from './tokens/request-token.ts'

export interface ClientState {
  readonly origin: string
  /** The binding level of its tokens; null before the first token. */
  readonly binding: TokenBinding | null
  /** The certificate for new connections: `x5t#S256`, and when it starts and ends. */
  readonly certificate: { readonly thumbprint: string; readonly starts: string; readonly expires: string }
  readonly connections: readonly ConnectionState[]
  readonly lastProblem: { readonly code: Problem; readonly message: string; readonly at: string } | null
  readonly counts: Counts
}

export interface ConnectionState {
  readonly protocol: 'h2' | 'http/1.1'
  readonly tls: string
  readonly cipher: string
  readonly since: string
  /** `x5t#S256`. */
  readonly certificate: string
  readonly bindings: ChannelBindings
  readonly token: { readonly binding: TokenBinding; readonly expires: string; readonly scope: string } | null
}

/** Counters since the client was created. */
export interface Counts {
  readonly requests: number
  readonly tokens: number
  readonly connections: number
  /** Requests that were sent again. */
  readonly repeated: number
}

export function describeConnection(channel: BoundChannel, token: Token | undefined): ConnectionState {
  const { protocol, tls, cipher, since, certificate, bindings } = channel
  return {
    protocol,
    tls,
    cipher,
    since: since.toISOString(),
    certificate,
    bindings,
    token:
      token === undefined
        ? null
        : { binding: token.binding, expires: readExpiry(token).toISOString(), scope: token.scope },
  }
}

export function describeCertificate({
  thumbprint,
  notBefore,
  notAfter,
}: PresenterCertificate): ClientState['certificate'] {
  const toText = (seconds: number) => (Number.isFinite(seconds) ? new Date(seconds * 1000).toISOString() : 'unknown')
  return { thumbprint, starts: toText(notBefore), expires: toText(notAfter) }
}

export function describeProblem(problem: ClientError): NonNullable<ClientState['lastProblem']> {
  return { code: problem.code, message: problem.message, at: new Date().toISOString() }
}
