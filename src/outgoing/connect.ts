// Opens every outgoing TLS connection. Node never parses the peer's chain into its legacy object, the host is verified
// here, the environment cannot disable verification, and connecting and handshake have total deadlines.
import { constants } from 'node:crypto'
import { isIP } from 'node:net'
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls'
import { guarded } from '../core/guard.ts'
import { addressOf, describeDuration, explainFailure, OutgoingError } from './failure.ts'
import { protectPeerCertificate } from './peer-certificate.ts'
import { explainMismatch, explainVerdict, isForHost, withoutDot } from './server-certificate.ts'

/** Milliseconds for the TCP connection, including the DNS lookup, and for the handshake. */
export interface ConnectDeadlines {
  readonly connect: number
  readonly handshake: number
}

export const connectDeadlines: ConnectDeadlines = { connect: 5000, handshake: 5000 }

/** The options of Node's `tls.connect`, except those that would bypass the checks here. */
export interface ConnectTlsOptions
  extends Omit<ConnectionOptions, 'checkServerIdentity' | 'pskCallback' | 'timeout' | 'signal' | 'path'> {
  readonly host: string
  readonly port: number
  /** The name that the certificate must contain and that is sent as SNI. Default: `host`. */
  readonly servername?: string | undefined
  /** The name of the server in messages. Default: `HOST:PORT`. */
  readonly address?: string | undefined
  /** The name of the authorities in messages, such as their file. */
  readonly trusted?: string | undefined
  readonly deadlines?: Partial<ConnectDeadlines> | undefined
  /** Aborts the attempt. It has no effect on an open connection. */
  readonly signal?: AbortSignal | undefined
}

/** For outgoing contexts: no renegotiation, which would change the channel bindings. */
export const secureOptions = constants.SSL_OP_NO_RENEGOTIATION

/**
 * Opens a TLS connection to a server with a chain that OpenSSL verifies and a certificate for the host.
 * `rejectUnauthorized: false`, set by the caller, skips both. Errors after the handshake are emitted as usual, but do
 * not end the process without a listener.
 * @throws OutgoingError (rejects).
 */
export function connectTls(options: ConnectTlsOptions): Promise<TLSSocket> {
  const {
    trusted = options.ca || options.secureContext ? 'the configured authorities' : "Node's default authorities",
  } = options
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
          servername: isIP(name) === 0 ? name : '', // RFC 6066 §3: an address is not a server name
          rejectUnauthorized: verifies,
          // Node calls it after each handshake that OpenSSL has accepted, except a resumed one: a session of the caller
          // contains the verdict of its first handshake, and Node uses it only for the same name.
          checkServerIdentity: findMismatch,
        })
      } catch (cause) {
        const { code, message } = cause as NodeJS.ErrnoException
        const finding = `the certificate, private key or authorities of the client are invalid (${code ?? message})`
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
      // Whether or not the caller listens. Node does not close a connection whose TLS fails after the handshake.
      socket.on('error', () => socket.destroy())
    }

    function fail(error: unknown): void {
      settle()
      socket.destroy()
      // Node reports a verification error as an Error without a class of its own.
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

    // Runs before Node's listener, which destroys a rejected socket and its certificate. Nothing may be destroyed here;
    // a certificate that cannot be read is detected later.
    socket.prependListener(
      'secure',
      guarded(readCertificate, () => {}),
    )
    socket.on('connect', onConnect).on('secureConnect', onSecure).on('error', fail).on('close', onClose)
    signal?.addEventListener('abort', cancel)
    if (options.socket !== undefined && !options.socket.destroyed) onConnect()
  })
}
