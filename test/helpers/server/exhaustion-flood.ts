// A flood as a program: `exhaustion-flood.ts KIND PORT SECONDS`, in a folder with certs/. Runs at full rate for that long, on
// 127.0.0.1 only, and writes its counts as JSON.
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { availableParallelism } from 'node:os'
import { setTimeout as pause } from 'node:timers/promises'
import { createSecureContext } from 'node:tls'
import { Worker } from 'node:worker_threads'
import { openConnection, type TestConnection } from '../../../src/testing/connection.ts'
import { buildHello, requestRawToken, tryHandshake } from '../tls/raw-tls.ts'
import { exchange, requestText } from './raw-http.ts'
import { buildFrame, buildRequest, frameTypes, openRawHttp2, uint32 } from './raw-http2.ts'

export interface Flooded {
  /** Counts of results: an HTTP status, the end of a handshake, or an error code. */
  readonly outcomes: Readonly<Record<string, number>>
  readonly seconds: number
}

/** Does one unit of work, and reports the result of each part. */
type Lane = () => Promise<readonly (string | number)[]>

const [kind = '', port = '', seconds = ''] = process.argv.slice(2)
const read = (name: string) => readFileSync(`certs/${name}`, 'utf8')
const identity = { ca: read('ca.crt'), cert: read('alice.crt'), key: read('alice.key') }
const tls = {
  host: '127.0.0.1',
  port: Number(port),
  servername: 'localhost',
  secureContext: createSecureContext(identity),
}
const open = () => openConnection(tls, 'alice')

/** Completes a handshake with a trusted certificate, and disconnects. */
const handshake: Lane = async () => [await tryHandshake(tls)]

/** Sends invalid or incomplete TLS, until the server disconnects or responds. */
const garbage: Lane = () =>
  new Promise(resolve => {
    const socket = connect(Number(port), '127.0.0.1')
    socket.on('error', () => {}).once('data', () => socket.destroy())
    socket.once('close', () => resolve(['garbage']))
    socket.write(Math.random() < 0.5 ? buildHello() : randomBytes(2000))
  })

/** Opens a connection for a token and one request, as a client without a pool does. */
const churn: Lane = async () => {
  const connection = await open()
  try {
    const { status } = await connection.get('/api/whoami', await connection.token())
    return [status]
  } finally {
    connection.close()
  }
}

/** Sends requests with a different token each, a few dozen at a time on one connection. */
async function present(buildToken: (good: string) => string): Promise<Lane> {
  const connection: TestConnection = await open()
  const good = await requestRawToken(connection, 'certificate')
  return async () => {
    const text = Array.from({ length: 25 }, () =>
      requestText('GET /api/whoami', [`Authorization: Bearer ${buildToken(good)}`]),
    )
    const { answers } = await exchange(connection, text.join(''), { until: text.length, limit: 10_000 })
    return answers.map(({ status }) => status)
  }
}

/** Sends HTTP/2 requests without a certificate, each reset immediately, until the server ends the connection. */
const resets: Lane = async () => {
  const peer = await openRawHttp2({ port: Number(port), ca: identity.ca })
  const block = buildRequest('/binding')
  let streams = 0
  while (peer.socket.writable && peer.goaway() === undefined && performance.now() < end) {
    const pairs = Array.from({ length: 64 }, (_, index) => {
      const stream = 2 * (streams + index) + 1
      return [buildFrame(frameTypes.headers, 5, stream, block), buildFrame(frameTypes.reset, 0, stream, uint32(8))]
    })
    streams += pairs.length
    peer.send(...pairs.flat())
    await new Promise(setImmediate)
  }
  const goaway = peer.frames.find(({ type }) => type === frameTypes.goaway)?.payload.readUInt32BE(4)
  peer.socket.destroy()
  return [...Array<string>(streams).fill('stream'), goaway === 11 ? 'ENHANCE_YOUR_CALM' : `goaway ${goaway}`]
}

const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')

/** A signature of the right form, so that it is verified. */
const forgeSignature = (token: string) => {
  const signature = Buffer.concat([randomBytes(32), Buffer.alloc(1), randomBytes(31)])
  return [...token.split('.').slice(0, 2), signature.toString('base64url')].join('.')
}

const forgeKid = (token: string) => {
  const [, claims, signature] = token.split('.')
  const header = { typ: 'at+jwt', alg: 'ES256', kid: randomBytes(32).toString('base64url') }
  return [encode(header), claims, signature].join('.')
}

/** Does not use the server. */
const rest: Lane = async () => {
  await pause(50)
  return []
}

/** A thread that fills 64 MiB again and again. */
const work = () =>
  new Worker('for (const memory = Buffer.alloc(64 << 20); ; ) memory.fill(Math.random())', { eval: true })

const repeat = <T>(count: number, build: () => T): Promise<Awaited<T>[]> =>
  Promise.all(Array.from({ length: count }, build))

const floods = {
  handshakes: async () => [...(await repeat(8, () => handshake)), ...(await repeat(8, () => garbage))],
  signatures: () => repeat(4, () => present(forgeSignature)),
  kids: () => repeat(4, () => present(forgeKid)),
  churn: () => repeat(8, () => churn),
  resets: () => repeat(4, () => resets),
  rest: async () => [rest],
  work: async () => {
    await repeat(2 * availableParallelism(), work)
    return [rest]
  },
}

export type FloodKind = keyof typeof floods

const lanes = await floods[kind as FloodKind]()
const outcomes: Record<string, number> = {}
const begun = performance.now()
const end = begun + Number(seconds) * 1000
const count = (outcome: string | number) => {
  outcomes[outcome] = (outcomes[outcome] ?? 0) + 1
}
const drive = async (lane: Lane) => {
  while (performance.now() < end) (await lane()).forEach(count)
}
await Promise.all(lanes.map(lane => drive(lane).catch(({ code, message }) => count(code ?? message))))
process.stdout.write(JSON.stringify({ outcomes, seconds: (performance.now() - begun) / 1000 } satisfies Flooded))
process.exit(0)
