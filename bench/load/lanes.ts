// The kinds of load. A lane does one piece of work after the other; as many lanes as connections run side by side.
import type { Client } from './client.ts'
import type { Connection } from './connection.ts'

/** One piece of work; the status of its last answer. */
export type Lane = () => Promise<number>

/** Keep-alive GET: the token, where there is one, was issued once on this connection. */
async function get(client: Client): Promise<Lane> {
  const connection = await client.connect()
  const request = await client.prepareWhoami(connection)
  return async () => (await connection.exchange(request)).status
}

/** Keep-alive POST to the token endpoint. */
async function token(client: Client): Promise<Lane> {
  const connection = await client.connect()
  return async () => (await client.requestToken(connection)).status
}

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
