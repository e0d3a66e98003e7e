// A channel: one TLS connection to one origin, with its certificate, its bindings and its end. It never reconnects, so
// that whatever belongs to the connection can never be sent over another one.
import type { Dispatcher } from 'undici'
import { buildBindingProof, hashToken } from '../../core/binding-proof.ts'
import { type ChannelBindings, readChannelBindings, readKeyingMaterial } from '../../core/channel-binding.ts'
import { guarded } from '../../core/guard.ts'
import type { Presenter } from '../../core/presenter.ts'
import { connectTls } from '../../outgoing/connect.ts'
import { ClientError, explainConnectProblem } from '../errors.ts'
import type { Credentials } from '../identity.ts'
import { openHttp1 } from './http1.ts'
import { openHttp2 } from './http2.ts'

export interface ChannelOptions {
  /** Offer h2. Default true. */
  readonly http2?: boolean | undefined
  /** Default TLSv1.3. */
  readonly minVersion?: 'TLSv1.2' | 'TLSv1.3' | undefined
}

export interface Channel {
  readonly origin: string
  readonly protocol: 'h2' | 'http/1.1'
  /** Such as TLSv1.3. */
  readonly tls: string
  /** Its name in the registry of IANA, such as TLS_AES_128_GCM_SHA256. */
  readonly cipher: string
  /** Thumbprints of its channel bindings, the same as the server sees. */
  readonly bindings: ChannelBindings
  /** `x5t#S256` of our certificate. */
  readonly certificate: string
  readonly since: Date
  /** Sends requests over this connection as they are, without a token. */
  readonly dispatcher: Dispatcher
  /** How many requests it carries at a time. */
  readonly capacity: number
  /** Whether it takes new requests. */
  readonly open: boolean
  /** Resolves when the connection is gone or is about to go; with what ended it, if that was no plan of ours. */
  readonly closed: Promise<Error | undefined>
  /** Takes no new requests, and ends when those under way have their answers. */
  close(): Promise<void>
  /** Ends at once. */
  destroy(): void
}

/** What we know of a channel and nobody else may: who presents a token there, and what its proofs are made with. */
export interface BoundChannel extends Channel {
  readonly credentials: Credentials
  readonly presenter: Presenter
  /**
   * Signs a binding proof for a token on this connection; `iat` in seconds since 1970 by the server's clock.
   * @throws ClientError `proof_impossible`.
   */
  prove(token: string, iat: number): string
}

/** Milliseconds without traffic after which the system asks the server's machine whether it is there. */
const keepAliveDelay = 60_000

/**
 * Opens one TLS connection, with a full handshake: nothing is resumed.
 * @throws ClientError (rejects) for what prevented it.
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
  // The first one says most: an alert, for example, which is followed by a mere end.
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
    // undici rejects when it has ended already, which is what was wanted.
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
