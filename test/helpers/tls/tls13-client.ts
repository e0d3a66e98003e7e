// A TLS 1.3 client (RFC 8446) that sends arbitrary octets as its certificates, which TLS libraries do not: they parse what
// they send. One suite (TLS_AES_128_GCM_SHA256), one group (X25519), no resumption. It does not verify the server; for tests
// only.
import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
} from 'node:crypto'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { patience } from '../until.ts'
import { alpn, buildHello, type Extension, serverName, vector16 } from './raw-tls.ts'

export interface RawIdentity {
  /** The content of the Certificate message, leaf first. */
  readonly chain: readonly Buffer[]
  /** The SignatureScheme that the CertificateVerify message names (RFC 8446 §4.2.3). */
  readonly scheme: number
  sign(content: Buffer): Buffer
}

/** How a connection ended: an alert with its number, or without one. */
export class ConnectionEnded extends Error {
  override readonly name = 'ConnectionEnded'
  readonly alert: number | undefined

  constructor(alert?: number) {
    super(alert === undefined ? 'closed' : `alert ${alert}`)
    this.alert = alert
  }
}

export interface RawAnswer {
  readonly status: number
  // biome-ignore lint/suspicious/noExplicitAny: whoever asks knows what it should be, and finds out
  readonly body: any
}

export interface RawConnection {
  /** The server's certificates, leaf first. */
  readonly serverChain: readonly Buffer[]
  /** Sends a request over HTTP/1.1 and reads its response. Rejects with ConnectionEnded. */
  request(text: string): Promise<RawAnswer>
  /** Whether the server has ended the connection. */
  hasEnded(): boolean
  close(): void
}

/**
 * Opens a connection. The first request shows whether the server accepts the certificates: in TLS 1.3 the client's handshake
 * is complete before. Rejects with ConnectionEnded if the server ends it earlier.
 */
export async function connectRaw(port: number, identity: RawIdentity): Promise<RawConnection> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  const channel = createChannel(socket)
  let serverChain: readonly Buffer[]
  try {
    serverChain = await shakeHands(channel, identity)
  } catch (error) {
    socket.destroy()
    throw error
  }
  return {
    serverChain,
    hasEnded: () => channel.hasEnded(),
    close: () => socket.destroy(),
    async request(text) {
      channel.write(applicationData, Buffer.from(text))
      let received = Buffer.alloc(0)
      for (;;) {
        const answer = readAnswer(received)
        if (answer !== undefined) return answer
        const { type, content } = await channel.read()
        if (type === applicationData) received = Buffer.concat([received, content])
      }
    },
  }
}

function readAnswer(received: Buffer): RawAnswer | undefined {
  const end = received.indexOf('\r\n\r\n')
  if (end === -1) return undefined
  const head = received.toString('latin1', 0, end)
  const length = Number(/^content-length: (\d+)$/im.exec(head)?.[1] ?? 0)
  if (received.length < end + 4 + length) return undefined
  const text = received.toString('utf8', end + 4, end + 4 + length)
  return { status: Number(head.slice(9, 12)), body: text === '' ? undefined : JSON.parse(text) }
}

// Content types of records, RFC 8446 §5.1.
const alert = 21
const handshake = 22
const applicationData = 23
// Handshake types, RFC 8446 §4.
const serverHello = 2
const certificate = 11
const certificateRequest = 13
const finished = 20

