// A channel: one TLS connection to one origin, with its certificate and bindings. It never reconnects, so nothing that
// is bound to the connection can be sent over another one.
import type { Dispatcher } from 'undici'
import { buildBindingProof, hashToken } from '../../core/binding-proof.ts'
import { type ChannelBindings, readChannelBindings, readKeyingMaterial } from '../../core/channel-binding.ts'
import { guarded } from '../../core/guard.ts'
import type { Presenter } from '../../core/presenter.ts'
import { connectTls } from '../../outgoing/connect.ts'
import { ClientError, explainConnectProblem } from '../errors.ts'
import type { Credentials } from '../identity.ts'
import { type ChannelSigner, createChannelSigner } from '../signing/signer.ts'
import { openHttp1 } from './http1.ts'
import { openHttp2 } from './http2.ts'

export interface ChannelOptions {
  /** Whether to offer h2. Default true. */
  readonly http2?: boolean | undefined
  /** The minimum TLS version. Default TLSv1.3. */
  readonly minVersion?: 'TLSv1.2' | 'TLSv1.3' | undefined
}

export interface Channel {
  readonly origin: string
  readonly protocol: 'h2' | 'http/1.1'
  /** The TLS version, such as TLSv1.3. */
  readonly tls: string
  /** The IANA name of the cipher suite, such as TLS_AES_128_GCM_SHA256. */
  readonly cipher: string
  /** The thumbprints of its channel bindings, equal to those that the server computes. */
  readonly bindings: ChannelBindings
  /** The `x5t#S256` of the client certificate. */
  readonly certificate: string
  readonly since: Date
  /** Sends requests over this connection unchanged, without a token. */
  readonly dispatcher: Dispatcher
  /** The number of simultaneous requests. */
  readonly capacity: number
  /** Whether it accepts new requests. */
  readonly open: boolean
  /** Resolves when the connection is closed or closing, with the cause unless the client closed it. */
  readonly closed: Promise<Error | undefined>
  /** Accepts no new requests, and closes after the requests under way. */
  close(): Promise<void>
  /** Closes at once. */
  destroy(): void
}

/** A channel with what only the client may use: the presenter of its tokens, and the signer of its proofs and requests. */
export interface BoundChannel extends Channel, ChannelSigner {
  readonly credentials: Credentials
  readonly presenter: Presenter
  /**
   * Signs a binding proof for a token on this connection. `iat` is in seconds since 1970 by the server's clock.
   * @throws ClientError `proof_impossible`.
   */
  prove(token: string, iat: number): string
}

/** Milliseconds without traffic before the system sends TCP keep-alive probes. */
const keepAliveDelay = 60_000

/**
 * Opens one TLS connection with a full handshake, without session resumption.
 * @throws ClientError (rejects) when the connection fails.
 */
export async function openChannel(
  origin: string,
  credentials: Credentials,
  { http2 = true, minVersion = 'TLSv1.3' }: ChannelOptions = {},
): Promise<BoundChannel> {
  const { hostname, host, port } = new URL(origin)
  const socket = await connectTls({
    host: hostname.replace(/^\[|\]$/g, ''),
    port: Number(port || 443),
    secureContext: credentials.context(minVersion),
    ALPNProtocols: http2 ? ['h2', 'http/1.1'] : ['http/1.1'],
  }).catch((error: unknown) => {
    throw explainConnectProblem(error, host)
  })
  socket.setNoDelay(true).setKeepAlive(true, keepAliveDelay)
  // The first error is the most specific: a TLS alert, for example, is followed by a plain end.
  let problem: Error | undefined = socket.errored ?? undefined
  socket.once('error', error => {
    problem = error
  })
  const ekm = readKeyingMaterial(socket)
  const { certificate, key } = credentials
  const presenter = { certificate, bindings: readChannelBindings(socket, 'client'), ekm }
  const tls = socket.getProtocol() ?? 'unknown'
  const cipher = socket.getCipher().standardName
  const protocol = socket.alpnProtocol === 'h2' ? 'h2' : 'http/1.1'
  const transport = await (protocol === 'h2' ? openHttp2 : openHttp1)(origin, socket).catch((error: unknown) => {
    socket.destroy()
    throw explainConnectProblem(problem ?? error, host)
  })
  return {
    origin,
    protocol,
    tls,
    cipher,
    bindings: presenter.bindings,
    certificate: certificate.thumbprint,
    since: new Date(),
    dispatcher: transport.dispatcher,
    get capacity() {
      return transport.capacity
    },
    get open() {
      return transport.open
    },
    closed: transport.closed.then(cause => cause && (problem ?? cause)),
    credentials,
    presenter,
    prove(token, iat) {
      try {
        if (ekm === undefined) throw new TypeError('the connection has no channel binding')
        return buildBindingProof({ ath: hashToken(token), ekm, iat }, key, certificate.thumbprint)
      } catch (cause) {
        throw new ClientError('proof_impossible', { cause })
      }
    },
    ...createChannelSigner(host, presenter, key),
    // undici rejects when the connection has ended already, which is the wanted state.
    close: async () => {
      try {
        await transport.dispatcher.close()
      } catch {
        socket.destroy()
      }
    },
    destroy: guarded(
      () => transport.dispatcher.destroy().catch(() => {}),
      () => socket.destroy(),
    ),
  }
}
