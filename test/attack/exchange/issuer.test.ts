// An outside issuer whose keys cannot be fetched, or that misdirects: no token is exchanged, no request hangs, no redirect is
// followed. I8 (a failing dependency never leads to acceptance), JW05, RE04. Each failure is followed by the recovery.
import type { RequestListener } from 'node:http'
import { createServer } from 'node:net'
import t from 'tap'
import { issueCertificate } from '../../../src/pki/certificate.ts'
import { makeDemoPki } from '../../../src/pki/demo.ts'
import { startTestServer } from '../../../src/testing/server.ts'
import {
  exchange,
  exchangeClients,
  give,
  idp,
  makeIssuer,
  outsideAudience,
  refuseExchange,
  startKeyServer,
  trust,
} from '../../helpers/tokens/outside-issuer.ts'

const issuer = await makeIssuer()
const pki = makeDemoPki()
const good = give(issuer.publicJwk)
const unavailable = {
  status: 503,
  headers: { 'retry-after': '1', 'cache-control': 'no-store' },
  body: { error: 'temporarily_unavailable', reason: 'issuer_unavailable' },
}

/** A server that fetches the keys of one issuer from a URL, within 800 ms. */
async function startAt(
  t: Parameters<typeof startKeyServer>[0] & { testdir(): string },
  uri: string,
  ca = pki.ca.certificate,
) {
  const entry = { issuer: idp, audience: outsideAudience, jwks_uri: uri, ca_file: 'ca.pem' }
  const env = trust(t.testdir(), [entry], { 'ca.pem': ca })
  const server = await startTestServer({ env, clients: exchangeClients, pki, issuerTimeout: 800 })
  t.teardown(() => server.close())
  const connection = await server.connect('alice')
  return { server, connection, ask: async () => exchange(connection, await issuer.sign(server.clock)) }
}

t.test(
  'treats every response but a small 200 with keys as a failure, reports it, and recovers with the issuer',
  async t => {
    const elsewhere = await startKeyServer(t, pki, good)
    const keys = JSON.stringify({ keys: [issuer.publicJwk] })
    const failures: Readonly<Record<string, RequestListener>> = {
      ...Object.fromEntries(
        [301, 302, 303, 307, 308].map(status => [
          `redirect ${status}`,
          ((_request, response) =>
            response.writeHead(status, { location: elsewhere.uri }).end(keys)) as RequestListener,
        ]),
      ),
      'not found': (_request, response) => response.writeHead(404).end(keys),
      'an error': (_request, response) => response.writeHead(500).end(keys),
      'another success': (_request, response) => response.writeHead(203).end(keys),
      'no JSON': (_request, response) => response.end('<html>'),
      'no keys': (_request, response) => response.end('{}'),
      'keys in another format': (_request, response) => response.end('{"keys":{}}'),
      null: (_request, response) => response.end('null'),
      'too large, by its Content-Length': (_request, response) => response.end(`${keys}${' '.repeat(262_144)}`),
      'too large, without end': (_request, response) => {
        const timer = setInterval(() => response.write(' '.repeat(16_384)), 1)
        response.on('close', () => clearInterval(timer))
      },
      compressed: (_request, response) => response.setHeader('content-encoding', 'gzip').end(Buffer.from([31, 139, 8])),
      'no answer': () => {},
      'half a response': (_request, response) => void response.writeHead(200, { 'content-length': '9999' }).write('{'),
      'a response that breaks off': (_request, response) => {
        response.writeHead(200, { 'content-length': '9999' }).write(keys, () => response.destroy())
      },
      'a connection that breaks off': request => void request.socket.destroy(),
    }
    const keyServer = await startKeyServer(t, pki, good)
    const { server, connection, ask } = await startAt(t, keyServer.uri)
    for (const [name, failure] of Object.entries(failures)) {
      keyServer.answer = failure
      const before = server.events.length
      t.match(await ask(), unavailable, name)
      const [event, ...others] = server.events.slice(before)
      t.match({ event, others }, { event: { event: 'token.refused', reason: 'issuer_unavailable' }, others: [] }, name)
      t.match(others.length, 0)
      server.clock += 1
      keyServer.answer = good
      t.match(await ask(), { status: 200 }, `after ${name}`)
      server.clock += 600
    }
    t.equal(elsewhere.connections, 0, 'no redirect was followed')
    t.match(await connection.get('/binding'), { status: 200 }, 'the connection stays open')
  },
)

t.test('remembers a failure for a second, and makes one connection for many waiting requests', async t => {
  const keyServer = await startKeyServer(t, pki, () => {})
  const { server, ask } = await startAt(t, keyServer.uri)
  const connections = await Promise.all([1, 2, 3, 4].map(() => server.connect('alice')))
  const token = await issuer.sign(server.clock)
  const answers = await Promise.all(connections.map(connection => exchange(connection, token)))
  t.match(answers, Array(4).fill(unavailable))
  t.match(await ask(), unavailable)
  t.equal(keyServer.requests, 1)
  server.clock += 1
  keyServer.answer = good
  t.match(await ask(), { status: 200 })
  t.equal(keyServer.requests, 2)
  t.notOk(server.log.join().includes('eyJ'), 'the log describes the failure, without the token')
  t.ok(server.log.join().includes('issuer_unavailable'))
})

