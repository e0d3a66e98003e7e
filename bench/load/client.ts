// The load on a connection: a client requests a token, and uses it.
import { createPrivateKey, randomBytes, X509Certificate } from 'node:crypto'
import { createSecureContext, type SecureContext } from 'node:tls'
import { buildBindingProof, hashToken } from '../../src/core/binding-proof.ts'
import { readKeyingMaterial } from '../../src/core/channel-binding.ts'
import { readCertificate } from '../../src/core/presenter.ts'
import type { Pki } from '../pki.ts'
import { type Answer, Connection } from './connection.ts'
import { buildGet } from './get.ts'
import { type Http2Connection, openHttp2 } from './http2.ts'
import { createProver, type Provable, type Proving } from './prover.ts'

/** How to use a server under measurement. */
export interface Aim {
  port: number
  /** Whether to get a token first, on the same connection, and to send it with each GET. */
  token: boolean
  /** The server speaks HTTP without TLS. */
  plain: boolean
}

/** alice gets JSON Web Tokens; bob gets opaque tokens, and is the resource server that introspects alice's. */
export type Who = 'alice' | 'bob'

export const api = 'https://api.bench.example'

/** Returns a POST with a form. */
export function buildPost(port: number, path: string, form: Record<string, string>): Buffer {
  const body = new URLSearchParams(form).toString()
  return Buffer.from(
    `POST ${path} HTTP/1.1\r\nHost: localhost:${port}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  )
}

export const buildTokenRequest = (port: number, who: Who, more: Record<string, string> = {}): Buffer =>
  buildPost(port, '/oauth/token', { grant_type: 'client_credentials', client_id: who, scope: 'notes:read', ...more })

/** Octets of a large body. */
export const transferSize = 64 * 1024 * 1024

interface TokenAnswer {
  access_token: string
  refresh_token?: string
}

function parseToken({ status, body }: Answer): TokenAnswer {
  const answer = status === 200 ? JSON.parse(body) : undefined
  if (typeof answer?.access_token !== 'string') throw new Error(`expected a token, got ${status} ${body.slice(0, 200)}`)
  return answer
}

export class Client {
  readonly aim: Aim
  readonly pki: Pki
  readonly #contexts: Partial<Record<Who, SecureContext>> = {}
  #http2: Promise<Http2Connection> | undefined

  constructor(aim: Aim, pki: Pki) {
    this.aim = aim
    this.pki = pki
  }

  connect(who: Who = 'alice'): Promise<Connection> {
    return Connection.open(this.aim.port, this.aim.plain ? undefined : this.#contextOf(who))
  }

  /** Returns the one HTTP/2 connection of this load. */
  connectHttp2(): Promise<Http2Connection> {
    this.#http2 ??= openHttp2(this.aim.port, this.#contextOf('alice'))
    return this.#http2
  }

  async requestToken(connection: Connection, who: Who = 'alice', more?: Record<string, string>): Promise<TokenAnswer> {
    return parseToken(await connection.exchange(buildTokenRequest(this.aim.port, who, more)))
  }

  /** Returns the request of the protected resource, and gets the token first if the server takes one. */
  async prepareGet(connection: Connection, who?: Who, path?: string): Promise<Buffer> {
    return buildGet(this.aim.port, await this.#authorize(connection, who), path)
  }

  async prepareUpload(connection: Connection, path: string): Promise<Buffer> {
    const fields = { ...(await this.#authorize(connection)), 'Content-Length': String(transferSize) }
    const head = buildGet(this.aim.port, fields, path).toString().replace('GET', 'POST')
    return Buffer.concat([Buffer.from(head), Buffer.alloc(transferSize)])
  }

  async prepareWebSocket(connection: Connection, path: string): Promise<Buffer> {
    const upgrade = {
      Connection: 'Upgrade',
      Upgrade: 'websocket',
      'Sec-WebSocket-Version': '13',
      'Sec-WebSocket-Key': randomBytes(16).toString('base64'),
    }
    return buildGet(this.aim.port, { ...(await this.#authorize(connection)), ...upgrade }, path)
  }

  async #authorize(connection: Connection, who?: Who): Promise<Record<string, string>> {
    if (!this.aim.token) return {}
    const { access_token } = await this.requestToken(connection, who)
    return { Authorization: `Bearer ${access_token}` }
  }

  /** Returns the request of the protected resource with a binding proof, which is valid for the life of the connection. */
  async prepareProvenGet(connection: Connection): Promise<Buffer> {
    const { access_token } = await this.requestToken(connection, 'alice', { token_binding: 'proof' })
    const claims = {
      ath: hashToken(access_token),
      ekm: readKeyingMaterial(connection.tls()) ?? '',
      iat: Math.floor(Date.now() / 1000),
    }
    const { certificate, key } = this.pki.alice
    const { thumbprint } = readCertificate(new X509Certificate(certificate))
    const proof = buildBindingProof(claims, createPrivateKey(key), thumbprint)
    return buildGet(this.aim.port, { Authorization: `Bearer ${access_token}`, 'Session-Binding-Proof': proof })
  }

  /** Returns a function that builds another request each time, with a proof of its own. */
  async prepareProver(connection: Connection, kind: Proving): Promise<() => Provable> {
    const { access_token } = await this.requestToken(connection)
    const { certificate, key } = this.pki.alice
    const { thumbprint } = readCertificate(new X509Certificate(certificate))
    return createProver(kind, {
      connection,
      token: access_token,
      port: this.aim.port,
      key: createPrivateKey(key),
      thumbprint,
    })
  }

  #contextOf(who: Who): SecureContext {
    const { certificate, key } = this.pki[who]
    this.#contexts[who] ??= createSecureContext({ cert: certificate, key, minVersion: 'TLSv1.3' })
    return this.#contexts[who]
  }
}
