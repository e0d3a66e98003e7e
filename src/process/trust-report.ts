// Logs what the listener uses: its certificate, the authorities for clients, the revocation lists, and when each expires.
// Warns before an expiry, and names each authority whose clients are all rejected.
import type { X509Certificate } from 'node:crypto'
import type { FastifyBaseLogger } from 'fastify'
import type { Settings } from '../settings/settings.ts'
import { assessAuthorities } from '../tls/authority-standing.ts'
import { describeCertificate } from '../tls/certificate-rejection.ts'
import type { InUse } from '../tls/listener-options.ts'

const day = 86_400_000

/** Days before an expiry at which to warn. The demo renews its certificates itself on the last day. */
export function warningDaysOf({ demo, expiryWarningDays }: Pick<Settings, 'demo' | 'expiryWarningDays'>): number {
  return demo ? 1 : expiryWarningDays
}

/** Logs what is in use at `now`, in milliseconds since 1970. */
export function reportTrust(
  log: FastifyBaseLogger,
  { chain, trust }: Pick<InUse, 'chain' | 'trust'>,
  now: number,
  warningDays: number,
): void {
  const say = (name: string, sentence: string, begin: number, end: number | undefined) => {
    const left = end === undefined ? Number.POSITIVE_INFINITY : end - now
    if (begin > now) log.error(`${name} is not valid before ${dateOf(begin)}: ${sentence}`)
    else if (left <= 0) log.error(`${name} expired on ${dateOf(end)}: ${sentence}`)
    else if (left <= warningDays * day) log.warn(`${name} expires in ${describeDays(left)}: ${sentence}`)
    else log.info(`${name}: ${sentence}`)
  }

  for (const [index, x509] of chain.entries())
    say(
      index === 0 ? "the server's certificate" : `intermediate certificate ${index} of the server`,
      describe(x509),
      x509.validFromDate.getTime(),
      x509.validToDate.getTime(),
    )
  for (const { x509, notBefore, notAfter } of trust.authorities)
    say('authority for clients', describe(x509), notBefore, notAfter)
  for (const { issuerText, number, entries, scope, thisUpdate, nextUpdate } of trust.lists) {
    const parts = [
      `of ${issuerText}`,
      number !== undefined && `number 0x${number}`,
      `${entries} ${entries === 1 ? 'entry' : 'entries'}`,
      scope.certificates !== 'all' && `for ${scope.certificates} only`,
      scope.uris.length > 0 && `for distribution point ${scope.uris.join(' ')} only`,
      `from ${dateOf(thisUpdate)}`,
      nextUpdate === undefined ? 'does not expire' : `expires on ${dateOf(nextUpdate)}`,
    ]
    say('revocation list', parts.filter(part => part !== false).join(', '), thisUpdate, nextUpdate)
  }
  for (const { authority, problem, warning } of assessAuthorities(trust, now)) {
    if (problem !== undefined)
      log.error(`all clients of the authority ${authority.subjectText} are rejected: ${problem}`)
    if (warning !== undefined) log.warn(warning)
  }
}

function describe(x509: X509Certificate): string {
  const { subject, issuer, serial } = describeCertificate(x509)
  return `${subject}, serial ${serial}, issued by ${issuer}, expires on ${dateOf(x509.validToDate.getTime())}`
}

function describeDays(milliseconds: number): string {
  const days = Math.floor(milliseconds / day)
  return days === 0 ? 'less than a day' : days === 1 ? '1 day' : `${days} days`
}

function dateOf(milliseconds: number | undefined): string {
  return milliseconds === undefined ? 'an unknown date' : new Date(milliseconds).toISOString()
}
