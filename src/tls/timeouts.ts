// Peers that are slow on purpose: a body that never ends, an answer that is never taken. Node bounds how long a request
// over HTTP/1.1 takes to come, and nothing else. Whoever waits for us is not slow, and may wait as long as it likes.
import type { Http2SecureServer, ServerHttp2Session, ServerHttp2Stream } from 'node:http2'
import { constants } from 'node:http2'
import { TLSSocket } from 'node:tls'
import { connectionOf } from './connection.ts'

export interface Timeouts {
  /** Seconds that a request may take from its first octet to its last. */
  readonly request: number
  /** Seconds after which a connection without requests ends, and one that does not take what we have written on it. */
  readonly idle: number
}

/** Ends what slow peers keep open. */
export function enforceTimeouts(server: Http2SecureServer, limits: Timeouts): void {
  const during = limits.idle * 1000
  server.setTimeout(during)
  const onTimeout = (peer: TLSSocket | ServerHttp2Session) => {
    if (!(peer instanceof TLSSocket)) peer.close()
    // During a request this is the timeout that a socket has; between two of them Node gives it another.
    else if (peer.timeout !== during || peer.writableLength > 0) peer.destroy()
  }
  server.on('timeout', onTimeout as () => void)
  server.on('session', session => watchStreams(session, limits))
}

/** What is known of a stream: since when it is open, and since when how much of an answer waits to be taken. */
interface Watched {
  readonly opened: number
  waiting: number
  since: number
}

/** Looks at all streams of a connection every now and then, so that none of them needs a timer of its own. */
function watchStreams(session: ServerHttp2Session, { request, idle }: Timeouts): void {
  const streams = new Map<ServerHttp2Stream, Watched>()
  session.on('stream', stream => {
    const now = performance.now()
    streams.set(stream, { opened: now, waiting: 0, since: now })
    stream.once('close', () => streams.delete(stream))
  })
  const look = () => {
    const now = performance.now()
    for (const [stream, watched] of streams) {
      const { writableLength: waiting, readableEnded, endAfterHeaders } = stream
      if (!endAfterHeaders && !readableEnded && now - watched.opened > request * 1000)
        stream.close(constants.NGHTTP2_CANCEL)
      if (waiting === 0 || waiting !== watched.waiting) Object.assign(watched, { waiting, since: now })
      else if (now - watched.since > idle * 1000) connectionOf(session.socket)?.socket.destroy() // else Node would wait for what is not taken to be written
    }
  }
  const timer = setInterval(look, (Math.min(request, idle) * 1000) / 4).unref()
  session.once('close', () => clearInterval(timer))
}
