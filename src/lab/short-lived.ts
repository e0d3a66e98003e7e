// Issues a certificate that expires during a scenario.
import { X509Certificate } from 'node:crypto'
import { NotTried } from './attempt.ts'
import type { Identity } from './cast.ts'
import type { Stage } from './stage.ts'

/** The minimum validity of such a certificate in seconds: enough for a few connections. */
const lifetime = 1

/** Issues a certificate for alice that expires in one to two seconds: validity has whole seconds. @throws NotTried */
export function issueShortLived({ cast: { alice, issue } }: Stage): Identity {
  if (issue === undefined) throw new NotTried('the key of the authority is not available to issue a certificate')
  return issue({ like: alice, notAfter: new Date(Math.ceil(Date.now() / 1000 + lifetime) * 1000) })
}

/** Waits until a certificate has expired, including its last second (RFC 5280 §4.1.2.5). */
export async function outlive(stage: Stage, { certificate }: Identity): Promise<void> {
  const expiry = new X509Certificate(certificate).validToDate.getTime() + 1000
  await stage.wait(Math.max(0, expiry - Date.now()) / 1000 + 0.05)
}
