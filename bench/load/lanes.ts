// The kinds of load. A lane does one piece of work after the other; as many lanes as connections run side by side.
import type { Client } from './client.ts'
import type { Connection } from './connection.ts'

/** One piece of work; the status of its last answer. */
export type Lane = () => Promise<number>

/** Milliseconds that a connection is used for: by far less than tokens and connections live. */
const longest = 60_000

/** The same request again and again on a connection; each minute there is a new one, as clients have. */
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

/** Keep-alive GET: the token, where there is one, was issued on this connection. */
const get = (client: Client) => repeat(client, connection => client.prepareWhoami(connection))

/** Keep-alive POST to the token endpoint. */
const token = (client: Client) => repeat(client, async () => client.tokenRequest)

/** A new connection each time, on it a token where GET needs one, and one GET. */
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

/** Opens `count` connections, a few at a time, uses each of them once if told to, and leaves them open. */
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
