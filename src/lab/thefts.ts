// A handful of thefts, one after the other, against one running server: what the live page plays at the press of a button.
// The whole catalog, with its controls and its judgement, is run.ts.
import { type Attempt, attempt } from './attempt.ts'
import type { Cast, Identity } from './cast.ts'
import { type Answer, type Connection, openConnection } from './connection.ts'
import { joinToken, readToken } from './forge.ts'

/** `control`: what must be accepted, or the refusals say nothing. */
export interface Play extends Attempt {
  readonly kind: 'control' | 'theft'
}

export interface Target {
  readonly host: string
  readonly port: number
  /** All four are needed here. */
  readonly cast: Required<Pick<Cast, 'alice' | 'bob' | 'mallory' | 'stranger' | 'ca'>>
}

/** Plays the thefts, and tells what came of each. No token is told. Ends its connections however it ends. */
export async function* playThefts({ host, port, cast }: Target): AsyncGenerator<Play> {
  const { alice, bob, mallory, stranger, ca } = cast
  const open: Connection[] = []
  const connect = async (who: Identity | undefined, options = {}) => {
    const identity = who && { cert: who.certificate, key: who.key }
    const connection = await openConnection({ host, port, servername: 'localhost', ca, ...identity, ...options })
    open.push(connection)
    return connection
  }
  let token = ''
  const use = async (by: Promise<Connection>, presented = token) => (await by).call('/api/whoami', { token: presented })
  try {
    const hers = connect(alice)
    yield play('control', 'Alice gets a token on her connection', async () => {
      const answer = await requestToken(await hers, alice.clientId)
      token = String(answer.body?.access_token ?? '')
      return answer
    })
    yield play('control', 'Alice uses it there', () => use(hers))
    yield play('theft', 'Bob finds it, and brings his own certificate', () => use(connect(bob)))
    yield play('theft', 'Mallory, whom the authority knows too', () => use(connect(mallory)))
    yield play('theft', 'A stranger, with a certificate of their own making', () => use(connect(stranger)))
    yield play('theft', 'Somebody without any certificate', () => use(connect(undefined)))
    yield play('theft', 'A thief of her private key as well, on a second connection', () => use(connect(alice)))
    yield play('theft', 'The same thief, over HTTP/2', () => use(connect(alice, { ALPNProtocols: ['h2', 'http/1.1'] })))
    const session = (await hers).socket.getSession()
    yield play('theft', 'The same thief, resuming her connection', () => use(connect(alice, session && { session })))
    yield play('theft', 'Alice’s token with its binding cut out', () => use(hers, withoutConfirmation(token)))
    yield play('theft', 'Alice’s token without a signature', () => use(hers, withoutSignature(token)))
    yield play('theft', 'Mallory asks for a token in Alice’s name', async () =>
      requestToken(await connect(mallory), alice.clientId),
    )
    yield play('control', 'Alice goes on working', () => use(hers))
  } finally {
    for (const connection of open) connection.close()
  }
}

async function play(kind: Play['kind'], what: string, act: () => Promise<Answer>): Promise<Play> {
  return { kind, ...(await attempt(what, act)) }
}

function requestToken(connection: Connection, clientId: string): Promise<Answer> {
  const form = new URLSearchParams({ grant_type: 'client_credentials', client_id: clientId })
  const headers = { 'content-type': 'application/x-www-form-urlencoded' }
  return connection.call('/oauth/token', { method: 'POST', headers, body: form.toString() })
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
