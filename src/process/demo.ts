// The demo: certificates created if missing, two registered clients, and the first commands to try.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { FastifyBaseLogger } from 'fastify'
import { guarded, logError } from '../core/guard.ts'
import { loadCertificates, renderCertificates } from '../files/pem-files.ts'
import { demoNames, isDemoCertificate, writeDemoPki } from '../pki/demo.ts'
import type { Settings } from '../settings/settings.ts'

/**
 * Creates missing demo certificates in a folder, and renews those that expire within a day of `now`, in milliseconds since
 * 1970. Files of others are unchanged. Returns warnings.
 */
export function ensureDemoPki(folder: string, now: number): string[] {
  const ca = join(folder, 'ca.crt')
  if (!existsSync(ca)) {
    writeDemoPki(folder)
    return []
  }
  const expired = demoNames
    .map(name => join(folder, `${name}.crt`))
    .find(path => existsSync(path) && !isValidTomorrow(path, now))
  if (expired === undefined) return []
  if (!isDemoCertificate(renderCertificates(loadCertificates(ca))))
    return [`${expired} has expired or expires within a day; it is not renewed, because ${ca} is not a demo authority`]
  writeDemoPki(folder, { force: true })
  return [
    `the demo certificates in ${folder}/ were renewed with new keys, because ${expired} has expired or expires within a day; ` +
      'restart clients that use the old ones',
  ]
}

/** Milliseconds between two checks of the demo's certificates, which have a day left when they are renewed. */
const renewalInterval = 3_600_000

/**
 * Renews the demo's certificates while a server runs, and logs a warning for each renewal. The server loads the changed files by itself.
 * `clock` in milliseconds since 1970. Returns the function that stops it.
 */
export function renewDemoPki(
  folder: string,
  { log, clock = Date.now, interval = renewalInterval }: RenewalOptions,
): () => void {
  let logged = ''
  const renew = () => {
    const sentences = ensureDemoPki(folder, clock())
    const text = sentences.join('; ')
    if (text !== logged) for (const sentence of sentences) log.warn(sentence)
    logged = text
  }
  const timer = setInterval(
    guarded(renew, error => logError(log, error, 'the certificates of the demo could not be renewed')),
    interval,
  ).unref()
  return () => clearInterval(timer)
}

interface RenewalOptions {
  readonly log: Pick<FastifyBaseLogger, 'warn' | 'error'>
  readonly clock?: () => number
  readonly interval?: number
}

function isValidTomorrow(path: string, now: number): boolean {
  const [{ x509 }] = loadCertificates(path)
  const { validFromDate, validToDate } = x509
  return validFromDate.getTime() <= now && now + 86_400_000 < validToDate.getTime()
}

/** The demo's client registrations, in the form of `TLSBOUND_CLIENTS_FILE`. */
export const demoRegistrations = ['alice', 'bob'].map(name => ({
  client_id: name,
  token_endpoint_auth_method: 'tls_client_auth',
  tls_client_auth_subject_dn: `CN=${name}`,
  scope: 'notes:read notes:write',
  grant_types: ['client_credentials'],
  token_bindings: ['connection', 'certificate', 'proof'],
}))

/** Returns the first commands to paste. */
export function describeDemo({ port, opsPort, opsTokenFile }: Settings): string {
  const page =
    opsPort === 0 ? '' : `\nLive page: http://localhost:${opsPort}. Sign in with the ops token in ${opsTokenFile}.`
  return `
tlsbound listens on https://localhost:${port} with DEMO certificates from certs/.${page} Try in another terminal:

  U=https://localhost:${port}
  ALICE="--cacert certs/ca.crt --cert certs/alice.crt --key certs/alice.key"
  BOB="--cacert certs/ca.crt --cert certs/bob.crt --key certs/bob.key"

  # what the server sees of your connection
  curl -s $ALICE $U/binding

  # a token for alice, bound to the connection that it was issued on ...
  TOKEN=$(curl -s $ALICE -d grant_type=client_credentials -d client_id=alice $U/oauth/token | sed 's/.*"access_token":"\\([^"]*\\)".*/\\1/')
  # ... is refused on the next one: connection_mismatch
  curl -s $ALICE -H "Authorization: Bearer $TOKEN" $U/api/whoami
  # ... and for bob: certificate_mismatch
  curl -s $BOB -H "Authorization: Bearer $TOKEN" $U/api/whoami

`
}
