// A page of another origin makes a browser send requests with its user's client certificate. Endpoints that change something
// refuse them before writing anything. A program, which names no origin, is served. Fetch Metadata Request Headers §2.4; RFC
// 6454.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { type Answer, startTestServer } from '../../../src/testing/server.ts'
import { startChromiumAs } from '../../helpers/browser/chromium.ts'
import { at, callOps, registrationOf } from '../../helpers/server/ops.ts'

t.setTimeout(120_000) // starts a browser
const server = await startTestServer({ ops: true, env: { TLSBOUND_UNSAFE_TOKEN_COOKIE: 'on' } })
t.teardown(() => server.close())
const { origin, port } = server
const formType = 'application/x-www-form-urlencoded'
const good = 'grant_type=client_credentials&client_id=alice'

type Headers = Readonly<Record<string, string>>

/** Headers with which a browser reports a cross-origin request. */
const foreign: readonly Headers[] = [
  { 'sec-fetch-site': 'cross-site', origin: 'https://evil.example' },
  { 'sec-fetch-site': 'same-site' },
  { 'sec-fetch-site': 'cross-site', origin },
  { 'sec-fetch-site': 'unheard-of' },
  { 'sec-fetch-site': '' },
  { 'sec-fetch-site': 'none, cross-site' },
  { origin: 'https://evil.example' },
  { origin: 'null' },
  { origin: `http://localhost:${port}` },
  { origin: `https://localhost` },
  { origin: `https://localhost:${port + 1}` },
  { origin: `https://localhost:${port}.evil.example` },
  { origin: `https://evil.example:${port}` },
  { origin: '' },
]

/** Headers of programs, and of the server's own pages. */
const own: readonly Headers[] = [
  {},
  { 'sec-fetch-site': 'same-origin', origin },
  { 'sec-fetch-site': 'same-origin', origin: 'https://what-a-proxy-in-front-is-called.example' },
  { 'sec-fetch-site': 'none' },
  { origin },
  { origin: `https://LOCALHOST.:${port}` },
  { 'sec-fetch-mode': 'cors', 'user-agent': 'node' },
]

async function post(path: string, body: string, headers: Headers, protocol = 'http/1.1'): Promise<Answer> {
  const connection = await server.connect('alice', { ALPNProtocols: [protocol] })
  const type = path === '/leaks' ? 'application/json' : formType
  const call = { method: 'POST', headers: { 'content-type': type, ...headers }, body }
  return connection.call(path, call).finally(() => connection.close())
}

t.test('rejects cross-origin requests at the token and report endpoints, and writes nothing', async t => {
  for (const protocol of ['http/1.1', 'h2'])
    for (const [path, body] of [
      ['/oauth/token', good],
      ['/oauth/revoke', 'client_id=alice&token=x'],
      ['/oauth/introspect', 'client_id=alice&token=x'],
      ['/leaks', '[]'],
    ] as const)
      for (const headers of foreign) {
        const before = server.events.length
        const answer = await post(path, body, headers, protocol)
        t.match(answer, { status: 403, body: { error: 'invalid_request', reason: 'malformed_request' } })
        t.equal(answer.headers['www-authenticate'], undefined, 'a token would not help')
        const header = headers['sec-fetch-site'] === undefined ? 'Origin' : 'Sec-Fetch-Site'
        const facts = { header, found: headers[header.toLowerCase()] }
        t.match(server.events.slice(before), [{ event: 'token.refused', detail: 'cross_site', facts }])
        t.equal(server.events.length, before + 1)
      }
  t.match(
    (await post('/oauth/token', good, { origin: 'https://evil.example' })).body.error_description,
    'Origin is https://evil.example. Send it from a program',
  )
})

