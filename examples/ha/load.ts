// The load: clients that send requests all the time, and one that requests and revokes tokens. Counts what happens to them.
import { setTimeout as pause } from 'node:timers/promises'
import { connect, createClient, type Identity, type TokenChannel } from 'tlsbound/client'

/** Counts since the start. */
export interface Counts {
  /** Requests that the clients have sent. */
  requests: number
  /** Tokens that they have requested. */
  tokens: number
  /** Connections that they have opened. */
  connections: number
  /** Requests that the client library has sent again, because a server ended or had no answer. */
  repeated: number
  /** Requests whose result is not 200, with the number of each result. */
  readonly refusals: Map<string, number>
  /** Attempts to revoke a token that the servers could not answer, and that were made again. */
  revocationsRepeated: number
}

export interface RevokedToken {
  readonly headers: Readonly<Record<string, string>>
}

export interface Load {
  readonly counts: Counts
  /** Tokens whose revocation a server has acknowledged. */
  readonly revoked: readonly RevokedToken[]
  stop(): Promise<void>
}

/** Starts clients at `origin`: half of them with tokens that are bound to their connection, half to their certificate. */
export function startLoad(origin: string, identity: Identity, clients: number): Load {
  let isRunning = true
  const counts: Counts = {
    ...{ requests: 0, tokens: 0, connections: 0, repeated: 0, revocationsRepeated: 0 },
    refusals: new Map(),
  }
  const revoked: RevokedToken[] = []

  async function useTokens(tokenBinding: 'connection' | 'certificate'): Promise<void> {
    const client = createClient({ origin, identity, tokenBinding })
    while (isRunning) {
      counts.requests++
      const result = await client.fetch('/api/whoami').then(
        async answer => (answer.status === 200 ? undefined : `${answer.status} ${await answer.text()}`),
        (error: Error) => error.message,
      )
      if (result !== undefined) counts.refusals.set(result, (counts.refusals.get(result) ?? 0) + 1)
      await pause(5)
    }
    const { tokens, connections, repeated } = client.state().counts
    counts.tokens += tokens
    counts.connections += connections
    counts.repeated += repeated
    await client.close()
  }

  /** Requests a token and revokes it. A revocation without an answer is sent again: it has no effect the second time. */
  async function revokeTokens(): Promise<void> {
    while (isRunning) {
      let token: RevokedToken | undefined
      while (token === undefined)
        token = await withChannel(origin, identity, channel => channel.token()).catch(() => pause(100, undefined))
      while (!(await withChannel(origin, identity, revoke(token)).catch(() => false))) {
        counts.revocationsRepeated++
        await pause(100)
      }
      revoked.push(token)
      await pause(200)
    }
  }

  const work = [
    ...Array.from({ length: clients }, (_, index) => useTokens(index % 2 === 0 ? 'connection' : 'certificate')),
    revokeTokens(),
  ]
  return {
    counts,
    revoked,
    async stop() {
      isRunning = false
      await Promise.all(work)
    },
  }
}

/** Returns the status with which a server answers a request with this token, and the reason of a refusal. */
export async function present(channel: TokenChannel, { headers }: RevokedToken): Promise<string> {
  const answer = await channel.dispatcher.request({ method: 'GET', path: '/api/whoami', headers })
  const { reason = '' } = (await answer.body.json()) as { reason?: string }
  return `${answer.statusCode} ${reason}`.trim()
}

/** Runs work on a connection of its own, with tokens that are bound to the certificate. */
export async function withChannel<T>(
  origin: string,
  identity: Identity,
  work: (channel: TokenChannel) => Promise<T>,
  issuer = origin,
): Promise<T> {
  const channel = await connect(origin, identity, { issuer, tokenBinding: 'certificate' })
  try {
    return await work(channel)
  } finally {
    channel.destroy()
  }
}

function revoke({ headers }: RevokedToken): (channel: TokenChannel) => Promise<boolean> {
  return async channel => {
    const token = headers.authorization?.replace('Bearer ', '') ?? ''
    const answer = await channel.dispatcher.request({
      method: 'POST',
      path: '/oauth/revoke',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams({ client_id: 'alice', token }).toString(),
    })
    await answer.body.dump()
    return answer.statusCode === 200
  }
}
