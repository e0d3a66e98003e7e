// TLS below the level of any library: hand-built ClientHellos (RFC 8446 §4.1.2), the server's response, and a relay that
// changes the bytes of a real client.
import { randomBytes } from 'node:crypto'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { type ConnectionOptions, connect as connectTls } from 'node:tls'

import type { TestConnection } from '../../../src/testing/server.ts'
import { exchange, requestText } from '../server/raw-http.ts'
import { patience } from '../until.ts'

type Scope = { teardown(end: () => void): void }

export type Extension = readonly [type: number, content: Buffer]

const u8 = (value: number) => Buffer.from([value])
const u16 = (value: number) => Buffer.from([value >> 8, value & 0xff])
const u24 = (value: number) => Buffer.concat([u8(value >> 16), u16(value & 0xffff)])
/** A vector with a length prefix of one or two octets. */
export const vector8 = (content: Buffer) => Buffer.concat([u8(content.length), content])
export const vector16 = (content: Buffer) => Buffer.concat([u16(content.length), content])

export const serverName = (name: string | Buffer, type = 0): Extension => [
  0,
  vector16(Buffer.concat([u8(type), vector16(Buffer.from(name))])),
]

/** Protocol names, each with its length prefix. */
export const alpn = (...names: readonly (string | Buffer)[]): Extension => [
  16,
  vector16(Buffer.concat(names.map(name => vector8(Buffer.from(name))))),
]

/** The minimal extensions of a TLS 1.2 client: groups, point formats, signatures, extended master secret, renegotiation. */
export const tls12: readonly Extension[] = [
  [10, vector16(Buffer.concat([u16(0x001d), u16(0x0017)]))],
  [11, vector8(u8(0))],
  [13, vector16(Buffer.concat([u16(0x0403), u16(0x0804), u16(0x0401)]))],
  [23, Buffer.alloc(0)],
  [0xff01, vector8(Buffer.alloc(0))],
]

/** The additional extensions of a TLS 1.3 client: its version and a key share for X25519. */
export const tls13: readonly Extension[] = [
  ...tls12,
  [43, vector8(u16(0x0304))],
  [51, vector16(Buffer.concat([u16(0x001d), vector16(randomBytes(32))]))],
]

export interface Hello {
  readonly version?: number
  readonly ciphers?: readonly number[]
  readonly extensions?: readonly Extension[]
}

/** A ClientHello in as many records as it needs. By default one of TLS 1.3 that a server answers. */
export function buildHello({ version = 0x0303, ciphers = [0x1301, 0x1302], extensions = tls13 }: Hello = {}): Buffer {
  const list = extensions.map(([type, content]) => Buffer.concat([u16(type), vector16(content)]))
  const hello = [
    u16(version),
    randomBytes(32),
    vector8(randomBytes(32)),
    vector16(Buffer.concat(ciphers.map(u16))),
    vector8(u8(0)),
    vector16(Buffer.concat(list)),
  ]
  const body = Buffer.concat(hello)
  return buildRecords(Buffer.concat([u8(1), u24(body.length), body]))
}

/** Cuts a handshake message into records of at most 2^14 octets. */
export function buildRecords(message: Buffer): Buffer {
  const records: Buffer[] = []
  for (let at = 0; at < message.length; at += 16_384)
    records.push(u8(22), u16(0x0301), vector16(message.subarray(at, at + 16_384)))
  return Buffer.concat(records)
}

/** The server's first message: its hello with the version, an alert by its number, or nothing. */
export type FirstWord = { hello: 'TLSv1.2' | 'TLSv1.3' } | { alert: number } | { closed: true }

