// `tlsbound call` and its responses: streamed, retried, refused, truncated; and behind a proxy that terminates TLS.
// GW04, GW07, GW11.
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import type { FastifyInstance, FastifyReply } from 'fastify'
import t from 'tap'
import { readCallRequest } from '../../src/cli/call-request.ts'
import type { Values } from '../../src/cli/command.ts'
import { issueCertificate } from '../../src/pki/certificate.ts'
import { makeDemoPki } from '../../src/pki/demo.ts'
import { startTestServer } from '../../src/testing/server.ts'
import { as, makeDemoFolder, runCommand, startCommand } from '../helpers/client/client-command.ts'
import { startServerBehindRelay } from '../helpers/client/relay.ts'

t.setTimeout(120_000) // each call is a process

let stream: FastifyReply | undefined
/** The responses of the protected resource. */
function routes(app: FastifyInstance): void {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
  app.all('/echo', ({ method, headers, body }, reply) => {
    const { authorization, ...others } = headers
    reply
      .header('set-cookie', ['a=1', 'b=2'])
      .send({ method, headers: others, body: (body as Buffer | undefined)?.toString() })
  })
  app.get('/events', (_request, reply) => {
    reply.hijack()
    reply.raw.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: first\n\n')
    stream = reply
  })
  app.get('/large', (_request, reply) => reply.send(Readable.from(Array(64).fill('x'.repeat(65_536)))))
  app.get('/away', (_request, reply) => reply.redirect('https://localhost:1/'))
  app.get('/strong', { config: { requireToken: { binding: 'connection' } } }, () => ({ strong: true }))
}

const { server, relay, origin } = await startServerBehindRelay(t, { routes })
const cwd = makeDemoFolder(t, server.pki)
const run = (...args: string[]) => runCommand(t, ['call', ...args, ...as('alice')], { cwd })

t.test('requests and uses a connection-bound token on one connection, which -v describes', async t => {
  const before = relay.count
  const { code, stdout, stderr } = await run(`${origin}/echo`, '-v')
  t.match({ code, body: JSON.parse(stdout) }, { code: 0, body: { method: 'GET', headers: { accept: '*/*' } } })
  t.equal(relay.count, before + 1)
  const issued = server.events.findLast(({ event }) => event === 'token.issued')
  t.match(issued, { token_binding: 'connection' })
  for (const shown of ['TLSv1.3, TLS_', 'x5t#S256 ', 'tls-exporter#S256 ', 'level connection', 'repeated 0'])
    t.match(stderr, shown, shown)
  t.match(stderr, `x5t#S256 ${issued['x5t#S256']}\n`, 'the thumbprint that the server saw')
})

t.test('escapes control characters from the server certificate', async t => {
  const subject = [['CN', 'evil\x1b]0;title\x07\x1b[2J']] as const
  const authority = issueCertificate({ subject })
  const named = issueCertificate({ issuer: authority, extendedKeyUsage: ['serverAuth'], subject })
  const other = createServer({ key: named.key, cert: named.certificate })
  await new Promise<void>(resolve => other.listen(0, '127.0.0.1', resolve))
  t.teardown(() => other.close())
  const { code, stderr } = await run(`https://localhost:${(other.address() as AddressInfo).port}/`)
  t.equal(code, 1)
  t.match(stderr, 'CN=evil\\1B]0')
  t.notOk(stderr.includes(String.fromCharCode(27)), 'stderr contains no control character')
})

t.test('builds the same request as curl from the same arguments', async t => {
  const file = join(cwd, 'form.txt')
  const given = (values: Record<string, unknown>) => readCallRequest(values as Values)
  const form = { 'content-type': ['application/x-www-form-urlencoded'] }
  const json = { 'content-type': ['application/json'], accept: ['application/json'] }
  writeFileSync(file, 'a=1\r\nb=2\n\0')
  const rows: [Record<string, unknown>, string, string | undefined, object][] = [
    [{}, 'GET', undefined, { accept: ['*/*'] }],
    [{ request: 'DELETE' }, 'DELETE', undefined, {}],
    [{ data: ['a=1', 'b=2'] }, 'POST', 'a=1&b=2', form],
    [{ data: ['a=1'], request: 'PUT' }, 'PUT', 'a=1', form],
    [{ data: [''] }, 'POST', '', form],
    [{ data: ['c=3', `@${file}`] }, 'POST', 'c=3&a=1b=2', form],
    [{ 'data-binary': [`@${file}`] }, 'POST', 'a=1\r\nb=2\n\0', form],
    [{ json: ['{"a"', ':1}'] }, 'POST', '{"a":1}', json],
    [{ json: ['{}'], header: ['Accept: text/plain'] }, 'POST', '{}', { ...json, accept: ['text/plain'] }],
    [{ data: ['x'], header: ['content-type: text/plain'] }, 'POST', 'x', { 'content-type': ['text/plain'] }],
    [
      { header: ['X-A: 1', 'x-a:2', 'X-B;', 'Accept:'] },
      'GET',
      undefined,
      { 'x-a': ['1', '2'], 'x-b': [''], accept: [] },
    ],
  ]
  for (const [values, method, body, headers] of rows) {
    const request = await given(values)
    const name = JSON.stringify(values)
    t.equal(request.method, method, name)
    t.equal(request.body?.toString(), body, name)
    t.match(request.headers, headers, name)
  }
  await t.rejects(given({ data: ['@none'] }), { message: 'none cannot be read (ENOENT)' })
})

