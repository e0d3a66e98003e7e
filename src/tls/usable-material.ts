// Refuses new material with which no client could connect.
import { acceptsAnyone, assessAuthorities } from './authority-standing.ts'
import type { ParsedMaterial } from './options.ts'
import type { Trust } from './trust.ts'

/** @throws Error if no client could connect with the new material, although clients can connect with the current one. */
export function requireUsable(
  next: ParsedMaterial,
  trust: Trust,
  inUse: { readonly material: ParsedMaterial; readonly trust: Trust },
  now: number,
): void {
  const isValid = ({ chain: [{ validFromDate, validToDate }] }: ParsedMaterial) =>
    validFromDate.getTime() <= now && now < validToDate.getTime()
  if (!isValid(next) && isValid(inUse.material)) {
    const { validFrom, validTo } = next.chain[0]
    throw new Error(
      `the server's certificate is valid from ${validFrom} to ${validTo}, which does not include the current time; renew it`,
    )
  }
  const standings = assessAuthorities(trust, now)
  if (standings.some(({ problem }) => problem === undefined) || !acceptsAnyone(inUse.trust, now)) return
  const problems = [...new Set(standings.map(({ problem }) => problem))]
  throw new Error(`no client could be accepted: ${problems.join(', and ')}`)
}