/** Returns the certificates of the server. */
async function shakeHands(channel: Channel, identity: RawIdentity): Promise<Buffer[]> {
  const { privateKey, publicKey } = generateKeyPairSync('x25519')
  const share = publicKey.export({ type: 'spki', format: 'der' }).subarray(-32)
  const transcript = createHash('sha256')
  const digest = () => transcript.copy().digest()
  const hello = buildHello({ ciphers: [0x1301], extensions: extensionsOf(share) })
  channel.writePlain(hello)
  transcript.update(hello.subarray(5))

  const answer = await channel.readMessage(serverHello)
  transcript.update(answer)
  const shared = diffieHellman({ privateKey, publicKey: readKeyShare(answer) })
  const zeros = Buffer.alloc(32)
  const nothing = createHash('sha256').digest()
  const secret = hmac(expand(hmac(zeros, zeros), 'derived', nothing), shared)
  const clientSecret = expand(secret, 'c hs traffic', digest())
  channel.setKeys(clientSecret, expand(secret, 's hs traffic', digest()))

  let context: Buffer = Buffer.alloc(0)
  const serverChain: Buffer[] = []
  for (let type: number | undefined; type !== finished; ) {
    const message = await channel.readMessage()
    type = message[0]
    if (type === certificateRequest) context = message.subarray(5, 5 + (message[4] as number))
    if (type === certificate)
      for (let at = 8; at < message.length; ) {
        const length = message.readUIntBE(at, 3)
        serverChain.push(message.subarray(at + 3, at + 3 + length))
        at += 5 + length + message.readUInt16BE(at + 3 + length)
      }
    transcript.update(message)
  }
  const main = hmac(expand(secret, 'derived', nothing), zeros)
  const applicationSecrets = ['c ap traffic', 's ap traffic'].map(label => expand(main, label, digest()))
  channel.setKeys(undefined, applicationSecrets[1])

  const send = (type: number, body: Buffer) => {
    const message = Buffer.concat([Buffer.from([type]), u24(body.length), body])
    channel.write(handshake, message)
    transcript.update(message)
  }
  const entries = Buffer.concat(identity.chain.map(der => Buffer.concat([u24(der.length), der, Buffer.alloc(2)])))
  send(certificate, Buffer.concat([Buffer.from([context.length]), context, u24(entries.length), entries]))
  const scheme = Buffer.from([identity.scheme >> 8, identity.scheme & 0xff])
  const label = `${' '.repeat(64)}TLS 1.3, client CertificateVerify\0`
  const signature = identity.sign(Buffer.concat([Buffer.from(label), digest()]))
  if (identity.chain.length > 0) send(15, Buffer.concat([scheme, vector16(signature)]))
  send(finished, hmac(expand(clientSecret, 'finished', Buffer.alloc(0)), digest()))
  channel.setKeys(applicationSecrets[0], undefined)
  return serverChain
}

const extensionsOf = (share: Buffer): Extension[] => [
  serverName('localhost'),
  [10, vector16(Buffer.from([0x00, 0x1d]))],
  [13, vector16(Buffer.from('040305030603080408050806080708080809080a080b081a081b081c0904090509060401', 'hex'))],
  alpn('http/1.1'),
  [43, Buffer.from([2, 0x03, 0x04])],
  [51, vector16(Buffer.concat([Buffer.from([0x00, 0x1d]), vector16(share)]))],
]

/** The server's share for X25519. */
function readKeyShare(hello: Buffer) {
  const session = hello[38] as number
  for (let at = 39 + session + 2 + 1 + 2; at < hello.length; at += 4 + hello.readUInt16BE(at + 2))
    if (hello.readUInt16BE(at) === 51) {
      const key = { kty: 'OKP', crv: 'X25519', x: hello.toString('base64url', at + 8, at + 40) }
      return createPublicKey({ key, format: 'jwk' })
    }
  throw new Error('the server has sent no key share')
}

type Channel = ReturnType<typeof createChannel>

