// Requests of a proxy that ends TLS for its clients. On a connection of a known proxy, each request has a connection object of its own
// client: its presenter is the certificate that the proxy states, without the bindings of the socket. The certificate of the proxy itself
// is never the presenter of a request.
import type { X509Certificate } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { type CertificateProxy, findCertificateProxy } from '../core/certificate-proxy.ts'
import { parseForwardedCertificate } from '../core/forwarded-certificate.ts'
import type { PresenterCertificate } from '../core/presenter.ts'
import { type CertificateRejection, explainRevocation } from './certificate-rejection.ts'
import { type Connection, forwardedConnection } from './connection.ts'
import type { TrustInForce } from './evaluate-certificate.ts'
import { nextEndOf, type Trust } from './trust.ts'
import { evaluateForwarded } from './verify-forwarded.ts'

/** The clients that are remembered for each connection of a proxy, with their verified tokens. */
export const rememberedClients = 256

/** Returns the connection of the client of a request: the given one, unless it is that of a known proxy. */
export type FindClientConnection = (connection: Connection, request: Pick<IncomingMessage, 'rawHeaders'>) => Connection

interface ProxyState {
  /** The list that `proxy` was found in. A reload replaces the list. */
  readonly of: readonly CertificateProxy[]
  readonly proxy: CertificateProxy | undefined
  /** The connections of accepted clients, by the value of the field. */
  readonly clients: Map<string, Remembered>
}

interface Remembered {
  readonly connection: Connection
  readonly trust: Trust
  /** When an authority or a list ends, so that the certificate is verified again. Milliseconds since 1970. */
  readonly until: number
}

/**
 * `proxies` returns the list in force; `trusted` is what certificates of clients are verified with; `findClient` returns the registered
 * client that the certificate of a proxy authenticates.
 */
export function createForwarding(
  trusted: TrustInForce,
  proxies: () => readonly CertificateProxy[],
  findClient: (certificate: PresenterCertificate) => string | undefined = () => undefined,
): FindClientConnection {
  const states = new WeakMap<Connection, ProxyState>()

  return (connection, request) => {
    const list = proxies()
    if (list.length === 0 && connection.isProxySocket !== true) return connection
    const { proxy, clients } = stateOf(connection, list)
    // A proxy whose certificate was revoked, or has expired, states nothing any more: the request is refused for that.
    if (proxy === undefined || !mayAct(connection, Date.now())) return connection // one without a certificate, at the socket
    const { header, form } = proxy
    const values = valuesOf(request.rawHeaders, header)
    const refuse = (...rejection: CertificateRejection) =>
      forwardedConnection(connection, { proxy, findRejection: () => rejection })
    const rivalry = findRivalry(connection, header)
    if (rivalry !== undefined) return refuse(...rivalry)
    if (values.length > 1)
      return refuse('certificate_untrusted', 'forwarded_repeated', { header, found: values.length })
    const [value = ''] = values
    const known = clients.get(value)
    if (known !== undefined && known.trust === trusted.trust && Date.now() < known.until) return known.connection
    clients.delete(value)
    const parsed = parseForwardedCertificate(form, value)
    if (parsed.kind === 'none') return refuse('no_certificate', 'not_forwarded', { header })
    if (parsed.kind === 'malformed')
      return refuse('certificate_untrusted', 'forwarded_malformed', { header, found: parsed.found, expected: form })
    const { x509 } = parsed
    const now = Date.now()
    const { certificate, rejection } = evaluateForwarded(x509, trusted, now)
    const findRejection = rejection ? () => rejection : createRecheck(connection, header, x509)
    const client = { certificate, findRejection, proxy, x509, isPinned: trusted.isPinned }
    const forwarded = forwardedConnection(connection, client)
    if (certificate === undefined) return forwarded
    if (clients.size >= rememberedClients) clients.delete(clients.keys().next().value as string) // the oldest
    const until = nextEndOf(trusted.trust, now) ?? Number.POSITIVE_INFINITY
    clients.set(value, { connection: forwarded, trust: trusted.trust, until })
    return forwarded
  }

  /**
   * A request that goes on, such as a WebSocket, outlives neither its proxy nor its certificate. What else changes ends the connection
   * of the proxy (retirement.ts).
   */
  function createRecheck(connection: Connection, header: string, x509: X509Certificate) {
    let { trust } = trusted
    let revocation: CertificateRejection | undefined
    return (): CertificateRejection | undefined => {
      const now = Date.now()
      if (stateOf(connection, proxies()).proxy === undefined || !mayAct(connection, now))
        return connection.rejection ?? ['no_certificate', 'not_forwarded', { header }]
      const rivalry = findRivalry(connection, header)
      if (rivalry !== undefined) return rivalry
      if (trust !== trusted.trust) {
        trust = trusted.trust
        revocation = explainRevocation(x509, trust, now)
      }
      return revocation
    }
  }

  /** Finds the client that the certificate of a proxy authenticates: as a client it must state only its own, so that neither is believed. */
  function findRivalry({ presenter }: Connection, header: string): CertificateRejection | undefined {
    const client = presenter && findClient(presenter.certificate)
    if (client === undefined) return undefined
    return ['certificate_untrusted', 'forwarded_by_client', { header, registered: client }]
  }

  function stateOf(connection: Connection, list: readonly CertificateProxy[]): ProxyState {
    const known = states.get(connection)
    if (known?.of === list) return known
    const certificate = connection.presenter?.certificate
    const proxy = connection.isProxySocket
      ? list.find(({ socket }) => socket)
      : certificate && findCertificateProxy(list, certificate)
    const state = { of: list, proxy, clients: new Map() }
    states.set(connection, state)
    return state
  }
}

function mayAct({ rejection, presenter, isProxySocket }: Connection, now: number): boolean {
  if (isProxySocket) return true
  const { notBefore = 0, notAfter = 0 } = presenter?.certificate ?? {}
  return rejection === undefined && now >= notBefore * 1000 && now < (notAfter + 1) * 1000
}

/** Returns the values of a field, each as it was sent: `headers` joins several. The name must be exact, with hyphens. */
function valuesOf(rawHeaders: readonly string[], name: string): string[] {
  const values: string[] = []
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const found = rawHeaders[at] as string
    if (found.length === name.length && found.toLowerCase() === name) values.push(rawHeaders[at + 1] as string)
  }
  return values
}
