// The kinds of load. A lane does one piece of work after the other; there are as many lanes as connections.
import { type Dispatcher, fetch, Pool, request } from 'undici'
import { createClient } from '../../src/client/client.ts'
import { api, buildPost, buildTokenRequest, type Client, type Who } from './client.ts'
import type { Connection } from './connection.ts'
import type { Proving } from './prover.ts'

/** Does one piece of work; returns the status of its last response. */
export type Lane = () => Promise<number>

/** Milliseconds that a connection is used for: far less than the lifetimes of tokens and connections. */
const longest = 60_000

/** The same request repeatedly on a connection; each minute there is a new one, as clients have. */
async function repeat(client: Client, prepare: (connection: Connection) => Promise<Buffer>, who?: Who): Promise<Lane> {
  const open = async () => {
    const connection = await client.connect(who)
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

/** Requests on a connection that each have a proof of their own; at most a minute, far less than the life of the token. */
const prove =
  (proof: Proving['proof'], method: Proving['method']) =>
  async (client: Client): Promise<Lane> => {
    const connection = await client.connect()
    const build = await client.prepareProver(connection, { proof, method })
    return async () => (await connection.exchange(...build())).status
  }

/** Keep-alive GET: the token, if any, was issued on this connection. */
const get = (client: Client) => repeat(client, connection => client.prepareGet(connection))

/** As `get`, for what a proxy forwards. */
const forward = (client: Client) => repeat(client, connection => client.prepareGet(connection, 'alice', '/up/'))

const download = (client: Client) => repeat(client, connection => client.prepareGet(connection, 'alice', '/up/large'))

const upload = (client: Client) => repeat(client, connection => client.prepareUpload(connection, '/up/sink'))

const opaque = (client: Client) => repeat(client, connection => client.prepareGet(connection, 'bob'), 'bob')

const proof = (client: Client) => repeat(client, connection => client.prepareProvenGet(connection))

/** Keep-alive POST to the token endpoint. */
const token = (client: Client) => repeat(client, async () => buildTokenRequest(client.aim.port, 'alice'))

/** The introspection of one token of alice by bob. */
async function introspect(client: Client): Promise<Lane> {
  const prepare = async () => {
    const alice = await client.connect()
    const { access_token } = await client.requestToken(alice, 'alice', { resource: api })
    alice.close()
    return buildPost(client.aim.port, '/oauth/introspect', { client_id: 'bob', token: access_token })
  }
  return repeat(client, prepare, 'bob')
}

/** Each request uses the refresh token of the response before it. */
async function refresh(client: Client): Promise<Lane> {
  const connection = await client.connect()
  let { refresh_token = '' } = await client.requestToken(connection)
  return async () => {
    const more = { grant_type: 'refresh_token', refresh_token }
    const { status, body } = await connection.exchange(buildTokenRequest(client.aim.port, 'alice', more))
    if (status === 200) refresh_token = JSON.parse(body).refresh_token
    return status
  }
}

/** A new connection each time, with a token if the server takes one, and one GET. */
async function connect(client: Client): Promise<Lane> {
  return async () => {
    const connection = await client.connect()
    try {
      return (await connection.exchange(await client.prepareGet(connection))).status
    } finally {
      connection.close()
    }
  }
}

/** GET over HTTP/2; all lanes share one connection. */
async function http2(client: Client): Promise<Lane> {
  const connection = await client.connectHttp2()
  const form = 'grant_type=client_credentials&client_id=alice&scope=notes%3Aread'
  const post = { ':method': 'POST', ':path': '/oauth/token', 'content-type': 'application/x-www-form-urlencoded' }
  const { status, body } = await connection.exchange(post, form)
  if (status !== 200) throw new Error(`expected a token, got ${status} ${body.slice(0, 200)}`)
  const headers = { ':path': '/api/whoami', authorization: `Bearer ${JSON.parse(body).access_token}` }
  return async () => (await connection.exchange(headers)).status
}

/** undici with a token that its user got; bound to the certificate, so that each connection of the pool may send it. */
async function openUndici({ aim, pki }: Client, connections: number) {
  const { certificate: cert, key } = pki.alice
  const origin = `https://localhost:${aim.port}`
  const connect = { cert, key, ca: pki.ca.certificate }
  // Over HTTP/1.1, like the other one: undici prefers HTTP/2, where it costs more.
  const dispatcher = new Pool(origin, { connections, pipelining: 1, allowH2: false, connect })
  const body = 'grant_type=client_credentials&client_id=alice&token_binding=certificate'
  const headers = { 'content-type': 'application/x-www-form-urlencoded' }
  const answer = await request(`${origin}/oauth/token`, { dispatcher, method: 'POST', headers, body })
  const { access_token } = (await answer.body.json()) as { access_token: string }
  return { dispatcher, address: `${origin}/api/whoami`, headers: { authorization: `Bearer ${access_token}` } }
}

function openClient({ aim, pki }: Client, connections: number) {
  const origin = `https://localhost:${aim.port}`
  const identity = { ...pki.alice, ca: pki.ca.certificate }
  const client = createClient({ origin, identity, tokenBinding: 'certificate', http2: false, connections })
  return { client, address: `${origin}/api/whoami` }
}

/** Does GETs with a client library; all lanes share its pool of connections. */
const libraries = {
  async undici(client: Client, connections: number): Promise<Lane> {
    const { dispatcher, address, headers } = await openUndici(client, connections)
    return () => requestWith(dispatcher, address, headers)
  },
  async client(client: Client, connections: number): Promise<Lane> {
    const { client: library, address } = openClient(client, connections)
    return () => requestWith(library.dispatcher, address, {})
  },
  async 'undici-fetch'(client: Client, connections: number): Promise<Lane> {
    const { dispatcher, address, headers } = await openUndici(client, connections)
    return () => finish(fetch(address, { dispatcher, headers }))
  },
  async 'client-fetch'(client: Client, connections: number): Promise<Lane> {
    const { client: library, address } = openClient(client, connections)
    return () => finish(library.fetch(address))
  },
}

async function requestWith(dispatcher: Dispatcher, address: string, headers: Record<string, string>): Promise<number> {
  const { statusCode, body } = await request(address, { dispatcher, headers })
  await body.text()
  return statusCode
}

async function finish(answered: Promise<Response>): Promise<number> {
  const response = await answered
  await response.text()
  return response.status
}

const lanes = {
  ...{ get, forward, download, upload, opaque, proof, token, introspect, refresh, connect, http2 },
  'post-bound': prove('none', 'POST'),
  'get-proven': prove('per-request', 'GET'),
  'post-proven': prove('per-request', 'POST'),
  'get-signed': prove('signed-request', 'GET'),
  'post-signed': prove('signed-request', 'POST'),
}

export type Kind = keyof typeof lanes | keyof typeof libraries

const isLibrary = (kind: Kind): kind is keyof typeof libraries => kind in libraries

/** Prepares as many lanes as there are connections. */
export async function prepareLanes(client: Client, kind: Kind, connections: number): Promise<Lane[]> {
  if (isLibrary(kind)) {
    const lane = await libraries[kind](client, connections)
    return Array.from({ length: connections }, () => lane)
  }
  return Promise.all(Array.from({ length: connections }, () => lanes[kind](client)))
}

/** What an idle connection did before. */
export type First = 'nothing' | 'get' | 'websocket'

/** Opens `count` connections, a few at a time, uses each for its first request, and leaves them open. */
export async function openIdle(client: Client, count: number, first: First): Promise<Connection[]> {
  const connections: Connection[] = []
  let left = count
  const open = async () => {
    while (left-- > 0) {
      const connection = await client.connect()
      connections.push(connection)
      if (first === 'nothing') continue
      const request = first === 'get' ? client.prepareGet(connection) : client.prepareWebSocket(connection, '/sockets/')
      const { status } = await connection.exchange(await request)
      if (status !== (first === 'get' ? 200 : 101)) throw new Error(`status ${status} on an idle connection`)
    }
  }
  await Promise.all(Array.from({ length: 16 }, open))
  return connections
}
