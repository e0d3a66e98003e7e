// Signed requests with the real server: the client library, a channel, the sidecar, and `tlsbound call`. RFC 9421, RFC 9530;
// GW03, GW10.
import { join } from 'node:path'
import { Readable } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { type ClientOptions, connect, createClient } from '../../src/client/client.ts'
import { as, makeDemoFolder, runCommand } from '../helpers/client/client-command.ts'
import { startServerBehindRelay } from '../helpers/client/relay.ts'
import { ask, makeFolder, startTestSidecar } from '../helpers/client/sidecar.ts'
import { startSidecarCommand } from '../helpers/client/sidecar-command.ts'

t.setTimeout(120_000) // commands, each slow to start on a busy machine

const path = '/api/signed-notes'
const headers = { 'content-type': 'application/json' }
const note = { path, method: 'POST', headers, body: '{"text":"signed"}' } as const
const mostOctets = 1_048_576

/** Counts the octets of bodies of signed requests. */
function routes(app: FastifyInstance): void {
  app.addContentTypeParser('application/octet-stream', (_request, payload, done) => done(null, payload))
  app.put('/signed/sink', { config: { requireToken: { proof: 'signed-request' } } }, async ({ body }) => {
    let received = 0
    for await (const chunk of body as Readable) received += chunk.length
    return { received }
  })
}

async function start(t: Test, options: Partial<ClientOptions> = {}) {
  const { server, relay, origin, identity } = await startServerBehindRelay(t, { routes })
  const client = createClient({ origin, identity, ...options })
  t.teardown(() => client.close())
  const refused = () => server.events.filter(({ event }) => event === 'token.refused').map(({ reason }) => reason)
  return { server, relay, origin, identity, client, refused }
}

for (const http2 of [true, false])
  for (const tokenBinding of ['connection', 'proof', 'certificate'] as const)
    t.test(`over ${http2 ? 'h2' : 'http/1.1'} the client signs at level ${tokenBinding} when it is asked`, async t => {
      const { client, refused, server } = await start(t, { http2, tokenBinding, connections: 1 })
      t.equal((await client.fetch(path, note)).status, 201)
      t.equal((await client.fetch(path)).status, 200)
      t.equal((await client.fetch(`${path}?a=b%20c&d`)).status, 200)
      t.equal((await client.fetch('/api/notes')).status, 200)
      const streamed = await client.dispatcher.request({ ...note, body: Readable.from(['{"text":', '"signed"}']) })
      t.equal(streamed.statusCode, 201)
      await streamed.body.text()
      const many = await Promise.all(Array.from({ length: 20 }, () => client.fetch(path, note)))
      t.same(new Set(many.map(({ status }) => status)), new Set([201]))
      t.same(refused(), ['signature_missing'], 'the server asks once')
      server.clock += 3600
      t.equal((await client.fetch(path, note)).status, 201, 'the time of a signature is that of the server')
    })

t.test('the client signs again after its connection was lost', async t => {
  const { client, relay, refused } = await start(t, { signRequests: true })
  t.equal((await client.fetch(path)).status, 200)
  relay.cut()
  t.equal((await client.fetch(path)).status, 200)
  t.same(refused(), [])
  t.equal(client.state().counts.connections, 2)
})

t.test('a channel signs each request of its token', async t => {
  const { origin, identity, refused } = await start(t)
  const channel = await connect(origin, identity)
  t.teardown(() => channel.close())
  const token = await channel.token()
  const send = async (signed: object, body: string | null = note.body) => {
    const sent = { ...headers, ...signed } as Record<string, string>
    const answer = await channel.dispatcher.request({ ...note, body, headers: sent })
    await answer.body.text()
    return answer.statusCode
  }
  const message = { method: 'POST', path, contentType: headers['content-type'], body: note.body }
  t.equal(await send(token.headers), 401)
  const signed = token.sign(message)
  t.equal(await send(signed), 201)
  t.equal(await send(signed), 401, 'once')
  t.equal(await send(token.sign(message)), 201, 'control')
  t.equal(await send(token.sign({ ...message, body: '{}' })), 401)
  const { 'content-digest': contentDigest, ...others } = token.sign(message)
  t.equal(await send(others), 401, 'without the digest')
  t.equal(await send(token.sign({ method: 'POST', path, contentType: message.contentType, contentDigest })), 201)
  t.same(refused(), ['signature_missing', 'signature_invalid', 'digest_invalid', 'digest_invalid'])
})

t.test('the sidecar signs for its programs, and removes a channel binding of theirs (GW03, GW10)', async t => {
  const { client, refused } = await start(t)
  const { address } = await startTestSidecar(t, { client }, { listen: { path: join(makeFolder(t), 's.sock') } })
  const binding = { 'tls-channel-binding': 'tls-exporter=:AAAA:', tls_channel_binding: 'any' }
  t.match(await ask(address, path, { headers: binding }), { status: 200 })
  t.match(await ask(address, path, note), { status: 201, body: { text: 'signed' } })
  t.same(refused(), ['signature_missing'])

  const put = (octets: number, more: object = {}) =>
    ask(address, '/signed/sink', {
      method: 'PUT',
      headers: { 'content-type': 'application/octet-stream', ...more },
      body: Buffer.alloc(octets),
    })
  t.match(await put(100_000), { status: 401, headers: { 'accept-signature': /tlsbound-request/ } }, 'a long first body')
  t.match(await put(100_000), { status: 200, body: { received: 100_000 } })
  t.match(await put(mostOctets), { status: 200, body: { received: mostOctets } })
  const tooLong = { error: 'invalid_request', error_description: /^Nothing was sent: .*Content-Digest/ }
  t.match(await put(mostOctets + 1), { status: 413, body: tooLong })
  const digest = { 'content-digest': 'sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:' }
  t.match(await put(mostOctets + 1, digest), { status: 401, body: { reason: 'digest_invalid' } })
  t.match(await ask(address, path), { status: 200 }, 'control')
})

t.test('the commands sign when they are asked, or always', async t => {
  const { server, origin, refused } = await start(t)
  const cwd = makeDemoFolder(t, server.pki)
  const call = (...args: string[]) => runCommand(t, ['call', `${origin}${path}`, ...args, ...as('alice')], { cwd })
  t.match(await call('--json', note.body), { code: 0, stdout: /"text":"signed"/ })
  t.same(refused(), ['signature_missing'])
  t.match(await call('--json', note.body, '--sign', 'always'), { code: 0, stdout: /"text":"signed"/ })
  t.same(refused(), ['signature_missing'])
  t.match(await call('-H', 'TLS-Channel-Binding: x'), { code: 2, stderr: /this command signs its requests itself/ })
  t.match(await call('--sign', 'never'), { code: 2, stderr: /--sign must be/ })

  const options = ['--upstream', origin, '--listen', 'unix:s.sock', ...as('alice')]
  const { address } = await startSidecarCommand(t, cwd, options, { TLSBOUND_SIGN: 'always' })
  t.match(await ask(address.replace('unix:', `unix:${cwd}/`), path, note), { status: 201 })
  t.same(refused(), ['signature_missing'])
})
