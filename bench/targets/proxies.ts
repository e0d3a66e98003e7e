// Reverse proxies of Node's own parts, which show how fast a proxy in Node can be: `proxies.ts pipe|http|undici`. They verify nothing
// and change no field; failures are not handled.
import { Agent, type IncomingMessage, type ServerResponse, request as sendRequest } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import { type AddressInfo, connect, type Server } from 'node:net'
import { PassThrough } from 'node:stream'
import { createServer as createTlsServer } from 'node:tls'
import { Pool } from 'undici'
import type { Pki } from '../pki.ts'
import { TOKEN } from './floor-routes.ts'
import { startNginxUpstream } from './nginx.ts'
import { buildTlsOptions, serveTarget } from './target.ts'

type Forward = (request: IncomingMessage, response: ServerResponse) => void

const hasBody = ({ headers }: IncomingMessage) => headers['content-length'] !== undefined

/** node:http with its agent. */
function forwardWithHttp(port: number): Forward {
  const agent = new Agent({ keepAlive: true })
  return (request, response) => {
    const { method, url, rawHeaders } = request
    const asked = sendRequest({
      agent,
      host: '127.0.0.1',
      port,
      method,
      path: url,
      headers: rawHeaders,
      setHost: false,
    })
    asked.on('response', answer => {
      response.writeHead(answer.statusCode ?? 502, answer.rawHeaders)
      answer.pipe(response)
    })
    if (hasBody(request)) request.pipe(asked)
    else asked.end()
  }
}

/** undici with a handler of its lowest level. */
function forwardWithUndici(port: number): Forward {
  const pool = new Pool(`http://127.0.0.1:${port}`, { connections: 256, pipelining: 1, allowH2: false })
  return (request, response) => {
    const { method = 'GET', url = '/', rawHeaders } = request
    const headers = rawHeaders.filter(
      (_, index) => !/^(?:content-length|host)$/i.test(rawHeaders[index & ~1] as string),
    )
    const body = hasBody(request) ? request.pipe(new PassThrough()) : null // undici destroys a body that it has sent
    pool.dispatch(
      { method, path: url, headers, body, headersTimeout: 0, bodyTimeout: 0 },
      {
        onRequestStart() {},
        onResponseStart: (_controller, status, answered) => void response.writeHead(status, answered),
        onResponseData(controller, chunk) {
          if (response.write(chunk)) return
          controller.pause()
          response.once('drain', () => controller.resume())
        },
        onResponseEnd: () => void response.end(),
        onResponseError: () => void response.destroy(),
      },
    )
  }
}

/** Sockets alone: the octets of a connection are passed on unread. No proxy of Node's can do less. */
const createPipe = (pki: Pki, port: number): Server =>
  createTlsServer(buildTlsOptions(pki), client => {
    const upstream = connect({ port, host: '127.0.0.1', noDelay: true })
    client.setNoDelay()
    client.pipe(upstream).on('error', () => client.destroy())
    upstream.pipe(client).on('error', () => upstream.destroy())
  })

const createHttps = (pki: Pki, forward: Forward): Server => {
  const server = createHttpsServer({ ...buildTlsOptions(pki), ALPNProtocols: ['http/1.1'] }, forward)
  server.keepAliveTimeout = 72_000
  return server
}

const proxies: Record<string, (pki: Pki, port: number) => Server> = {
  pipe: createPipe,
  http: (pki, port) => createHttps(pki, forwardWithHttp(port)),
  undici: (pki, port) => createHttps(pki, forwardWithUndici(port)),
}

const create = proxies[process.argv[2] ?? '']
if (create === undefined) throw new Error(`unknown proxy: ${process.argv[2]}`)

serveTarget(async pki => {
  const { port } = await startNginxUpstream(TOKEN)
  const server = create(pki, port)
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return (server.address() as AddressInfo).port
})
