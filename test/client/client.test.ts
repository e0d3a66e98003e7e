// createClient with the real server: every level over both protocols, the APIs of undici, and closing.
import { Readable, Writable } from 'node:stream'
import t from 'tap'
import { FormData, fetch, Request, request, stream } from 'undici'
import { createClient } from '../../src/client/client.ts'
import { startFakeUpstream } from '../helpers/client/fake-upstream.ts'
import { startServerBehindRelay } from '../helpers/client/relay.ts'
import { run } from '../helpers/process/process.ts'

const note = { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"text":"hello"}' } as const

for (const http2 of [true, false]) {
  const protocol = http2 ? 'h2' : 'http/1.1'
  for (const tokenBinding of ['connection', 'certificate', 'proof'] as const)
    t.test(`over ${protocol} a client at level ${tokenBinding} requests its own tokens`, async t => {
      const { server, origin, identity } = await startServerBehindRelay(t)
      const scope = 'notes:read notes:write'
      const client = createClient({ origin, identity, http2, tokenBinding, scope })
      t.teardown(() => client.close())
      const answers = await Promise.all(Array.from({ length: 12 }, () => client.fetch('/api/whoami')))
      for (const answer of answers)
        t.match(await answer.json(), { client_id: 'alice', token_binding: tokenBinding, scope })
      t.equal((await client.fetch('/api/notes', note)).status, 201)

      const { connections, counts, binding, lastProblem } = client.state()
      t.equal(binding, tokenBinding)
      t.equal(lastProblem, null)
      t.ok(connections.length >= 1 && connections.length <= (http2 ? 1 : 4))
      t.equal(
        counts.tokens,
        tokenBinding === 'connection' ? connections.length : 1,
        'no more tokens than the level needs',
      )
      t.match(counts, { requests: 13, repeated: 0, connections: connections.length })
      t.notOk(
        server.events.some(({ event }) => event === 'token.refused'),
        'no request was refused (GW07)',
      )
    })

  t.test(`over ${protocol} supports undici's request, stream and pipeline through the dispatcher`, async t => {
    const { origin, identity } = await startServerBehindRelay(t)
    const client = createClient({ origin, identity, http2 })
    t.teardown(() => client.close())
    const { dispatcher } = client
    const path = '/api/notes'

    t.equal((await fetch(`${origin}${path}`, { ...note, dispatcher })).status, 201)
    t.equal((await client.fetch(new Request(`${origin}${path}`, note))).status, 201)
    // A compile test too: code that expects the global fetch, such as an SDK, gets this one.
    const standard: typeof globalThis.fetch = client.fetch
    const created = await standard(new globalThis.Request(`${origin}${path}`, note))
    t.match(await created.json(), { text: 'hello' })
    const aborted = standard(new globalThis.Request(`${origin}${path}`, { signal: AbortSignal.abort() }))
    await t.rejects(aborted, { name: 'AbortError' })
    await t.rejects(standard(new globalThis.Request('https://other.example/', note)), { code: 'wrong_origin' })
    await t.rejects(standard({ url: origin } as never), { name: 'TypeError', message: /a URL or a Request/ })
    const bodies = [note.body, Buffer.from(note.body), Readable.from([note.body.slice(0, 5), note.body.slice(5)])]
    for (const body of bodies) {
      const { statusCode, body: answer } = await dispatcher.request({ ...note, path, body })
      t.equal(statusCode, 201)
      t.match(await answer.json(), { text: 'hello' })
    }
    const { body } = await request(`${origin}${path}`, { dispatcher, query: { any: 'thing' } })
    t.equal(((await body.json()) as { notes: unknown[] }).notes.length, 6)

    const chunks: Buffer[] = []
    await stream(`${origin}${path}`, { dispatcher, method: 'GET', opaque: chunks }, ({ opaque }) => {
      return new Writable({
        write(chunk, _encoding, done) {
          opaque.push(chunk)
          done()
        },
      })
    })
    t.match(Buffer.concat(chunks).toString(), 'hello')
    t.equal(client.state().counts.repeated, 0)
  })

  t.test(`over ${protocol} supports forms, HEAD, compressed and empty responses`, async t => {
    const upstream = await startFakeUpstream(
      t,
      async (request, response, seen) => {
        for await (const chunk of request) seen.body += chunk
        response.writeHead(seen.method === 'DELETE' ? 204 : 200, {
          'x-length': seen.body.length,
          'set-cookie': ['a=1', 'b=2'],
        })
        response.end(seen.method === 'DELETE' ? '' : 'answer')
      },
      { http2 },
    )
    const client = createClient({ ...upstream.target, http2, connections: 1 })
    t.teardown(() => client.close())
    const form = new FormData()
    form.set('name', 'value')
    const forms = [
      await client.fetch('/form', { method: 'POST', body: form }),
      await client.fetch('/form', { method: 'PUT', body: new URLSearchParams({ name: 'value' }) }),
    ]
    for (const { status, headers } of forms) t.match([status, headers.getSetCookie()], [200, ['a=1', 'b=2']])
    const [multipart, urlencoded] = upstream.seen
    t.match(multipart?.headers['content-type'], /^multipart\/form-data; boundary=/)
    t.match(`${multipart?.body}`, /name="name"\s+value/)
    t.match(urlencoded, { body: 'name=value', headers: { 'content-type': /^application\/x-www-form-urlencoded/ } })

    const head = await client.fetch('/any', { method: 'HEAD' })
    t.match([head.status, await head.text()], [200, ''])
    t.equal((await client.fetch('/any', { method: 'DELETE' })).status, 204)
    t.equal(await (await client.fetch('/any')).text(), 'answer')
    t.equal(upstream.handshakes, 1, 'all requests use one connection, including HEAD')
  })

  t.test(`over ${protocol} a closed client completes the requests under way and rejects new ones`, async t => {
    let answer: () => void = () => {}
    const upstream = await startFakeUpstream(
      t,
      (_request, response) => {
        answer = () => response.end('late')
      },
      {
        http2,
      },
    )
    const client = createClient({ ...upstream.target, http2 })
    const underWay = client.fetch('/slow')
    while (upstream.seen.length === 0) await new Promise(setImmediate)
    const closed = client.close()
    await t.rejects(client.fetch('/new'), { name: 'ClientError', code: 'closed' })
    answer()
    t.equal(await (await underWay).text(), 'late')
    await closed
    t.same(client.state().connections, [])
  })

  t.test(`over ${protocol} a destroyed client aborts the requests under way`, async t => {
    const upstream = await startFakeUpstream(t, () => {}, { http2 })
    const client = createClient({ ...upstream.target, http2 })
    const underWay = client.fetch('/never')
    while (upstream.seen.length === 0) await new Promise(setImmediate)
    void client.dispatcher.destroy()
    await t.rejects(underWay, { code: 'closed' })
  })
}

