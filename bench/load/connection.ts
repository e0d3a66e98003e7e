// One connection of the load, with mutual TLS 1.3 or plain: HTTP/1.1 over a bare socket, one request at a time, and only enough HTTP parsing
// to find the end of a response. This leaves the CPU time to the server.
import { connect as connectPlain, type Socket } from 'node:net'
import { connect as connectTls, type SecureContext, TLSSocket } from 'node:tls'

export interface Answer {
  status: number
  body: string
}

interface Waiting {
  resolve(answer: Answer): void
  reject(error: Error): void
}

const PATIENCE = 20_000 // milliseconds without a byte while a response is due
const KEPT = 65_536 // octets of a body; a larger one is only counted
const CONTENT_LENGTH = /\r\ncontent-length: *(\d+)\r\n/i

export class Connection {
  readonly #socket: Socket
  #received = ''
  #uncounted = 0 // octets of a large body that are still to come
  #waiting: Waiting | undefined
  #ended: Error | undefined

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.on('data', chunk => this.#read(chunk))
    socket.on('error', error => this.#end(error))
    socket.on('close', () => this.#end(new Error('the server closed the connection')))
    socket.on('timeout', () => this.#waiting && socket.destroy(new Error('no response in time')))
  }

  /** Without a context, the connection has no TLS. */
  static open(port: number, secureContext: SecureContext | undefined): Promise<Connection> {
    return new Promise((resolve, reject) => {
      const where = { host: '127.0.0.1', port, timeout: PATIENCE }
      const tls = {
        servername: 'localhost',
        ALPNProtocols: ['http/1.1'],
        rejectUnauthorized: false, // the bench started this server; verifying its certificate would take CPU time from it
      }
      const socket: Socket =
        secureContext === undefined ? connectPlain(where) : connectTls({ ...where, ...tls, secureContext })
      const timer = setTimeout(() => socket.destroy(new Error('no handshake in time')), PATIENCE)
      socket.once('error', reject)
      socket.once('close', () => clearTimeout(timer))
      socket.once(secureContext === undefined ? 'connect' : 'secureConnect', () => {
        clearTimeout(timer)
        socket.off('error', reject)
        socket.setNoDelay()
        resolve(new Connection(socket))
      })
    })
  }

  /** @throws on a connection without TLS. */
  tls(): TLSSocket {
    if (this.#socket instanceof TLSSocket) return this.#socket
    throw new Error('this connection has no TLS')
  }

  get isOpen(): boolean {
    return this.#ended === undefined
  }

  /** Sends octets that contain a request; `body` follows them, so that a large one is not copied. */
  exchange(request: Buffer, body?: Buffer): Promise<Answer> {
    return new Promise((resolve, reject) => {
      if (this.#ended) return reject(this.#ended)
      this.#waiting = { resolve, reject }
      this.#socket.write(request)
      if (body !== undefined) this.#socket.write(body)
    })
  }

  /** Closes the connection without waiting for the server. */
  close(): void {
    this.#ended = new Error('closed by the load')
    this.#socket.end()
  }

  #read(chunk: Buffer): void {
    if (this.#uncounted > chunk.length) {
      this.#uncounted -= chunk.length
      return
    }
    this.#received += chunk.toString('latin1', this.#uncounted)
    const text = this.#received
    const headEnd = text.indexOf('\r\n\r\n')
    if (headEnd < 0) return
    const bodyStart = headEnd + 4
    const isUpgraded = text.startsWith('HTTP/1.1 101 ')
    const length = isUpgraded ? '0' : CONTENT_LENGTH.exec(text)?.[1]
    const missing = this.#uncounted > 0 ? 0 : bodyStart + Number(length) - text.length
    if (missing > KEPT) this.#uncounted = missing
    if (missing > 0) return
    this.#received = ''
    this.#uncounted = 0
    const waiting = this.#waiting
    this.#waiting = undefined
    if (missing === 0 && waiting) waiting.resolve({ status: Number(text.slice(9, 12)), body: text.slice(bodyStart) })
    else
      this.#end(
        new Error(length === undefined ? 'a response without Content-Length' : 'more bytes than requested'),
        waiting,
      )
  }

  #end(error: Error, waiting = this.#waiting): void {
    this.#waiting = undefined
    this.#ended ??= error
    waiting?.reject(error)
    this.#socket.destroy()
  }
}