/** The records of a connection, plain until keys are set. */
function createChannel(socket: Socket) {
  let received = Buffer.alloc(0)
  let messages = Buffer.alloc(0)
  let [sending, receiving]: (Protection | undefined)[] = []
  let ended = false
  socket.on('error', () => {}).once('close', () => (ended = true))
  socket.once('end', () => (ended = true))
  socket.setTimeout(patience, () => socket.destroy())
  socket.on('data', chunk => (received = Buffer.concat([received, chunk])))

  const hasRecord = () => received.length >= 5 && received.length >= 5 + received.readUInt16BE(3)

  async function read(): Promise<{ type: number; content: Buffer }> {
    while (!hasRecord()) {
      if (ended) throw new ConnectionEnded()
      const stop = new AbortController()
      const { signal } = stop
      const wait = (event: string) => once(socket, event, { signal })
      await Promise.race(['data', 'end', 'close'].map(wait)).catch(() => {})
      stop.abort()
    }
    const length = 5 + received.readUInt16BE(3)
    const record = received.subarray(0, length)
    received = received.subarray(length)
    const type = record[0] as number
    if (type === 20) return read() // change_cipher_spec, which has no meaning in TLS 1.3
    const inner = receiving !== undefined && type === applicationData ? receiving.open(record) : plain(record)
    if (inner.type === alert) throw new ConnectionEnded(inner.content[1])
    return inner
  }

  return {
    hasEnded: () => ended,
    writePlain: (octets: Buffer) => void socket.write(octets),
    write(type: number, content: Buffer) {
      for (let at = 0; at < content.length; at += 16_384)
        socket.write((sending as Protection).seal(type, content.subarray(at, at + 16_384)))
    },
    read,
    /** Returns the next handshake message, complete and of this type. */
    async readMessage(type?: number): Promise<Buffer> {
      while (messages.length < 4 || messages.length < 4 + messages.readUIntBE(1, 3)) {
        const record = await read()
        if (record.type !== handshake) throw new Error(`a record of type ${record.type} in the handshake`)
        messages = Buffer.concat([messages, record.content])
      }
      const length = 4 + messages.readUIntBE(1, 3)
      const message = messages.subarray(0, length)
      messages = messages.subarray(length)
      if (type !== undefined && message[0] !== type) throw new Error(`a handshake message of type ${message[0]}`)
      return message
    },
    setKeys(ours: Buffer | undefined, theirs: Buffer | undefined) {
      if (ours !== undefined) sending = createProtection(ours)
      if (theirs !== undefined) receiving = createProtection(theirs)
    },
  }
}

const plain = (record: Buffer) => ({ type: record[0] as number, content: record.subarray(5) })

type Protection = ReturnType<typeof createProtection>

/** RFC 8446 §5.2, §5.3. */
function createProtection(secret: Buffer) {
  const key = expand(secret, 'key', Buffer.alloc(0), 16)
  const iv = expand(secret, 'iv', Buffer.alloc(0), 12)
  let sequence = 0
  const nonce = () => {
    const octets = Buffer.from(iv)
    octets.writeUInt32BE((octets.readUInt32BE(8) ^ sequence++) >>> 0, 8)
    return octets
  }
  return {
    seal(type: number, content: Buffer): Buffer {
      const header = Buffer.from([applicationData, 3, 3, 0, 0])
      header.writeUInt16BE(content.length + 17, 3)
      const cipher = createCipheriv('aes-128-gcm', key, nonce()).setAAD(header)
      const body = [cipher.update(content), cipher.update(Buffer.from([type])), cipher.final()]
      return Buffer.concat([header, ...body, cipher.getAuthTag()])
    },
    open(record: Buffer): { type: number; content: Buffer } {
      const cipher = createDecipheriv('aes-128-gcm', key, nonce()).setAAD(record.subarray(0, 5))
      cipher.setAuthTag(record.subarray(-16))
      const inner = Buffer.concat([cipher.update(record.subarray(5, -16)), cipher.final()])
      const end = inner.findLastIndex(octet => octet !== 0) // padding
      return { type: inner[end] as number, content: inner.subarray(0, end) }
    },
  }
}

const u24 = (value: number) => Buffer.from([value >> 16, (value >> 8) & 0xff, value & 0xff])

const hmac = (key: Buffer, content: Buffer) => createHmac('sha256', key).update(content).digest()

/** HKDF-Expand-Label (RFC 8446 §7.1), of at most 32 octets. */
function expand(secret: Buffer, label: string, context: Buffer, length = 32): Buffer {
  const name = Buffer.from(`tls13 ${label}`)
  const info = [Buffer.from([0, length, name.length]), name, Buffer.from([context.length]), context, Buffer.from([1])]
  return hmac(secret, Buffer.concat(info)).subarray(0, length)
}