t.test("serves programs and the server's own pages", async t => {
  for (const protocol of ['http/1.1', 'h2'])
    for (const headers of own) {
      t.match(await post('/oauth/token', good, headers, protocol), { status: 200 }, JSON.stringify(headers))
      t.match(await post('/oauth/revoke', 'client_id=alice&token=x', headers, protocol), { status: 200 })
    }
  const alice = await server.connect('alice')
  const everywhere = { headers: { 'sec-fetch-site': 'cross-site', origin: 'https://evil.example' } }
  for (const path of ['/oauth/jwks', '/.well-known/oauth-authorization-server', '/binding'])
    t.match(
      await alice.call(path, everywhere),
      { status: 200 },
      `public resources may be read from every origin: ${path}`,
    )
  t.match(await alice.call('/demo/token-cookie?client_id=alice', everywhere), { status: 403 }, 'a token may not')
  t.match(await alice.call('/demo/token-cookie?client_id=alice'), { status: 200 })
})

t.test('changes nothing on the ops listener for a page of another origin, and serves its own page', async t => {
  const opsOrigin = new URL(server.ops?.url as string).origin
  const { port: opsPort } = new URL(opsOrigin)
  const change = (headers: Headers) =>
    callOps(server, 'PUT', at('mallory'), { body: registrationOf('mallory'), headers })
  const elsewhere: readonly Headers[] = [
    ...[{ 'sec-fetch-site': 'cross-site' }, { 'sec-fetch-site': 'same-site' }, { origin: 'https://evil.example' }],
    ...[
      { origin: 'null' },
      { origin: `http://127.0.0.1:${Number(opsPort) + 1}` },
      { origin: `https://127.0.0.1:${opsPort}` },
    ],
  ]
  for (const headers of elsewhere) {
    t.match(await change(headers), { status: 403, body: { reason: 'malformed_request' } }, JSON.stringify(headers))
    t.match(server.events.at(-1), { event: 'admin.refused', detail: 'cross_site' })
    t.match(await callOps(server, 'POST', '/live/thefts', { headers }), { status: 403 })
    t.match(await callOps(server, 'POST', '/admin/revocations', { body: { kind: 'all' }, headers }), { status: 403 })
  }
  t.match(await callOps(server, 'GET', at('mallory')), { status: 404 })
  for (const headers of [{ 'sec-fetch-site': 'same-origin', origin: opsOrigin }, { origin: opsOrigin }, {}])
    t.match(await change(headers), { status: /20[01]/ }, JSON.stringify(headers))
})

t.test('issues no token to a form on a page of another origin, although Chromium sends the certificate', async t => {
  const page = `<form method="post" action="${origin}/oauth/token">${good
    .split('&')
    .map(pair => pair.split('='))
    .map(([name, value]) => `<input name="${name}" value="${value}">`)
    .join('')}<button>Win a prize</button></form>`
  const evil = createServer((_request, response) => response.setHeader('content-type', 'text/html').end(page))
  await new Promise<void>(resolve => evil.listen(0, '127.0.0.1', resolve))
  t.teardown(() => evil.close())
  const { pki } = server
  const context = await startChromiumAs(t, pki.alice, { origin, ca: pki.ca.certificate })
  const tab = await context.newPage()
  await tab.goto(`http://127.0.0.1:${(evil.address() as AddressInfo).port}/`)
  const before = server.events.length
  const [answer] = await Promise.all([
    tab.waitForResponse(response => response.url() === `${origin}/oauth/token`),
    tab.getByRole('button').click(),
  ])
  const [connection] = [...server.tls.connections].filter(({ presenter }) => presenter !== undefined)
  t.match(connection?.presenter?.certificate.thumbprint, String, "control: Chromium presented its user's certificate")
  t.match(answer.request().headers(), { 'content-type': formType })
  t.equal(answer.status(), 403)
  t.match(server.events.slice(before), [
    { event: 'token.refused', detail: 'cross_site', facts: { header: 'Sec-Fetch-Site', found: 'cross-site' } },
  ])
  t.notOk(server.events.slice(before).some(({ event }) => event === 'token.issued'))

  // Control: the same request from the address bar, without another origin, succeeds with the certificate.
  await tab.goto(`${origin}/binding`)
  const issued = await tab.evaluate(
    async body => (await fetch('/oauth/token', { method: 'POST', body: new URLSearchParams(body) })).status,
    good,
  )
  t.equal(issued, 200)
})