/** Sends bytes and nothing after them, and returns the server's first message. Rejects after `limit` milliseconds. */
export function sendHello(port: number, bytes: Buffer, limit = patience): Promise<FirstWord> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1')
    let received = Buffer.alloc(0)
    const finish = (word: FirstWord) => {
      clearTimeout(timer)
      socket.destroy()
      resolve(word)
    }
    const timer = setTimeout(() => {
      socket.destroy()
      reject(new Error(`the server sent nothing within ${limit} ms`))
    }, limit)
    socket.on('data', chunk => {
      received = Buffer.concat([received, chunk])
      const end = 5 + (received.length >= 5 ? received.readUInt16BE(3) : 0)
      if (received.length < 7 || received.length < end) return
      if (received[0] === 21) finish({ alert: received[6] as number })
      else if (received[0] === 22 && received[5] === 2)
        finish({
          hello: received.subarray(0, end).includes(Buffer.from('002b00020304', 'hex')) ? 'TLSv1.3' : 'TLSv1.2',
        })
      else reject(new Error(`not TLS: ${received.toString('hex', 0, 16)}`))
    })
    socket.on('error', () => {}).on('close', () => finish({ closed: true }))
    socket.end(bytes) // tells a waiting server that there is no more
  })
}

/** Tries a TLS handshake and disconnects: returns `connected`, or the error code. */
export function tryHandshake(options: ConnectionOptions): Promise<string> {
  return new Promise(resolve => {
    const socket = connectTls({ host: '127.0.0.1', ...options })
    socket.once('secureConnect', () => {
      resolve('connected')
      socket.destroy()
    })
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
    socket.once('close', () => resolve('closed'))
  })
}

/** Transforms the bytes of a client into the parts to write, in order. */
export type Passage = (bytes: AsyncIterable<Buffer>) => AsyncIterable<Buffer>

/**
 * A TCP relay in front of `port`: the client's bytes go through `passage`, each part in a segment of its own; the server's
 * responses are forwarded unchanged. Returns the relay's port.
 */
export async function startRelay(t: Scope, port: number, passage: Passage = bytes => bytes): Promise<number> {
  const sockets = new Set<Socket>()
  const relay = createServer({ noDelay: true }, client => {
    const server = connect({ port, host: '127.0.0.1', noDelay: true })
    for (const socket of [client, server]) {
      sockets.add(socket)
      socket.on('error', () => {}).on('close', () => [client, server].map(each => each.destroy()))
    }
    server.pipe(client)
    passOn(passage(client), server).catch(() => server.destroy())
  })
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    relay.close()
  })
  await new Promise<void>(resolve => relay.listen(0, '127.0.0.1', resolve))
  return (relay.address() as AddressInfo).port
}

/** Forwards the ClientHello, then waits until `size` more octets have arrived and forwards those at once; then everything. */
export function joinFlights(size: number): Passage {
  return async function* (bytes) {
    const held: Buffer[] = []
    let length = -1
    for await (const part of bytes) {
      if (length === -1 || length >= size) yield part
      else held.push(part)
      length += length === -1 ? 1 : part.length
      if (length >= size && held.length > 0) yield Buffer.concat(held.splice(0))
    }
  }
}

async function passOn(parts: AsyncIterable<Buffer>, server: Socket): Promise<void> {
  for await (const part of parts) {
    await new Promise<unknown>(resolve => server.write(part, resolve))
    await new Promise(setImmediate) // the server, also in this process, reads this part before the next is written
  }
}

/** Requests a token for alice with raw bytes: a socket that Node's HTTP client has used cannot send raw requests. */
export async function requestRawToken(connection: TestConnection, token_binding = 'connection'): Promise<string> {
  const form = `grant_type=client_credentials&client_id=alice&token_binding=${token_binding}`
  const headers = ['Content-Type: application/x-www-form-urlencoded', `Content-Length: ${form.length}`]
  const { answers } = await exchange(connection, requestText('POST /oauth/token', headers, form), { until: 1 })
  const token = answers[0]?.body?.access_token
  if (typeof token !== 'string') throw new Error(`no token was issued: ${answers[0]?.text}`)
  return token
}
