// Faults in TLS: resumption, renegotiation, bindings that are not safe, certificates that are no longer valid, or connections
// identified by address.
import { constants, hash } from 'node:crypto'
import type { Http2SecureServer } from 'node:http2'
import { proofExporterLabel, readChannelBindings } from '../../../../src/core/channel-binding.ts'
import { readCertificate } from '../../../../src/core/presenter.ts'
import { buildTlsOptions, parseMaterial } from '../../../../src/tls/options.ts'
import type { BrokenServer, Fault } from '../broken-server.ts'

function serveWith({ app, pki }: BrokenServer, secureOptions: number): void {
  const material = { cert: pki.server.certificate, key: pki.server.key, ca: pki.ca.certificate }
  const options = { ...buildTlsOptions(parseMaterial(material), 'TLSv1.2'), secureOptions }
  ;(app.server as unknown as Http2SecureServer).setSecureContext(options)
}

export const tlsFaults = {
  /** Resumes connections with their certificate. */
  resumes: { listening: server => serveWith(server, constants.SSL_OP_NO_RENEGOTIATION) },
  /** Accepts renegotiations, and keeps the facts of before. */
  renegotiates: {
    listening: server => serveWith(server, constants.SSL_OP_NO_TICKET),
    connected: (_, socket) => {
      const ours = socket.listeners('secure').at(-1) as () => void
      socket.off('secure', ours)
    },
  },
  /** Binds on TLS 1.2 to any OpenSSL export, with or without the extended master secret. */
  bindsWithoutExtendedMasterSecret: {
    connected: (connection, socket) => {
      const { presenter } = connection
      if (presenter === undefined || socket.getProtocol() !== 'TLSv1.2') return
      const exported = (label: string) => socket.exportKeyingMaterial(32, label, Buffer.alloc(0))
      const bindings = { 'tls-exporter': hash('sha256', exported('EXPORTER-Channel-Binding'), 'base64url') }
      const { certificate } = presenter
      connection.presenter = { certificate, bindings, ekm: exported(proofExporterLabel).toString('base64url') }
    },
  },
  /** Checks the validity of a certificate once, or never. */
  ignoresExpiry: {
    connected: (connection, socket) => {
      const x509 = socket.getPeerX509Certificate()
      if (x509 === undefined || connection.rejection?.[0] === 'certificate_untrusted') return
      const certificate = { ...readCertificate(x509), notAfter: Number.POSITIVE_INFINITY }
      connection.presenter = { bindings: {}, ...connection.presenter, certificate }
      connection.rejection = undefined
    },
  },
  /** Takes a certificate for one of its authority because that has the same name. */
  comparesIssuerNames: {
    connected: (connection, socket, { pki }) => {
      const x509 = socket.getPeerX509Certificate()
      if (connection.rejection?.[0] !== 'certificate_untrusted' || x509?.issuer !== pki.ca.x509.subject) return
      connection.presenter = { bindings: readChannelBindings(socket), certificate: readCertificate(x509) }
      connection.rejection = undefined
    },
  },
  /** Serves clients without a certificate as the previous client. */
  servesWithoutCertificate: {
    connected: (connection, _socket, { memory }) => {
      if (connection.rejection?.[0] === 'no_certificate') {
        connection.presenter = memory.get('presenter') as NonNullable<typeof connection.presenter>
        connection.rejection = undefined
      } else memory.set('presenter', connection.presenter)
    },
  },
  /** Identifies a connection by the address and port of its client. */
  knowsConnectionsByAddress: {
    connected: (connection, { remoteAddress, remotePort }, { memory }) => {
      const name = `${remoteAddress} ${remotePort}`
      const before = memory.get(name) as typeof connection.presenter
      memory.set(name, before ?? connection.presenter)
      connection.presenter = before ?? connection.presenter
    },
  },
} satisfies Record<string, Fault>
