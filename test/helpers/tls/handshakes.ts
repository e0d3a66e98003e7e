// OpenSSL's verdict on a client certificate in a real handshake, for any authorities and lists, including those that are
// refused when they are loaded.
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { type ConnectionOptions, connect, createServer, type TLSSocket } from 'node:tls'
import type { Identity } from '../../../src/pki/certificate.ts'
import { makeDemoPki } from '../../../src/pki/demo.ts'
import { type Evaluation, evaluateCertificate } from '../../../src/tls/evaluate-certificate.ts'
import { buildTlsOptions, parseMaterial } from '../../../src/tls/options.ts'
import type { Trust } from '../../../src/tls/trust.ts'

const pki = makeDemoPki()
const { certificate: cert, key } = pki.server
const base = buildTlsOptions(parseMaterial({ cert, key, ca: pki.ca.certificate }), 'TLSv1.2')

export interface Handshake {
  /** Certificates of the authorities, each in PEM. */
  readonly authorities: readonly Pick<Identity, 'certificate'>[]
  /** Each in PEM. */
  readonly lists?: readonly string[]
  readonly who: Identity
  /** Certificates that the client sends after its own. */
  readonly chain?: readonly Pick<Identity, 'certificate'>[]
  readonly options?: ConnectionOptions
}

/** Completes a handshake and passes the server's end to the callback before it is closed. Rejects if the handshake fails. */
export async function withHandshake<T>(handshake: Handshake, look: (socket: TLSSocket) => T): Promise<T> {
  const { authorities, lists = [], who, chain = [], options } = handshake
  const ca = authorities.map(({ certificate }) => certificate)
  const server = createServer({ ...base, ca, ...(lists.length > 0 && { crl: [...lists] }) })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const outcome = Promise.race([
    once(server, 'secureConnection') as Promise<[TLSSocket]>,
    once(server, 'tlsClientError').then(([error]) => Promise.reject(error)),
  ])
  const client = connect({
    port: (server.address() as AddressInfo).port,
    host: '127.0.0.1',
    rejectUnauthorized: false,
    cert: [who, ...chain].map(({ certificate }) => certificate).join(''),
    key: who.key,
    ciphers: 'DEFAULT@SECLEVEL=0', // so that the client does not refuse first
    ...options,
  })
  client.on('error', () => {})
  try {
    const [socket] = await outcome
    return look(socket)
  } finally {
    client.destroy()
    server.close()
  }
}

/** OpenSSL's verdict: `accepted`, or its error by Node's name. */
export function verdictOf(handshake: Handshake): Promise<string> {
  return withHandshake(handshake, ({ authorized, authorizationError }) =>
    authorized ? 'accepted' : String(authorizationError),
  )
}

/** tlsbound's evaluation of it. */
export function evaluationOf(handshake: Handshake, trust: Trust, isPinned = () => false): Promise<Evaluation> {
  return withHandshake(handshake, socket => evaluateCertificate(socket, { trust, isPinned }))
}
