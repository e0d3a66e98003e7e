// The page about a visitor's own connection, in a Chromium with a client certificate in its own key store, over its own TLS
// and HTTP/2, and in one without. LK12.
import t from 'tap'
import { issueCertificate } from '../../src/pki/certificate.ts'
import { startTestServer } from '../../src/testing/server.ts'
import { findUnnamed, readTree, runInPage, watchViolations } from '../helpers/browser/browser-page.ts'
import { startChromium, startChromiumAs } from '../helpers/browser/chromium.ts'
import { callOps } from '../helpers/server/ops.ts'

t.setTimeout(120_000) // two browsers

const server = await startTestServer({ env: { TLSBOUND_TLS_MIN_VERSION: 'TLSv1.2' } })
t.teardown(() => server.close())
const html = { headers: { accept: 'text/html,application/xhtml+xml,*/*;q=0.8' } }

t.test("presents Chromium's client certificate over HTTP/2, and shows what its token would contain", async t => {
  const { origin, pki } = server
  const context = await startChromiumAs(t, pki.alice, { origin, ca: pki.ca.certificate })
  const page = await context.newPage()
  await watchViolations(page)
  const answer = await page.goto(origin)
  t.match(answer?.headers(), { 'content-security-policy': /default-src 'none'/, 'cache-control': 'no-store' })
  const [connection, ...others] = server.tls.connections
  t.same([connection?.socket.alpnProtocol, others.length], ['h2', 0], 'one connection, over HTTP/2')
  const { bindings = {}, certificate } = connection?.presenter ?? {}
  const text = await page.locator('main').innerText()
  for (const part of ['The server knows you as the client alice', 'TLSv1.3, HTTP/2', 'CN=alice']) t.match(text, part)
  const cnf = { 'x5t#S256': certificate?.thumbprint, 'tls-exporter#S256': bindings['tls-exporter'] }
  const shown = (await page.locator('pre').allInnerTexts()).map(json => JSON.parse(json))
  const bare = { 'x5t#S256': certificate?.thumbprint }
  t.same(shown, [{ cnf }, { cnf: { ...bare, tls_exp: 'EXPORTER-oauth-tls-session-bound' } }, { cnf: bare }])
  t.same(await page.evaluate('[window.violations, document.scripts.length, document.cookie]'), [[], 0, ''])
  t.same(await context.cookies(), [])
  const tree = await readTree(page)
  for (const part of ['banner', 'main', 'region Your certificate', 'heading Your connection, as the server sees it'])
    t.ok(tree.has(part), part)
  t.same(findUnnamed(tree), [])
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme })
    t.same((await runInPage(page, 'contrast')).low, [], colorScheme)
  }
  await page.setViewportSize({ width: 360, height: 740 })
  t.equal(await page.evaluate('document.documentElement.scrollWidth'), 360, 'a phone does not scroll sideways')
  await page.getByRole('link', { name: 'The same for programs' }).click()
  t.match(
    await page.locator('body').innerText(),
    `"tls-exporter":"${bindings['tls-exporter']}"`,
    'on the same connection',
  )
})

t.test('reports a missing client certificate to Chromium', async t => {
  const browser = await startChromium(t)
  const page = await browser.newPage({ ignoreHTTPSErrors: true })
  await page.goto(server.origin)
  const text = await page.locator('main').innerText()
  t.match(text, /presented no client certificate.*None was sent in the TLS handshake.*None is issued: no_certificate/s)
  t.match(text, /tls-exporter/, 'its connection has a binding')
  t.equal(await page.locator('pre').count(), 0)
})

t.test('returns the JSON of /binding to clients that do not ask for HTML', async t => {
  const alice = await server.connect('alice')
  const { body } = await alice.get('/binding')
  t.same((await alice.get('/')).body, body)
  t.match(await alice.call('/', html), { headers: { 'content-type': 'text/html; charset=utf-8', vary: 'accept' } })
  t.match((await alice.call('/', html)).headers['set-cookie'], undefined)
})

