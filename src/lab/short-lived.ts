// A certificate that expires while a scenario plays.
import { X509Certificate } from 'node:crypto'
import { NotTried } from './attempt.ts'
import type { Identity } from './cast.ts'
import type { Stage } from './stage.ts'

/** Seconds that such a certificate is good for at least: enough for a few connections. */
const lifetime = 1

/** Issues a certificate of alice's that expires in one to two seconds: validity is told in whole ones. @throws NotTried */
export function issueShortLived({ cast: { alice, issue } }: Stage): Identity {
  if (issue === undefined) throw new NotTried('no key of the authority is there to issue a certificate')
  return issue({ like: alice, notAfter: new Date(Math.ceil(Date.now() / 1000 + lifetime) * 1000) })
}

/** Waits until a certificate has expired: its last second belongs to it (RFC 5280 §4.1.2.5). */
export async function outlive(stage: Stage, { certificate }: Identity): Promise<void> {
  const expiry = new X509Certificate(certificate).validToDate.getTime() + 1000
  await stage.wait(Math.max(0, expiry - Date.now()) / 1000 + 0.05)
}
