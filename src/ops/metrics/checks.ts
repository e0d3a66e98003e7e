// Counts token checks at protected resources. Refusals are events and are counted as such. An accepted token makes no
// event, so the listener counts it as a plain number (tls/counts.ts), which is read when metrics are scraped.
import { Counter, type Registry } from 'prom-client'
import type { Observer, SecurityEvent } from '../../audit/event.ts'
import { tokenBindings } from '../../core/confirmation.ts'
import { reasons } from '../../core/errors.ts'
import type { Counts } from '../../tls/counts.ts'

// Labels have values of closed lists, so that no client can create a series.

export const tlsVersions = ['TLSv1.2', 'TLSv1.3'] as const

export const reasonNames = Object.keys(reasons)

/** Returns a value of the list; empty for none, `other` for a value that is not in it. */
export function among(values: readonly string[], value: unknown): string {
  if (value === undefined || value === null) return ''
  return values.includes(value as string) ? (value as string) : 'other'
}

/** Registers `tlsbound_checks_total`. Returns an observer that counts refusals. */
export function registerCheckMetrics(registry: Registry, counts: Readonly<Counts>): Observer {
  const counted = new Map<string, number>()
  const checks = new Counter({
    name: 'tlsbound_checks_total',
    help: 'Requests for protected resources, by the outcome of their token’s verification.',
    labelNames: ['outcome', 'reason', 'level', 'tls'],
    registers: [registry],
    collect() {
      for (const version of [...tlsVersions, 'withoutTls'] as const)
        for (const level of tokenBindings) {
          const tls = version === 'withoutTls' ? '' : version
          const accepted = counts[version].accepted[level]
          checks.inc({ outcome: 'accepted', reason: '', level, tls }, accepted - (counted.get(tls + level) ?? 0))
          counted.set(tls + level, accepted)
        }
    },
  })
  return event => {
    if (event.event !== 'token.refused' || isOfAuthorizationServer(event)) return
    checks.inc({
      outcome: 'refused',
      reason: among(reasonNames, event.reason),
      level: among(tokenBindings, event.token_binding),
      tls: among(tlsVersions, event.tls),
    })
  }
}

/** Checks whether a refusal came from an endpoint of the authorization server, where tokens are issued, not used. */
export function isOfAuthorizationServer({ event, path }: SecurityEvent): boolean {
  return event === 'client.refused' || (event === 'token.refused' && path?.startsWith('/oauth/') === true)
}