t.test('states on the page what each kind of connection lacks for a token', async t => {
  const expired = issueCertificate({
    issuer: server.pki.ca,
    subject: [['CN', 'alice']],
    extendedKeyUsage: ['clientAuth'],
    notBefore: new Date(Date.now() - 7_200_000),
    notAfter: new Date(Date.now() - 3_600_000),
  })
  const rows = [
    ['stranger', {}, /Your certificate is rejected.*from an authority that this server trusts/s],
    [expired, {}, /Your certificate is rejected.*outside its validity period/s],
    ['alice', { maxVersion: 'TLSv1.2' }, /TLSv1\.2, HTTP\/1\.1.*tls-unique#S256/s],
    [
      'alice',
      { maxVersion: 'TLSv1.2', secureOptions: 1 },
      /Level <b>connection<\/b>: .*channel binding.*At level <b>certificate<\/b>/s,
    ],
  ] as const
  for (const [who, options, expected] of rows) {
    const { status, text } = await (await server.connect(who, options)).call('/', html)
    t.match({ status, text }, { status: 200, text: expected })
  }
})

t.test('reports whether a registration matches the certificate, and the levels that it allows', async t => {
  const subject = { token_endpoint_auth_method: 'tls_client_auth', scope: 'notes:read' }
  const registrations = [
    { ...subject, client_id: 'alice', tls_client_auth_subject_dn: 'CN=alice', token_bindings: ['proof'] },
    { ...subject, client_id: 'bobby', tls_client_auth_subject_dn: 'CN=bob' },
  ]
  const own = await startTestServer({ ops: true, clients: registrations })
  t.teardown(() => own.close())
  const read = async (who: 'alice' | 'bob' | 'mallory') => (await (await own.connect(who)).call('/', html)).text
  t.match(
    await read('alice'),
    /the client\s<bdi>alice<\/bdi>.*Level <b>connection<\/b>: your registration.*level <b>proof<\/b>/s,
  )
  t.match(await read('bob'), /<bdi>bobby<\/bdi>/, 'by its registration, whatever its name')
  const mallory = await read('mallory')
  t.match(mallory, /trusted, but not registered.*CN=mallory.*None is issued: <code>unknown_client/s)
  t.notMatch(mallory, /knows you|<pre/)
  const renewed = issueAs('alice', own.pki.ca)
  t.match(
    await (await own.connect(renewed)).call('/', html),
    { text: /the client\s<bdi>alice<\/bdi>/ },
    'control: a renewed one',
  )
  await callOps(own, 'POST', '/admin/clients/bobby/disable')
  t.match(await read('bob'), /<bdi>bobby<\/bdi>, which is\sdisabled.*None is issued: <code>client_disabled/s)
})

t.test('shows a subject with markup as text, and no header of the request (LK12)', async t => {
  const mallory = await server.connect(issueAs('<script>window.hit=1</script>'))
  const headers = { ...html.headers, cookie: 'secret=1', authorization: 'Bearer eyJsecret', 'user-agent': 'secret<b>' }
  const { text } = await mallory.call('/?secret=<b>', { headers })
  t.match(text, /&#60;script/)
  t.notMatch(text, /<script|secret/)
})

t.test('makes text-direction marks of a subject visible, however long it is (LK12)', async t => {
  const control = await (await server.connect(issueAs('Zoë – 東京'))).call('/', html)
  t.match(control.text, '<bdi>CN=Zoë – 東京</bdi>')
  const turned = await (await server.connect(issueAs('\u202eecila\u2066\u200f\u001b[2J'))).call('/', html)
  t.match(turned.text, /CN=\\e2\\80\\aeecila\\e2\\81\\a6\\e2\\80\\8f/)
  t.notMatch(turned.text.replaceAll('\n', ''), /[\p{Cc}\p{Cf}]/u)
  const long = await (await server.connect(issueAs('&'.repeat(10_000)))).call('/', html)
  t.match({ status: long.status, text: long.text }, { status: 200, text: '&#38;'.repeat(10_000) })
})

function issueAs(name: string, issuer = server.pki.ca) {
  const subject = [['CN', name]] as const
  return issueCertificate({ issuer, subject, extendedKeyUsage: ['clientAuth'] })
}
