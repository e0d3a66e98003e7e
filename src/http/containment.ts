// What follows when a token of ours comes from where it does not belong: the alarm, and what its client's policy says
// (core/theft.ts). It observes the events, so it comes after the refusal, and never keeps anybody waiting.
import type { Observer, SecurityEvent } from '../audit/event.ts'
import type { Reason } from '../core/errors.ts'
import { type ErrorLog, guardedWithLog, logError } from '../core/guard.ts'
import { buildRevocation } from '../core/revocations.ts'
import { type Suspicion, suspect, TheftWatch } from '../core/theft.ts'
import type { Store } from '../store/store.ts'
import type { Audit } from './audit.ts'
import type { ClientRegistry } from './clients.ts'

export interface ContainmentParts {
  readonly clients: ClientRegistry
  readonly store: Store
  readonly audit: Audit
  readonly log: ErrorLog
  /** Closes the live connections of a certificate, by its `x5t#S256`. */
  readonly closeConnections: (certificate: string, reason: Reason) => void
  /** Seconds since 1970. */
  readonly now: () => number
}

/** Milliseconds before a revocation that the store did not take is tried again, and how often. */
const retry = { pause: 1000, times: 60 }

/** An observer of events that contains thefts. */
export function createContainment(parts: ContainmentParts): Observer {
  const { clients, audit, log, now, closeConnections } = parts
  const watch = new TheftWatch()
  const revoke = guardedWithLog(log, 'unhandled error while a stolen token is revoked', revokeStolen)

  return event => {
    const signal = readSignal(event)
    if (signal === undefined) return
    const { token, clientId, suspicion } = signal
    const registered = clients.get(clientId)?.client.theftResponse ?? 'alert'
    // A grant that its own client may have brought is not ended, and there is no token to be ended in its place.
    const policy = registered === 'record' || takesAny(signal) ? registered : 'alert'
    const verdict = watch.judge(token, clientId, suspicion, policy, now())
    if (verdict === undefined) return
    const { response, damped, count } = verdict
    audit.theftSuspected(event, response, {
      suspicion,
      ...(damped && { damped }),
      ...(count > 1 && { count }),
    })
    const { jti, grant, bound_to: owner } = event
    const takesGrant = response === 'revoke_grant' || response === 'close'
    if (takesGrant && typeof grant === 'string') revoke('grant', grant, clientId)
    else if ((takesGrant || response === 'revoke_token') && typeof jti === 'string') revoke('token', jti, clientId)
    if (response === 'close' && typeof owner === 'string') closeConnections(owner, 'revoked')
  }

  async function revokeStolen(kind: 'token' | 'grant', value: string, clientId: string): Promise<void> {
    const { store } = parts
    const revocation = buildRevocation(kind, value, now())
    for (let attempt = 1; attempt <= retry.times; attempt++)
      try {
        await store.revoke(revocation)
        return audit.tokenRevoked(undefined, clientId, revocation, 'theft')
      } catch (error) {
        if (attempt === retry.times) logError(log, error, 'a stolen token could not be revoked', { kind, value })
        else await new Promise(resolve => setTimeout(resolve, retry.pause).unref())
      }
  }
}

/** Whether a policy can take anything for a signal: for one that is only possible, no more than the token itself. */
function takesAny({ suspicion, jti }: { readonly suspicion: Suspicion; readonly jti?: unknown }): boolean {
  return suspicion === 'certain' || typeof jti === 'string'
}

/** What an event says of a token of ours in wrong hands; undefined: nothing. */
function readSignal({ event, reason, jti, grant, client_id: clientId, bound_to: owner, ...about }: SecurityEvent) {
  const token = grant ?? jti
  if (typeof token !== 'string' || typeof clientId !== 'string') return undefined // no token that is known to be ours
  if (event === 'refresh.reused') return { token, clientId, suspicion: 'certain' as const }
  // Its owner, on a connection that it has had since its authority was trusted.
  if (reason === 'certificate_untrusted' && owner === about['x5t#S256']) return undefined
  const suspicion = event === 'token.refused' ? suspect(reason as Reason) : undefined
  return suspicion && { token, clientId, suspicion, jti }
}
