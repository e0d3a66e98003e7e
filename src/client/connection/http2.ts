// HTTP/2 over one TLS connection. undici's Client silently holds a request that the server refused with GOAWAY until
// other responses end. Here it fails at once, and the pool sends it over another connection (RFC 9113 §6.8).
import { type ClientHttp2Session, type ClientHttp2Stream, connect } from 'node:http2'
import type { TLSSocket } from 'node:tls'
import { Dispatcher } from 'undici'
import { guarded } from '../../core/guard.ts'
import { watchSilence } from './http2-silence.ts'
import { openStream } from './http2-stream.ts'
import { endedError, type Transport } from './transport.ts'

/** Simultaneous streams, where the server allows more: the recommended minimum of RFC 9113 §6.5.2. */
const mostStreams = 100

/** Receive windows in octets, for each stream and for the connection: about four times the defaults. */
const windows = { stream: 262_144, connection: 1_048_576 }

/** Milliseconds that the server's first frame may take. */
const settingsTimeout = 10_000

/** Milliseconds between the last response and the forced close of the connection, which the server may not see. */
const goodbyeTimeout = 3000

/** Creates a transport. @throws Error (rejects) when the connection ends before the server's settings. */
export async function openHttp2(origin: string, socket: TLSSocket): Promise<Transport> {
  const http2 = connect(origin, {
    createConnection: () => socket,
    settings: { enablePush: false, initialWindowSize: windows.stream },
  })
  const { host: authority } = new URL(origin)
  let open = true
  let planned = false
  let problem: Error | undefined
  const failed = (error: Error) => http2.destroy(error)
  const closed = new Promise<Error | undefined>(resolve => {
    const end = () => {
      open = false
      resolve(planned ? undefined : (problem ?? new Error('the server closed the connection')))
    }
    const onGoaway = (code: number) => {
      planned ||= code === 0 // a graceful shutdown: responses under way are still sent
      end()
    }
    http2.on('goaway', guarded(onGoaway, failed)).on('close', guarded(end, failed))
  })
  http2.on('error', error => {
    problem = error
  })
  await ready(http2)
  http2.setLocalWindowSize(windows.connection)
  http2.unref() // an idle connection does not keep the process alive

  const silence = watchSilence(http2)
  /** Requests under way, and requests that wait for the answer to a PING. */
  const streams = new Set<ClientHttp2Stream>()
  let waiting = 0
  let closing = false
  const isIdle = () => {
    for (const stream of streams)
      if (stream.destroyed) streams.delete(stream)
      else return false
    return waiting === 0
  }
  const changed = () => {
    if (closing) leave()
    else if (!http2.destroyed) isIdle() ? http2.unref() : http2.ref()
  }
  const leave = () => {
    if (!isIdle()) return // GOAWAY would overtake unwritten requests
    http2.close()
    setTimeout(() => socket.destroy(), goodbyeTimeout).unref()
  }
  const end = (): Promise<void> => {
    planned = true
    open = false
    closing = true
    return new Promise(resolve => {
      if (http2.destroyed) return resolve()
      http2.ref() // keeps the process alive until the promise settles
      http2.once('close', resolve)
    })
  }
  const opened = (stream: ClientHttp2Stream) => {
    streams.add(stream)
    changed()
  }
  const events = { opened, answered: silence.broken, gone: changed }
  const dispatcher = Object.assign(new Dispatcher(), {
    dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
      const send = () => openStream(http2, authority, options, handler, events)
      const asked = silence.ask()
      if (closing) handler.onResponseError?.(null as never, endedError())
      else if (asked === undefined) send()
      else {
        waiting += 1
        changed()
        const sent = () => {
          waiting -= 1
          changed()
        }
        asked.then(send).finally(sent).catch(failed)
      }
      return true
    },
    close() {
      const ended = end()
      leave()
      return ended
    },
    destroy() {
      const ended = end()
      http2.destroy()
      return ended
    },
  } as Pick<Dispatcher, 'dispatch' | 'close' | 'destroy'>)
  return {
    dispatcher,
    get capacity() {
      return Math.min(mostStreams, http2.remoteSettings?.maxConcurrentStreams ?? mostStreams)
    },
    get open() {
      return open && !http2.closed && !http2.destroyed
    },
    closed,
  }
}

/** Waits for the server's settings (RFC 9113 §3.4), which limit the number of streams. */
function ready(http2: ClientHttp2Session): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => http2.destroy(new Error('no HTTP/2 settings within 10 seconds')), settingsTimeout)
    http2.once('remoteSettings', () => {
      clearTimeout(timer)
      resolve()
    })
    http2.once('error', reject)
    http2.once('close', () => {
      clearTimeout(timer)
      reject(new Error('the server closed the connection'))
    })
  })
}
