// HTTP/2 frame by frame (RFC 9113 §4, §6), for clients that break its rules: unchecked header blocks, and every frame that
// the server sends.
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls'
import { patience } from '../until.ts'

export const frameTypes = {
  data: 0,
  headers: 1,
  priority: 2,
  reset: 3,
  settings: 4,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const
export const flags = { endStream: 1, ack: 1, endHeaders: 4 } as const

export interface Frame {
  readonly type: number
  readonly flags: number
  readonly stream: number
  readonly payload: Buffer
}

/** A frame's octets. */
export function buildFrame(type: number, flag: number, stream: number, payload: Buffer = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(9)
  head.writeUIntBE(payload.length, 0, 3)
  head.writeUInt8(type, 3)
  head.writeUInt8(flag, 4)
  head.writeUInt32BE(stream, 5)
  return Buffer.concat([head, payload])
}

/** A number of 32 bits, as in error codes and window increments. */
export function uint32(value: number): Buffer {
  const octets = Buffer.alloc(4)
  octets.writeUInt32BE(value)
  return octets
}

/** Builds a header block of literals without indexing and without Huffman codes (RFC 7541 §6.2.2); each text at most 16 KB. */
export function buildHeaderBlock(fields: readonly (readonly [string, string])[]): Buffer {
  return Buffer.concat(fields.flatMap(field => [Buffer.from([0]), ...field.map(encodeText)]))
}

function encodeText(text: string): Buffer {
  const octets = Buffer.from(text, 'latin1')
  const { length } = octets
  const prefix = length < 127 ? [length] : [127, ((length - 127) & 0x7f) | 0x80, (length - 127) >> 7]
  return Buffer.concat([Buffer.from(prefix), octets])
}

/** The block of a GET. */
export function buildRequest(path: string, more: readonly (readonly [string, string])[] = []): Buffer {
  return buildHeaderBlock([
    [':method', 'GET'],
    [':scheme', 'https'],
    [':authority', 'localhost'],
    [':path', path],
    ...more,
  ])
}

export interface RawHttp2 {
  readonly socket: TLSSocket
  /** Every frame received so far. */
  readonly frames: readonly Frame[]
  send(...frames: readonly Buffer[]): void
  /** Returns the first matching frame; undefined if the connection ends before. Rejects if neither happens. */
  next(wanted: (frame: Frame) => boolean): Promise<Frame | undefined>
  /** Resolves when the server has ended the connection. Rejects if it does not. */
  closed(): Promise<void>
  /** The error code of a received GOAWAY; undefined if there is none. */
  goaway(): number | undefined
}

/** Opens a connection, and sends the preface and empty settings; those of the server are acknowledged. */
export async function openRawHttp2(options: ConnectionOptions): Promise<RawHttp2> {
  const socket = connect({ host: '127.0.0.1', servername: 'localhost', ALPNProtocols: ['h2'], ...options })
  await new Promise((resolve, reject) => socket.once('secureConnect', resolve).once('error', reject))
  const frames: Frame[] = []
  const listeners = new Set<() => void>()
  let unread = Buffer.alloc(0)
  let isClosed = false
  const notify = () => {
    for (const listener of listeners) listener()
  }
  const send = (...octets: readonly Buffer[]) => void (socket.destroyed || socket.write(Buffer.concat(octets)))
  socket
    .on('error', () => {})
    .on('close', () => {
      isClosed = true
      notify()
    })
    .on('data', chunk => {
      unread = Buffer.concat([unread, chunk])
      while (unread.length >= 9 && unread.length >= 9 + unread.readUIntBE(0, 3)) {
        const end = 9 + unread.readUIntBE(0, 3)
        const frame = {
          type: unread.readUInt8(3),
          flags: unread.readUInt8(4),
          stream: unread.readUInt32BE(5),
          payload: unread.subarray(9, end),
        }
        frames.push(frame)
        if (frame.type === frameTypes.settings && frame.flags === 0) send(buildFrame(frameTypes.settings, flags.ack, 0))
        unread = unread.subarray(end)
      }
      notify()
    })
  send(Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), buildFrame(frameTypes.settings, 0, 0))

  const wait = <T>(look: () => { readonly found: T } | undefined): Promise<T> =>
    new Promise((resolve, reject) => {
      const timer = setTimeout(() => finish(() => reject(new Error(`nothing within ${patience} ms`))), patience)
      const finish = (settle: () => void) => {
        clearTimeout(timer)
        listeners.delete(listener)
        settle()
      }
      const listener = () => {
        const result = look()
        if (result !== undefined) finish(() => resolve(result.found))
      }
      listeners.add(listener)
      listener()
    })
  return {
    socket,
    frames,
    send,
    next: wanted =>
      wait(() => {
        const found = frames.find(wanted)
        return found !== undefined || isClosed ? { found } : undefined
      }),
    closed: () => wait(() => (isClosed ? { found: undefined } : undefined)),
    goaway: () => frames.findLast(({ type }) => type === frameTypes.goaway)?.payload.readUInt32BE(4),
  }
}
