// The response to a token of this server on the wrong connection: the alarm, and the client's theft policy (core/theft.ts).
// It observes events, so it runs after the refusal and delays no response.
import type { Observer, SecurityEvent } from '../../audit/event.ts'
import type { Reason } from '../../core/errors.ts'
import { type ErrorLog, guardedWithLog, logError } from '../../core/guard.ts'
import { ProxyWatch, type SuspectedProxy } from '../../core/proxy-watch.ts'
import { buildRevocation } from '../../core/revocations.ts'
import { reuseSignals, type Signal, suspect, TheftWatch, type Verdict, weaken } from '../../core/theft.ts'
import type { Store } from '../../store/store.ts'
import type { ClientRegistry } from '../clients/registry.ts'
import type { Audit } from '../record-events.ts'

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

/** Milliseconds before a failed revocation is retried, and how often. */
const retry = { pause: 1000, times: 60 }

/** Creates an observer of events that contains thefts. */
export function createContainment(parts: ContainmentParts): Observer {
  const { clients, audit, log, now, closeConnections } = parts
  const watch = new TheftWatch()
  const proxies = new ProxyWatch()
  const revoke = guardedWithLog(log, 'unhandled error while revoking a stolen token', revokeStolen)

  return event => {
    const found = readSignal(event)
    // After the response, so that its time does not reveal whether the token raised an alarm.
    if (found !== undefined) setImmediate(follow, event, found)
  }

  function follow(event: SecurityEvent, found: FoundSignal): void {
    const proxy = findProxy(event, found)
    if (proxy === undefined) {
      contain(event, found)
      return
    }
    // A thief can pretend to be a proxy, with tokens of clients of its own: only the alarm is common, the token is still revoked.
    respond(event, { ...found, signal: weaken(found.signal) })
    if (proxy.isDue) {
      audit.proxySuspected(event, proxy)
      log.error(
        { 'x5t#S256': event['x5t#S256'], peer: event.peer, clients: proxy.clients },
        'tokens of several clients come from one other certificate or address: is it a proxy that ends TLS? See docs/how-to/run-behind-a-proxy-that-ends-tls.md',
      )
    }
  }

  /** Returns what is known if the presenter of a token seems to be a proxy. The client itself is none, nor is its renewed certificate. */
  function findProxy(event: SecurityEvent, { clientId }: FoundSignal): SuspectedProxy | undefined {
    const { came_with: came, 'x5t#S256': certificate, peer } = event
    if (came !== 'other_certificate' && came !== 'no_certificate') return undefined
    return proxies.note({ certificate, peer }, clientId, now())
  }

  function contain(event: SecurityEvent, found: FoundSignal): void {
    respond(event, found, ({ response, damped, count }) =>
      audit.theftSuspected(event, response, {
        suspicion: found.signal.suspicion,
        ...(damped && { damped }),
        ...(count > 1 && { count }),
      }),
    )
  }

  /** Performs the theft_response of the client of a token. `onVerdict` is called before, if there is a response. */
  function respond(
    event: SecurityEvent,
    { token, clientId, signal, jti }: FoundSignal,
    onVerdict: (verdict: Verdict) => void = () => {},
  ): void {
    const registered = clients.get(clientId)?.client.theftResponse ?? 'alert'
    // A signal that the client itself may have caused revokes the token only. Reuse has a limit of its own.
    const takesAny = signal.suspicion === 'certain' || typeof jti === 'string' || event.event === 'refresh.reused'
    const policy = registered === 'record' || takesAny ? registered : 'alert'
    const verdict = watch.evaluate(token, clientId, signal, policy, now())
    if (verdict === undefined) return
    onVerdict(verdict)
    const { response } = verdict
    const { grant, bound_to: owner } = event
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

/** A signal about a client's token or grant. */
interface FoundSignal {
  readonly token: string
  readonly clientId: string
  readonly signal: Signal
  readonly jti: unknown
}

/** Derives a signal from an event about a valid token of this server on the wrong connection, else undefined. */
function readSignal({
  event,
  reason,
  detail,
  jti,
  grant,
  client_id: clientId,
  came_with: came,
}: SecurityEvent): FoundSignal | undefined {
  const token = grant ?? jti
  if (typeof token !== 'string' || typeof clientId !== 'string') return undefined // no token known to be of this server
  const signal = event === 'refresh.reused' ? reuseSignals[detail as keyof typeof reuseSignals] : suspectRefusal()
  return signal && { token, clientId, signal, jti }

  function suspectRefusal(): Signal | undefined {
    if (event !== 'token.refused' && event !== 'client.refused') return undefined
    return reason && detail && came ? suspect(reason, detail, came) : undefined
  }
}