t.test('an idle client does not keep the process alive', async t => {
  const { origin, identity } = await startServerBehindRelay(t)
  const script = `
    import { createClient } from './src/client/client.ts'
    for (const http2 of [true, false]) {
      const client = createClient({ origin: '${origin}', identity: ${JSON.stringify(identity)}, http2 })
      console.log((await client.fetch('/api/whoami').then(answer => answer.json())).client_id)
    }
    const answered = performance.now()
    process.on('exit', () => console.log(performance.now() - answered < 4000 ? 'soon' : 'late'))`
  const ended = await run(process.execPath, ['--input-type=module-typescript', '-e', script], process.cwd())
  t.match(ended, { code: 0, stdout: 'alice\nalice\nsoon\n' }, 'the process exits before its connections time out')
})

t.test('state() returns only what a status page may show', async t => {
  const { origin, identity } = await startServerBehindRelay(t)
  const client = createClient({ origin, identity })
  t.teardown(() => client.close())
  t.same(client.state().connections, [], 'no connection before the first request')
  const seen = (await (await client.fetch('/binding')).json()) as {
    bindings: object
    certificate: { 'x5t#S256': string }
  }
  const state = client.state()
  t.match(state, {
    origin,
    binding: 'connection',
    connections: [
      {
        protocol: 'h2',
        tls: 'TLSv1.3',
        certificate: seen.certificate['x5t#S256'],
        bindings: seen.bindings,
        token: { binding: 'connection', scope: 'notes:read notes:write', expires: /^\d{4}-.*Z$/ },
      },
    ],
    lastProblem: null,
  })
  t.same(JSON.parse(JSON.stringify(state)), state, 'the state is plain JSON')
  t.notMatch(JSON.stringify(state), /eyJ|PRIVATE|Bearer/, 'LK01')
})