t.test(
  'uses cached keys through a failure for their lifetime only, and fetches again for an unknown kid (I8)',
  async t => {
    const keyServer = await startKeyServer(t, pki, good)
    const { server, connection, ask } = await startAt(t, keyServer.uri)
    t.match(await ask(), { status: 200 })
    keyServer.answer = (_request, response) => response.writeHead(500).end()
    server.clock += 599
    t.match(await ask(), { status: 200 })
    const unknown = await (await makeIssuer('outside-2')).sign(server.clock)
    t.match(await exchange(connection, unknown), unavailable)
    t.match(await ask(), { status: 200 }, 'known keys stay in use')
    server.clock += 1
    t.match(await ask(), unavailable)
  },
)

t.test(
  'verifies nothing with symmetric, private, foreign or invalid keys of an issuer, and ignores them beside valid ones',
  async t => {
    const keyServer = await startKeyServer(t, pki, good)
    const { server, ask } = await startAt(t, keyServer.uri)
    t.match(await ask(), { status: 200 }, 'control')
    const { kid, alg } = issuer.publicJwk
    for (const [name, key] of [
      ['symmetric', { kty: 'oct', k: Buffer.alloc(32).toString('base64url'), kid, alg: 'HS256' }],
      ['private', { ...issuer.privateJwk, kid, alg }],
      ['for encryption', { ...issuer.publicJwk, use: 'enc' }],
      ['for another algorithm', { ...issuer.publicJwk, alg: 'ES384' }],
      ['not on its curve', { ...issuer.publicJwk, x: issuer.publicJwk.y as string }],
      ['empty', { kty: 'EC', kid }],
    ] as const) {
      keyServer.answer = give(key as never)
      server.clock += 600
      t.match(await ask(), unavailable, name)
      keyServer.answer = give(key as never, issuer.publicJwk)
      server.clock += 1
      t.match(await ask(), { status: 200 }, `${name}, beside the right one`)
      t.match(
        server.log.join(),
        `ignored keys of https://idp.example: key number 1 (kid \\"${kid}\\"): `,
        'the log names it',
      )
    }
  },
)

t.test('key sets as identity providers publish them verify tokens', async t => {
  const { kid, alg, use, ...bare } = issuer.publicJwk
  const [other, third] = [await makeIssuer('outside-1'), await makeIssuer('outside-1', 'RS256')]
  const long = `CN=a b,O=x:@/+=${'k'.repeat(185)}`
  const sets: Readonly<Record<string, { keys: unknown[]; header?: object }>> = {
    'without alg and use': { keys: [{ ...bare, kid }] },
    'with members that mean nothing here': {
      keys: [{ ...issuer.publicJwk, x5t: 'x', x5c: ['x'], issuer: idp, key_ops: ['verify'], exp: '1.5', nbf: {} }],
    },
    'without kid, in key and token': { keys: [bare], header: { kid: undefined } },
    'two keys, and a token without kid': { keys: [other.publicJwk, issuer.publicJwk], header: { kid: undefined } },
    'one kid for several keys': { keys: [third.publicJwk, other.publicJwk, issuer.publicJwk] },
    'one kid twice': { keys: [issuer.publicJwk, issuer.publicJwk] },
    'a kid of 200 characters': { keys: [{ ...bare, kid: long }], header: { kid: long } },
    'keys of unknown kinds beside it': {
      keys: [null, 7, { kty: 'AKP', alg: 'ML-DSA-44', pub: 'x', kid }, { ...bare, kid, use: 'enc' }, issuer.publicJwk],
    },
    'ten keys with chains, 100 KiB': {
      keys: [...Array.from({ length: 9 }, () => ({ ...bare, kid: 'x', x5c: ['A'.repeat(11_000)] })), issuer.publicJwk],
    },
  }
  const keyServer = await startKeyServer(t, pki, good)
  const { server, connection } = await startAt(t, keyServer.uri)
  for (const [name, { keys, header = {} }] of Object.entries(sets)) {
    keyServer.answer = give(...(keys as never[]))
    server.clock += 600
    const token = await issuer.sign(server.clock, { iat: server.clock - 0.5, exp: server.clock + 60.25 }, header)
    t.match(await exchange(connection, token), { status: 200 }, name)
    const foreign = await (await makeIssuer()).sign(server.clock, {}, header)
    await refuseExchange(t, { server, connection }, `${name}, another key`, foreign)
  }
})

t.test('fetches keys only over TLS from a host that its certificate names', async t => {
  const keyServer = await startKeyServer(t, pki, good)
  t.match(await (await startAt(t, keyServer.uri)).ask(), { status: 200 }, 'control')
  t.match(await (await startAt(t, keyServer.uri, makeDemoPki().ca.certificate)).ask(), unavailable, 'another authority')
  const named = issueCertificate({
    subject: [['CN', '127.0.0.1']],
    issuer: pki.ca,
    altNames: [{ dns: 'idp.example' }],
    extendedKeyUsage: ['serverAuth'],
  })
  const misnamed = await startKeyServer(t, { ...pki, server: named }, good)
  t.match(await (await startAt(t, misnamed.uri)).ask(), unavailable, 'the name of another host')
  t.equal(misnamed.requests, 0)

  let bytes = ''
  const plain = createServer(socket => {
    socket
      .on('error', () => {})
      .on('data', data => {
        bytes += data.toString('latin1')
        socket.end('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}')
      })
  })
  await new Promise<void>(resolve => plain.listen(0, '127.0.0.1', resolve))
  t.teardown(() => plain.close())
  const { port } = plain.address() as { port: number }
  t.match(await (await startAt(t, `https://127.0.0.1:${port}/`)).ask(), unavailable, 'no TLS')
  t.notMatch(bytes, 'GET ', 'no request in plain text')
})
