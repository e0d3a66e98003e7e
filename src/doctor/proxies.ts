// The proxies that end TLS and state the certificates of their clients: whether the list is valid, and how each is known.
import { parseCertificateProxies, requireNoClient } from '../core/certificate-proxy.ts'
import type { Client } from '../core/client.ts'
import { readProxiesFile } from '../process/files.ts'
import type { Settings } from '../settings/settings.ts'
import { type Finding, good } from './finding.ts'

/** Checks the list, and that no proxy is one of the clients. @throws Error with every problem of it. */
export function checkProxies({ clientCertFrom: file }: Settings, clients: Iterable<Client>): Finding[] {
  if (file === undefined) return [good('not configured: a client certificate in a header field is ignored')]
  const proxies = parseCertificateProxies(readProxiesFile(file), [])
  if (proxies.length === 0) return [good(`${file}: the list is empty, so that such header fields are ignored`)]
  requireNoClient(proxies, clients)
  return proxies.map(({ header, form, subject, certificates }) => {
    const known = subject === undefined ? `certificate ${[...certificates].join(' or ')}` : `its name (${subject.type})`
    return good(`${file}: a proxy with ${known} states its clients in ${header}, in the form ${form}`)
  })
}
