// A row of the tables of signed requests, and what all rows share: a time, a token, connections, two requests.
import { hash } from 'node:crypto'
import { buildContentDigest } from '../../src/core/content-digest.ts'
import type { BareItem } from '../../src/core/structured-fields.ts'
import type { SignedMessage } from '../../test/helpers/vectors.ts'

/** The parts of a vector, with valid defaults. */
export interface SignedCase {
  readonly name: string
  readonly wrong?: string
  /** Default: accepted, or signature_invalid if something is wrong. */
  readonly outcome?: string
  /** The connection that carries the request. Default: p256. */
  readonly connection?: string
  /** The connection that it was signed for. Default: the one that carries it. */
  readonly madeOn?: string
  /** Default: get. */
  readonly signed?: SignedMessage
  /** The server's clock, in seconds after `now`. */
  readonly clock?: number
  readonly label?: string
  /** Replace or omit (undefined) parameters. */
  readonly parameters?: Readonly<Record<string, BareItem | undefined>>
  /** The order of the parameters. */
  readonly order?: readonly string[]
  /** Default: the required ones. */
  readonly components?: readonly string[]
  /** The name of the certificate in keyid. Default: that of the connection. */
  readonly certificate?: string
  /** The name of the signing key. Default: that of the certificate. */
  readonly key?: string
  /** Changes the request after it was signed. */
  readonly sent?: (request: SignedMessage) => SignedMessage
}

export const now = 1_800_000_000

/** The `tls-exporter` thumbprint of an invented connection, in base64url. */
export const bindingOf = (connection: string) => hash('sha256', `tls-exporter of connection ${connection}`, 'base64url')

/** The key of the certificate on each connection. */
export const connections: Readonly<Record<string, string>> = {
  p256: 'p256',
  p384: 'p384',
  ed25519: 'ed25519',
  rsa: 'rsa',
  'p256, a later connection': 'p256',
  other: 'other',
  p521: 'p521',
  ed448: 'ed448',
  rsa1024: 'rsa1024',
}

const authorization = 'Bearer an-access-token-of-PUBLIC-TEST-KEY-p256'
const text = '{"text":"hello"}'

export const get: SignedMessage = {
  method: 'GET',
  authority: 'api.example:8443',
  target: '/notes?limit=10&after=%C3%BC',
  fields: { authorization },
  body: null,
}
export const post: SignedMessage = {
  ...get,
  method: 'POST',
  target: '/notes',
  fields: { authorization, 'content-type': 'application/json', 'content-digest': buildContentDigest(text) },
  body: text,
}

/** Returns a function that replaces or omits fields. */
export const withFields =
  (fields: Readonly<Record<string, string | undefined>>) =>
  (request: SignedMessage): SignedMessage => ({
    ...request,
    fields: Object.fromEntries(
      Object.entries({ ...request.fields, ...fields }).filter(
        (field): field is [string, string] => field[1] !== undefined,
      ),
    ),
  })
