// The one way out: every TLS connection that something of ours opens is opened here. Node never parses the chain of the
// peer into its legacy object, the host is checked by us, nothing of the environment turns verification off, and
// connecting and handshake have deadlines, however often the peer sends an octet.
import { constants } from 'node:crypto'
import { isIP } from 'node:net'
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls'
import { guarded } from '../core/guard.ts'
import { addressOf, describeDuration, explainFailure, OutgoingError } from './failure.ts'
import { protectPeerCertificate } from './peer-certificate.ts'
import { explainMismatch, explainVerdict, isForHost, withoutDot } from './server-certificate.ts'

/** Milliseconds until a TCP connection exists, name look-up included, and until its handshake is done. */
export interface ConnectDeadlines {
  readonly connect: number
  readonly handshake: number
}

export const connectDeadlines: ConnectDeadlines = { connect: 5000, handshake: 5000 }

/** Options of Node's `tls.connect`, but for those that could go round what is done here. */
export interface ConnectTlsOptions
  extends Omit<ConnectionOptions, 'checkServerIdentity' | 'pskCallback' | 'timeout' | 'signal' | 'path'> {
  readonly host: string
  readonly port: number
  /** The name that the certificate must be for, and that is sent as SNI. Default: `host`. */
  readonly servername?: string | undefined
  /** What to call the server in messages. Default: `HOST:PORT`. */
  readonly address?: string | undefined
  /** What to call the authorities in messages, such as the file they are from. */
  readonly trusted?: string | undefined
  readonly deadlines?: Partial<ConnectDeadlines> | undefined
  /** Ends the attempt. Once there is a connection it has no effect. */
  readonly signal?: AbortSignal | undefined
}

/** For contexts of outgoing connections: a server cannot start a second handshake, after which the bindings are others. */
export const secureOptions = constants.SSL_OP_NO_RENEGOTIATION

/**
 * Opens a TLS connection to a server whose chain OpenSSL verifies and whose certificate is for the host.
 * `rejectUnauthorized: false`, said by the caller alone, leaves both out. Errors after the handshake are emitted as usual;
 * one without a listener ends nothing.
 * @throws OutgoingError (rejects).
 */
export function connectTls(options: ConnectTlsOptions): Promise<TLSSocket> {
  const { trusted = options.ca || options.secureContext ? 'the given authorities' : "Node's own authorities" } = options
  const { deadlines, signal, rejectUnauthorized, address = addressOf(options.host, options.port), ...given } = options
  const { connect: connectTimeout, handshake: handshakeTimeout } = { ...connectDeadlines, ...deadlines }
  const name = withoutDot(options.servername || options.host)
  const verifies = rejectUnauthorized !== false

  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(new OutgoingError('cancelled', address, 'the connection was cancelled'))
    const socket = open()
    const readCertificate = protectPeerCertificate(socket)
    let timer = startTimer('TCP connection', connectTimeout)

    function open(): TLSSocket {
      try {
        return connect({
          secureOptions,
          ...given,
          servername: isIP(name) === 0 ? name : '', // RFC 6066 §3: an address is no server name
          rejectUnauthorized: verifies,
          // Node calls it after each handshake that OpenSSL has accepted, but for a resumed one: a session that the caller
          // gives has the verdict of its first handshake in it, and Node takes it for the same name alone.
          checkServerIdentity: findMismatch,
        })
      } catch (cause) {
        const { code, message } = cause as NodeJS.ErrnoException
        const finding = `certificate, private key or authorities of this side cannot be used (${code ?? message})`
        throw new OutgoingError('own_files_unusable', address, finding, { cause })
      }
    }

    function findMismatch(): OutgoingError | undefined {
      if (!verifies) return undefined
      try {
        const certificate = readCertificate()
        if (certificate === undefined)
          return new OutgoingError('untrusted', address, 'the server presents no certificate; check the server')
        return isForHost(certificate, name) ? undefined : explainMismatch(certificate, name, address)
      } catch (cause) {
        return new OutgoingError('untrusted', address, 'the certificate of the server cannot be read', { cause })
      }
    }

    function startTimer(what: string, milliseconds: number): NodeJS.Timeout {
      const finding = `no ${what} within ${describeDuration(milliseconds)}; check network, firewall and server`
      return setTimeout(() => fail(new OutgoingError('timed_out', address, finding)), milliseconds)
    }

    const cancel = () => fail(new OutgoingError('cancelled', address, 'the connection was cancelled'))

    function settle(): void {
      clearTimeout(timer)
      signal?.removeEventListener('abort', cancel)
      socket.off('connect', onConnect).off('secureConnect', onSecure).off('error', fail).off('close', onClose)
      // Whether the caller listens already or not. Node leaves a connection open whose TLS failed after the handshake.
      socket.on('error', () => socket.destroy())
    }

    function fail(error: unknown): void {
      settle()
      socket.destroy()
      // Of a verdict Node makes an error that has no class of its own.
      const isVerdict = socket.authorizationError && !(error instanceof OutgoingError)
      reject(
        isVerdict
          ? explainVerdict(error as Error, readCertificate(), trusted, address)
          : explainFailure(error, address),
      )
    }

    const onConnect = guarded(() => {
      clearTimeout(timer)
      timer = startTimer('TLS handshake', handshakeTimeout)
    }, fail)
    const onClose = () => fail(Object.assign(new Error('closed'), { code: 'ECONNRESET' }))
    const onSecure = guarded(() => {
      settle()
      resolve(socket)
    }, fail)

    // Before Node's own listener: what it rejects is destroyed, and then no longer has a certificate to speak of. Nothing may
    // be destroyed in between; a certificate that cannot be read is missed a moment later.
    socket.prependListener(
      'secure',
      guarded(readCertificate, () => {}),
    )
    socket.on('connect', onConnect).on('secureConnect', onSecure).on('error', fail).on('close', onClose)
    signal?.addEventListener('abort', cancel)
    if (options.socket !== undefined && !options.socket.destroyed) onConnect()
  })
}
