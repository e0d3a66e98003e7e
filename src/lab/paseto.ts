// Forged PASETO, for the scenarios about them: a valid token of the client, changed or signed in another way. A thief without the
// issuer's key can only change one; with the key of a test server, the lab also signs what the server must reject for its form.
import { buildFooter, buildImplicitAssertion, isPaseto, parsePaseto } from '../core/paseto.ts'
import { buildPasetoPayload } from '../core/paseto-claims.ts'
import { attempt, NotTried } from './attempt.ts'
import { encode, readToken } from './forge.ts'
import type { Evidence } from './scenario.ts'
import { playSeries } from './series.ts'
import type { Stage } from './stage.ts'

/** The parts that a token is joined from. */
export interface Parts {
  /** The header that is sent. */
  readonly header: string
  readonly message: Buffer
  readonly signature: Buffer
  /** undefined: without a footer. */
  readonly footer: Buffer | undefined
}

/** A valid token, and the means to change it. */
export interface Genuine extends Parts {
  readonly issuer: string
  /** Signs with the issuer's key for PASETO, or for JWTs. By default everything is what the issuer signs. @throws NotTried */
  sign(changes?: Signed): Parts
}

export interface Signed {
  readonly header?: string
  readonly footer?: Buffer | undefined
  /** null: the version has none. */
  readonly implicit?: string | null
  /** The kind of token that the key is for. Default `paseto`. */
  readonly key?: 'paseto' | 'jwt'
}

/** Returns the parts of a token to present. */
export type Forgery = (genuine: Genuine) => Parts

/**
 * Presents each forgery on the connection of the client, after the valid token, and before it again.
 * @throws NotTried (rejects) if the server issues no PASETO to the client and the issuer's key is not available.
 */
export async function playForgeries(stage: Stage, forgeries: Readonly<Record<string, Forgery>>): Promise<Evidence> {
  const victim = await stage.victim()
  const good = join(readGenuine(stage, victim.token))
  const control = () => attempt('the valid token', () => stage.use(victim.connection, good))
  const controls = [await control()]
  const thefts = await playSeries(
    () => stage.victim(),
    forgeries,
    ({ connection, token }, forge) => stage.use(connection, join(forge(readGenuine(stage, token)))),
  )
  return { controls: [...controls, await control()], thefts }
}

function readGenuine({ cast }: Stage, token: string): Genuine {
  const { signPaseto } = cast
  const payload = isPaseto(token) ? parsePaseto(token).message : buildPayload(token)
  const issuer = String((JSON.parse(payload.toString()) as { iss?: unknown }).iss)
  const sign: Genuine['sign'] = changes => {
    if (signPaseto === undefined) throw new NotTried("the issuer's keys for PASETO and for EdDSA are not available")
    const {
      header = 'v4.public.',
      implicit = buildImplicitAssertion(issuer).toString(),
      key = 'paseto',
    } = changes ?? {}
    // The signer returns the id of its key before it signs, because the footer is signed too.
    const signer = signPaseto(key)
    const footer = changes !== undefined && 'footer' in changes ? changes.footer : buildFooter(signer.kid)
    const pieces = [
      Buffer.from(header),
      payload,
      footer ?? Buffer.alloc(0),
      ...(implicit === null ? [] : [Buffer.from(implicit)]),
    ]
    return { header, message: payload, signature: signer.sign(encodePieces(pieces)), footer }
  }
  const parts = isPaseto(token) ? { header: 'v4.public.', ...parsePaseto(token) } : sign()
  return { ...parts, issuer, sign }
}

/** The claims of a JWT as the issuer would write them into a PASETO. */
function buildPayload(token: string): Buffer {
  const { claims } = readToken(token)
  return buildPasetoPayload(claims as { iat: number; exp: number })
}

function join({ header, message, signature, footer }: Parts): string {
  const end = footer === undefined ? '' : `.${encode(footer)}`
  return `${header}${encode(Buffer.concat([message, signature]))}${end}`
}

/** Pre-authentication encoding (PAE) of any number of pieces: older versions have fewer. */
function encodePieces(pieces: readonly Buffer[]): Buffer {
  const length = (value: number) => {
    const octets = Buffer.alloc(8)
    octets.writeUInt32LE(value)
    return octets
  }
  return Buffer.concat([length(pieces.length), ...pieces.flatMap(piece => [length(piece.length), piece])])
}
