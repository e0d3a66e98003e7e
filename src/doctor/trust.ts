// Client authorities and revocation lists: dates, scopes, and whether clients of each authority can be accepted.

import { createSecureContext } from 'node:tls'
import type { TrustFiles } from '../process/files.ts'
import type { Settings } from '../settings/settings.ts'
import { assessAuthorities } from '../tls/authority-standing.ts'
import { buildTlsOptions, parseMaterial, type TlsMaterial } from '../tls/options.ts'
import type { TrustedList } from '../tls/trust.ts'
import { checkEnd, type Finding, failure, good, splitRemedy, warning } from './finding.ts'

/** Checks what readTrustFiles has accepted. `now` in milliseconds since 1970. */
export function checkTrust({ trust, lines }: TrustFiles, settings: Settings, now: number): Finding[] {
  const { tlsClientCaFile: caFile, tlsClientCrlFile: crlFile, expiryWarningDays } = settings
  const standings = assessAuthorities(trust, now)
  const findings = standings.flatMap(({ authority, problem, warning: some }, index) => {
    const where = `${caFile}, line ${lines[index]}`
    const { subjectText: name, notAfter } = authority
    if (problem === undefined) {
      const end = checkEnd(
        `${where}: authority ${name}`,
        notAfter,
        now,
        expiryWarningDays,
        'install the renewed certificate',
      )
      return some === undefined ? [end] : [end, warning(`${where}: ${some}`)]
    }
    const [cause, remedy] = splitRemedy(problem)
    const isOld = notAfter <= now && standings.some(({ problem: other }) => other === undefined)
    return [
      (isOld ? warning : failure)(`${where}: all clients of the authority ${name} are rejected: ${cause}`, remedy),
    ]
  })
  const lists = trust.lists.map(list => {
    const what = `${crlFile}: ${describeList(list)}`
    if (list.thisUpdate > now)
      return failure(`${what} is not valid before ${new Date(list.thisUpdate).toISOString()}`, 'compare the clocks')
    return checkEnd(what, list.nextUpdate, now, expiryWarningDays, 'fetch the current one')
  })
  const none = good('no revocation lists are configured: a certificate is accepted until it expires')
  return [...findings, ...(trust.lists.length === 0 ? [none] : lists)]
}

/** Checks whether OpenSSL accepts all keys and signatures. */
export function checkTlsContext(material: TlsMaterial, settings: Settings): Finding {
  try {
    createSecureContext(buildTlsOptions(parseMaterial(material), settings.tlsMinVersion))
    return good('OpenSSL accepts the certificate, key, authorities and revocation lists')
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    return failure(`OpenSSL rejects the certificate, key, authorities or revocation lists: ${message} (${code})`)
  }
}

function describeList({ issuerText, number, entries, scope }: TrustedList): string {
  const parts = [
    number !== undefined && `number 0x${number}`,
    `${entries} ${entries === 1 ? 'entry' : 'entries'}`,
    scope.certificates !== 'all' && `for ${scope.certificates} only`,
    scope.uris.length > 0 && `for distribution point ${scope.uris.join(' ')} only`,
  ]
  return `revocation list of ${issuerText} (${parts.filter(part => part !== false).join(', ')})`
}
