// The proxies that end TLS and state the certificates of their clients: whether the list is valid, and how each is known.
import { parseCertificateProxies, requireNoClient, requireSocketEntry } from '../core/certificate-proxy.ts'
import type { Client } from '../core/client.ts'
import { readProxiesFile } from '../process/files.ts'
import { checkSocketFolder } from '../process/proxy-socket.ts'
import type { Settings } from '../settings/settings.ts'
import { type Finding, good } from './finding.ts'

/** Checks the list, and that no proxy is one of the clients. @throws Error with every problem of it. */
export function checkProxies({ clientCertFrom: file, proxySocket }: Settings, clients: Iterable<Client>): Finding[] {
  if (file === undefined && proxySocket === undefined)
    return [good('not configured: a client certificate in a header field is ignored')]
  const proxies = file === undefined ? [] : parseCertificateProxies(readProxiesFile(file), [])
  if (proxies.length === 0 && proxySocket === undefined)
    return [good(`${file}: the list is empty, so that such header fields are ignored`)]
  requireNoClient(proxies, clients)
  requireSocketEntry(proxies, proxySocket)
  if (proxySocket !== undefined) checkSocketFolder(proxySocket)
  return proxies.map(({ header, form, subject, certificates, socket }) => {
    const byCertificate =
      subject === undefined ? `certificate ${[...certificates].join(' or ')}` : `its name (${subject.type})`
    const known = socket ? `the socket ${proxySocket}` : byCertificate
    return good(`${file}: a proxy with ${known} states its clients in ${header}, in the form ${form}`)
  })
}