t.test('sends headers and a body from stdin, and writes the response with -i or to a file', async t => {
  const args = ['call', `${origin}/echo?a=b`, '-X', 'PUT', '-H', 'X-Own: yes', '-d', '@-', '-i', ...as('alice')]
  const { code, stdout } = await runCommand(t, args, { cwd, input: 'from=stdin\n' })
  t.equal(code, 0)
  const [head = '', body = ''] = stdout.split('\r\n\r\n')
  t.match(head, /^HTTP\/2 200\r\n(.+\r\n)*set-cookie: a=1\r\nset-cookie: b=2/)
  const headers = { 'x-own': 'yes', 'content-type': 'application/x-www-form-urlencoded' }
  t.match(JSON.parse(body), { method: 'PUT', headers, body: 'from=stdin' })

  const written = await run(`${origin}/echo`, '-o', 'answer.json')
  t.match(written, { code: 0, stdout: '' })
  t.match(JSON.parse(readFileSync(join(cwd, 'answer.json'), 'utf8')), { method: 'GET' })
  const unwritten = await run(`${origin}/echo`, '-o', 'none/answer.json')
  t.match(unwritten, { code: 1, stdout: '', stderr: /^tlsbound: none\/answer\.json cannot be written \(ENOENT\)\n$/ })
})

t.test('prints an error response unchanged and exits with 1; retries a weaker token once', async t => {
  t.match(await run(`${origin}/strong`), { code: 0, stdout: '{"strong":true}' }, 'control')
  const weak = await run(`${origin}/strong`, '--binding', 'certificate', '-v')
  t.match({ code: weak.code, body: JSON.parse(weak.stdout) }, { code: 1, body: { reason: 'binding_too_weak' } })
  t.match(weak.stderr, /level certificate.*repeated 1\n.*401/s)
  const none = await run(`${origin}/nothing`)
  t.match({ code: none.code, body: JSON.parse(none.stdout) }, { code: 1, body: { reason: 'malformed_request' } })
  const away = await run(`${origin}/away`, '-i')
  t.match(
    away,
    { code: 0, stdout: /^HTTP\/2 302\r\n(.+\r\n)*location: https:\/\/localhost:1\// },
    'no request is sent to the target of the redirect (GW11)',
  )
})

t.test('prints an event stream as it arrives, and exits with 1 and one line when it is truncated (GW04)', async t => {
  for (const isBroken of [false, true]) {
    const command = startCommand(t, ['call', `${origin}/events`, ...as('alice')], { cwd })
    await command.seen(/^data: first\n\n$/)
    if (isBroken) relay.cut()
    else stream?.raw.end('data: last\n\n')
    const { code, stdout, stderr } = await command.ended
    if (isBroken)
      t.match({ code, stdout, stderr }, { code: 1, stdout: 'data: first\n\n', stderr: /^tlsbound: [^\n]+\n$/ })
    else t.match({ code, stdout, stderr }, { code: 0, stdout: 'data: first\n\ndata: last\n\n', stderr: '' })
  }
})

t.test('exits with one line when its output is closed', async t => {
  const command = startCommand(t, ['call', `${origin}/large`, ...as('alice')], { cwd })
  await command.seen(/^x/)
  command.closeOutput()
  t.match(await command.ended, { code: 1, stderr: /^tlsbound: stdout cannot be written \(EPIPE\)\n$/ })
  const file = await run(`${origin}/large`, '-o', 'large')
  t.match({ ...file, size: statSync(join(cwd, 'large')).size }, { code: 0, size: 64 * 65_536 }, 'control')
})

t.test('reports a token that is bound to a proxy that terminates TLS, without printing it', async t => {
  const pki = makeDemoPki()
  const proxy = createServer({
    key: pki.server.key,
    cert: pki.server.certificate,
    ca: pki.ca.certificate,
    requestCert: true,
  })
  await new Promise<void>(listening => proxy.listen(0, '127.0.0.1', listening))
  const address = `https://localhost:${(proxy.address() as AddressInfo).port}`
  const behind = await startTestServer({ pki, env: { TLSBOUND_ISSUER: address } })
  const connection = await behind.connect('alice')
  proxy.on('request', async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    const { url = '/', method = 'GET', headers } = request
    const { 'content-type': type = 'text/plain' } = headers
    const body = Buffer.concat(chunks).toString()
    const answer = await connection.call(url, {
      method,
      ...(body !== '' && { body, headers: { 'content-type': type } }),
    })
    response.writeHead(answer.status, { 'content-type': 'application/json' }).end(answer.text)
  })
  t.teardown(async () => {
    proxy.closeAllConnections()
    proxy.close()
    await behind.close()
  })
  const folder = makeDemoFolder(t, pki)
  const bound = await runCommand(t, ['token', address, ...as('alice')], { cwd: folder })
  t.match(bound, { code: 1, stdout: '', stderr: /^tlsbound: [^\n]+connection_mismatch[^\n]+\n$/ })
  const certificate = ['token', address, '--binding', 'certificate', ...as('alice')]
  t.match(
    await runCommand(t, certificate, { cwd: folder }),
    { code: 0, stdout: /^eyJ/ },
    'control: the same certificate',
  )
  const other = ['token', address, '--binding', 'certificate', '--client-id', 'alice', ...as('bob')]
  t.match(await runCommand(t, other, { cwd: folder }), { code: 1, stdout: '', stderr: /certificate_mismatch/ })
})
