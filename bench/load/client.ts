// The load on a connection: alice requests a token, and reads her identity.
import { createSecureContext, type SecureContext } from 'node:tls'
import type { Pki } from '../pki.ts'
import { type Answer, Connection } from './connection.ts'

/** How to use a server under measurement. */
export interface Aim {
  port: number
  /** Whether GET needs a token that was issued on the same connection. */
  needsToken: boolean
}

const FORM = 'grant_type=client_credentials&client_id=alice&scope=notes%3Aread'

const TOKEN_REQUEST = Buffer.from(
  `POST /oauth/token HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: ${FORM.length}\r\n\r\n${FORM}`,
)

const buildWhoamiRequest = (token: string | undefined): Buffer =>
  Buffer.from(
    `GET /api/whoami HTTP/1.1\r\nHost: localhost\r\n${token === undefined ? '' : `Authorization: Bearer ${token}\r\n`}\r\n`,
  )

function readToken({ status, body }: Answer): string {
  const token = status === 200 ? JSON.parse(body).access_token : undefined
  if (typeof token !== 'string') throw new Error(`expected a token, got ${status} ${body.slice(0, 200)}`)
  return token
}

export class Client {
  readonly tokenRequest = TOKEN_REQUEST
  readonly #aim: Aim
  readonly #secureContext: SecureContext

  constructor(aim: Aim, { alice }: Pki) {
    this.#aim = aim
    this.#secureContext = createSecureContext({
      cert: alice.certificate,
      key: alice.key,
      minVersion: 'TLSv1.3',
    })
  }

  connect(): Promise<Connection> {
    return Connection.open(this.#aim.port, this.#secureContext)
  }

  /** Returns the request of the protected resource, and gets the token first if it needs one. */
  async prepareWhoami(connection: Connection): Promise<Buffer> {
    if (!this.#aim.needsToken) return buildWhoamiRequest(undefined)
    return buildWhoamiRequest(readToken(await connection.exchange(this.tokenRequest)))
  }
}
