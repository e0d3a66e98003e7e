// The kinds of load. A lane does one piece of work after the other; there are as many lanes as connections.
import type { Client } from './client.ts'
import type { Connection } from './connection.ts'

/** Does one piece of work; returns the status of its last response. */
export type Lane = () => Promise<number>

/** Milliseconds that a connection is used for: far less than the lifetimes of tokens and connections. */
const longest = 60_000

/** The same request repeatedly on a connection; each minute there is a new one, as clients have. */
async function repeat(client: Client, prepare: (connection: Connection) => Promise<Buffer>): Promise<Lane> {
  const open = async () => {
    const connection = await client.connect()
    return { connection, request: await prepare(connection), since: performance.now() }
  }
  let current = await open()
  return async () => {
    if (performance.now() - current.since > longest) {
      current.connection.close()
      current = await open()
    }
    return (await current.connection.exchange(current.request)).status
  }
}

/** Keep-alive GET: the token, if any, was issued on this connection. */
const get = (client: Client) => repeat(client, connection => client.prepareWhoami(connection))

/** Keep-alive POST to the token endpoint. */
const token = (client: Client) => repeat(client, async () => client.tokenRequest)

/** A new connection each time, with a token if GET needs one, and one GET. */
async function connect(client: Client): Promise<Lane> {
  return async () => {
    const connection = await client.connect()
    try {
      return (await connection.exchange(await client.prepareWhoami(connection))).status
    } finally {
      connection.close()
    }
  }
}

export const lanes = { get, token, connect }

export type Kind = keyof typeof lanes

/** Opens `count` connections, a few at a time, optionally uses each once, and leaves them open. */
export async function openIdle(client: Client, count: number, used: boolean): Promise<Connection[]> {
  const connections: Connection[] = []
  let left = count
  const open = async () => {
    while (left-- > 0) {
      const connection = await client.connect()
      connections.push(connection)
      if (!used) continue
      const { status } = await connection.exchange(await client.prepareWhoami(connection))
      if (status !== 200) throw new Error(`status ${status} on an idle connection`)
    }
  }
  await Promise.all(Array.from({ length: 16 }, open))
  return connections
}
