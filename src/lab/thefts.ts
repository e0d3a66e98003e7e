// A few thefts in sequence against a running server, for the live page. The complete catalog with controls and verdicts
// is run.ts.
import { setTimeout } from 'node:timers/promises'
import { readChannelBindings } from '../core/channel-binding.ts'
import type { Confirmation } from '../core/confirmation.ts'
import { type Attempt, attempt } from './attempt.ts'
import type { Cast, Identity } from './cast.ts'
import { type Answer, type Connection, openConnection } from './connection.ts'
import { joinToken, readToken } from './forge.ts'

/** `control`: must be accepted, or the refusals prove nothing. */
export interface Play extends Attempt {
  readonly kind: 'control' | 'theft'
  /** The thumbprint of the connection that the token is bound to; undefined before there is one. */
  readonly boundTo: string | undefined
  /** The thumbprint of the connection of the attempt; undefined without one. */
  readonly triedOn: string | undefined
}

export interface Target {
  readonly host: string
  readonly port: number
  /** All four are required here. */
  readonly cast: Required<Pick<Cast, 'alice' | 'bob' | 'mallory' | 'stranger' | 'ca'>>
  /** Milliseconds after each theft during which its connections stay open, so that people can follow. */
  readonly pause?: number
}

/** Runs the thefts and yields the outcome of each, without tokens. Closes its connections in any case. */
export async function* playThefts({ pause = 0, ...target }: Target): AsyncGenerator<Play> {
  for await (const play of playAll(target)) {
    yield play
    await setTimeout(pause)
  }
}

async function* playAll({ host, port, cast }: Target): AsyncGenerator<Play> {
  const { alice, bob, mallory, stranger, ca } = cast
  const open: Connection[] = []
  const connect = async (who: Identity | undefined, options = {}) => {
    const identity = who && { cert: who.certificate, key: who.key }
    const connection = await openConnection({ host, port, servername: 'localhost', ca, ...identity, ...options })
    open.push(connection)
    return { ...connection, thumbprint: readChannelBindings(connection.socket, 'client')['tls-exporter'] }
  }
  let token = ''
  let boundTo: string | undefined
  const present = (connection: Connection, presented = token) => connection.call('/api/whoami', { token: presented })
  const play = async (
    kind: Play['kind'],
    what: string,
    by: ReturnType<typeof connect>,
    act: (connection: Connection) => Promise<Answer> = present,
  ): Promise<Play> => {
    const outcome = await attempt(what, async () => act(await by))
    const triedOn = await by.then(
      ({ thumbprint }) => thumbprint,
      () => undefined,
    )
    return { kind, ...outcome, boundTo, triedOn }
  }
  try {
    const hers = connect(alice)
    yield play('control', 'Alice requests a token on her connection', hers, async connection => {
      const answer = await requestToken(connection, alice.clientId)
      token = String(answer.body?.access_token ?? '')
      if (token !== '') boundTo = thumbprintOf(token)
      return answer
    })
    yield play('control', 'Alice uses it on this connection', hers)
    yield play('theft', 'Bob presents it with his own certificate', connect(bob))
    yield play('theft', 'Mallory presents it with an unregistered certificate', connect(mallory))
    yield play('theft', 'A thief presents it with a certificate of an untrusted authority', connect(stranger))
    yield play('theft', 'A thief presents it without a certificate', connect(undefined))
    yield play('theft', 'A thief with her private key opens a second connection', connect(alice))
    const both = { ALPNProtocols: ['h2', 'http/1.1'] }
    yield play('theft', 'The same thief uses HTTP/2', connect(alice, both))
    const session = (await hers).socket.getSession()
    yield play('theft', 'The same thief resumes her TLS connection', connect(alice, session && { session }))
    yield play('theft', 'A thief removes cnf from Alice’s token', hers, on => present(on, withoutConfirmation(token)))
    yield play('theft', 'A thief removes the signature of Alice’s token', hers, on =>
      present(on, withoutSignature(token)),
    )
    yield play('theft', 'Mallory requests a token as Alice', connect(mallory), on => requestToken(on, alice.clientId))
    yield play('control', 'Alice continues to work', hers)
  } finally {
    for (const connection of open) connection.close()
  }
}

function requestToken(connection: Connection, clientId: string): Promise<Answer> {
  const form = new URLSearchParams({ grant_type: 'client_credentials', client_id: clientId })
  const headers = { 'content-type': 'application/x-www-form-urlencoded' }
  return connection.call('/oauth/token', { method: 'POST', headers, body: form.toString() })
}

function thumbprintOf(token: string): string | undefined {
  const { cnf } = readToken(token).claims as { cnf?: Confirmation }
  return cnf?.['tls-exporter#S256']
}

function withoutConfirmation(token: string): string {
  const { header, claims, signature } = readToken(token)
  const { cnf: _, ...others } = claims
  return joinToken(header, others, signature)
}

function withoutSignature(token: string): string {
  const { header, claims } = readToken(token)
  return joinToken({ ...header, alg: 'none' }, claims)
}
