// The live page in a real Chromium: what it shows, what it must not show, attacks on it, and its accessibility. LK12, LK06.
import { X509Certificate } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { pino } from 'pino'
import type { Page } from 'playwright-core'
import t from 'tap'
import type { Observer, SecurityEvent } from '../../src/audit/event.ts'
import { reasons } from '../../src/core/errors.ts'
import { collectRefusals } from '../../src/ops/live-refusals.ts'
import { createOpsServer } from '../../src/ops/server.ts'
import { issueCertificate } from '../../src/pki/certificate.ts'
import { ClientRegistry } from '../../src/server/clients/registry.ts'
import { createAudit } from '../../src/server/record-events.ts'
import { openSqlite } from '../../src/store/sqlite.ts'
import { findFreePort } from '../../src/testing/free-port.ts'
import { startTestServer } from '../../src/testing/server.ts'
import { findUnnamed, readTree, runInPage, untilInPage, watchViolations } from '../helpers/browser/browser-page.ts'
import { startChromium } from '../helpers/browser/chromium.ts'
import { startTlsbound } from '../helpers/process/process.ts'
import { writeOwnPki } from '../helpers/process/production.ts'
import { register, revoke } from '../helpers/tokens/grants.ts'
import { until } from '../helpers/until.ts'

t.setTimeout(120_000) // a browser

const server = await startTestServer({ ops: true })
t.teardown(() => server.close())
const { url = '', token: opsToken = '' } = server.ops ?? {}
const browser = await startChromium(t)
const hostile = '<img src=x onerror="window.hit=1">'
const tokens: string[] = []

async function openPage(options: Parameters<typeof browser.newContext>[0] = {}): Promise<Page> {
  const context = await browser.newContext({ locale: 'en-GB', ...options })
  t.teardown(() => context.close())
  const page = await context.newPage()
  await watchViolations(page)
  page.setDefaultTimeout(10_000)
  await page.goto(url)
  return page
}

async function signIn(page: Page, token = opsToken): Promise<void> {
  await page.getByLabel('Ops token').fill(token)
  await page.getByRole('button', { name: 'Watch' }).click()
  await page.getByText('Live', { exact: true }).waitFor()
}

/** The newest one of this name. */
const card = (page: Page, name: string) =>
  page
    .getByRole('listitem')
    .filter({ has: page.getByRole('heading', { name, exact: true }) })
    .first()

const page = await openPage()

t.test('shows nothing before it has the ops token, and rejects a wrong one with a message', async t => {
  const alice = await server.connect('alice')
  t.equal(await page.getByRole('heading', { name: 'Connections' }).isVisible(), false)
  await page.getByLabel('Ops token').fill('x'.repeat(43))
  await page.keyboard.press('Enter')
  const wrong = page.getByRole('alert').getByText('This is not the ops token of this server')
  await wrong.waitFor()
  t.equal(await page.evaluate('document.activeElement.id'), 'token', 'another attempt is possible immediately')
  await page.evaluate(`document.getElementById('entry-problem').textContent = ''`)
  await page.getByLabel('Ops token').fill('no header can hold “this”')
  await page.keyboard.press('Enter')
  await wrong.waitFor()
  t.notMatch(await page.content(), /CN=alice|127\.0\.0\.1:\d/)
  alice.close()
  await signIn(page)
  t.equal(await page.getByRole('heading', { name: 'Connections' }).isVisible(), true)
  const kept = await page.evaluate('JSON.stringify([location.href, localStorage, sessionStorage, document.cookie])')
  t.notMatch(`${kept}${await page.content()}`, opsToken, 'the page stores the token in memory only')
  t.equal(await page.locator('#token').inputValue(), '')
})

t.test('shows a new connection with its thumbprints and its token, and removes it when it closes', async t => {
  const alice = await server.connect('alice')
  await card(page, 'alice').waitFor()
  const { bindings, certificate } = (await alice.get('/binding')).body
  tokens.push(await alice.token(), await alice.token({ token_binding: 'certificate' }))
  await card(page, 'alice').getByText('In full').click()
  const parts = [bindings['tls-exporter'], certificate['x5t#S256'], ...tokens.map(jtiOf)]
  for (const part of [...parts, 'bound to this connection', 'HTTP/1.1 · TLS 1.3'])
    await card(page, 'alice').getByText(part).first().waitFor()
  await page.getByRole('link', { name: '1 connections' }).waitFor()
  await page.getByRole('link', { name: '2 tokens' }).waitFor()
  await card(page, 'alice').getByText('In full').focus()
  alice.close()
  await card(page, 'alice').waitFor({ state: 'detached' })
  t.equal(await page.evaluate('document.activeElement.id'), 'connections', 'the focus is not lost with it')
  await page.getByText('No client is connected').waitFor()
})

t.test('shows and announces a refusal with its reason as a sentence', async () => {
  const bob = await server.connect('bob')
  await bob.get('/api/whoami', tokens[0])
  const jti = jtiOf(tokens[0] ?? '')
  const refusal = page.locator('#refusal-list > li').filter({ hasText: jti })
  for (const part of ['certificate_mismatch', '401', 'is bound to another client certificate', 'alice', 'GET /api'])
    await refusal.getByText(part).first().waitFor()
  await page.locator('[aria-live=polite]').getByText('Refused, certificate mismatch').waitFor()
  bob.close()
})

t.test('explains a refusal by its detail where the sentence of the reason is false', async t => {
  const own = await startTestServer({ clients: [register('alice'), register('bob')] })
  t.teardown(() => own.close())
  const [owner, other] = [await own.connect('alice'), await own.connect('bob')]
  const seen = own.events.length
  await revoke(other, await owner.token(), 'bob')
  await until(() => own.events.slice(seen).some(({ detail }) => detail === 'other_owner'))
  await other.requestToken({ client_id: 'alice' })
  const observers: Observer[] = []
  const list = collectRefusals({ observe: observer => void observers.push(observer) })
  for (const event of own.events.slice(seen)) for (const observe of observers) observe(event as SecurityEvent)
  t.match(list.since(0), [
    { detail: 'other_owner', sentence: 'The token belongs to another client.' },
    { detail: 'other_name', sentence: reasons.client_mismatch },
  ])
})

t.test('shows a suspected theft above the refusals, unlike a 404', async t => {
  const bob = await server.connect('bob')
  await bob.get('/nowhere', await bob.token())
  const theft = page.locator('#theft-list > li').filter({ hasText: jtiOf(tokens[0] ?? '') })
  await theft.getByText('Another party holds the token').waitFor()
  await theft.getByText('(certificate_mismatch); nothing was revoked').waitFor()
  const missing = page.locator('#refusal-list > li').filter({ hasText: 'GET /nowhere' })
  await missing.getByText('404').waitFor()
  t.equal(await missing.getByText('Another party').count(), 0)
  const [above, below] = [await theft.boundingBox(), await missing.boundingBox()]
  t.ok((above?.y ?? 0) < (below?.y ?? 0), 'although it happened later')
  bob.close()
})

t.test('shows equal refusals as one entry with a count, and filters them', async t => {
  const nobody = await server.connect(null)
  for (let times = 0; times < 3; times++) await nobody.get('/api/whoami', 'x')
  await nobody.requestToken({ client_id: 'alice' })
  await nobody.requestToken({ client_id: 'bob' })
  const rows = page.locator('#refusal-list > li:not([hidden])')
  await rows.filter({ hasText: 'no_certificate' }).getByText('3 times').waitFor()
  const all = await rows.count()
  await page.getByLabel('Reason').selectOption('no_certificate')
  await page.getByText(`3 of ${all} entries match.`).waitFor()
  await page.getByLabel('Client').selectOption('alice')
  await page.getByText(`1 of ${all} entries match.`).waitFor()
  t.match(await rows.allInnerTexts(), [/no_certificate.*alice/s])
  await nobody.get('/api/notes', 'x')
  await page.getByLabel('Client').selectOption({ label: '(no client named)' })
  await rows.getByText('4 times').waitFor()
  await page.getByLabel('Text').fill('OAUTH/TOKEN')
  await page.getByText(`0 of ${all} entries match.`).waitFor()
  for (const name of ['Reason', 'Client']) await page.getByLabel(name).selectOption('')
  await page.getByLabel('Text').fill('')
  await page.getByText('entries match').waitFor({ state: 'detached' })
  t.equal(await rows.count(), all)
  nobody.close()
})

t.test('shows version, readiness and the end of the certificate', async () => {
  const { version } = JSON.parse(readFileSync('package.json', 'utf8'))
  const own = page.getByRole('region', { name: 'This server' })
  await own.getByText(version, { exact: true }).waitFor()
  await own.getByText('ready', { exact: true }).waitFor()
  const { validToDate } = new X509Certificate(server.pki.server.certificate)
  await own
    .getByText(`ends ${new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium' }).format(validToDate)}, in `)
    .waitFor()
})

t.test('shows names with markup as text (LK12)', async t => {
  const identity = issueAs(hostile)
  const mallory = await server.connect(identity)
  await page.getByRole('heading', { name: '<img src=x onerror' }).waitFor()
  await mallory.requestToken({ client_id: hostile })
  await page.getByRole('listitem').filter({ hasText: 'unknown_client' }).getByText(hostile).waitFor()
  t.equal(await page.locator('img').count(), 0)
  t.equal(await page.evaluate('window.hit'), undefined)
  mallory.close()
})

t.test('runs the theft demo against this server, which refuses each theft', async t => {
  await page.getByText('No client is connected').waitFor()
  await page.getByRole('button', { name: 'Steal a token' }).click()
  const played = page.locator('#plays > li')
  await played.filter({ hasText: 'uses HTTP/2' }).waitFor()
  // During the demo, the connections of Alice and of the thieves are side by side, with the pictures of the rows.
  await page.getByRole('link', { name: /^[4-9] connections/ }).waitFor()
  const pictures = (places: string) =>
    page.evaluate(`[...document.querySelectorAll('${places}')].map(each => each.getAttribute('d'))`) as Promise<
      string[]
    >
  const [hers = '', same, ...others] = await pictures('#plays .pictures path')
  t.equal(same, hers, 'she got her token on her own connection')
  const portraits = await pictures('.card:not(.gone) .portrait path')
  t.ok(portraits.includes(hers))
  t.ok(new Set(portraits).size >= 4)
  const thieves = others.filter(picture => picture !== hers && portraits.includes(picture))
  t.ok(thieves.length >= 3, "the thieves' connections are shown beside hers")
  await page.getByText('All 10 thefts were refused, and Alice can continue.').waitFor()
  const rows = await page.locator('#plays > li').allInnerTexts()
  t.equal(rows.filter(row => /refused\s+401 \w+/.test(row)).length, 10, rows.join('\n'))
  t.equal(rows.filter(row => /accepted\s+200/.test(row)).length, 3)
  await page.getByRole('link', { name: /^\d\d refusals/ }).waitFor()
  await page.getByText('No client is connected').waitFor()
})

t.test('has no theft demo in production, and names the alternative', async t => {
  const folder = t.testdir()
  writeOwnPki(join(folder, 'certs'))
  writeFileSync(join(folder, 'clients.json'), JSON.stringify([register('alice')]))
  const opsPort = await findFreePort()
  await startTlsbound(t, folder, {
    NODE_ENV: 'production',
    TLSBOUND_TLS_CERT_FILE: 'certs/server.crt',
    TLSBOUND_TLS_KEY_FILE: 'certs/server.key',
    TLSBOUND_TLS_CLIENT_CA_FILE: 'certs/ca.crt',
    TLSBOUND_CLIENTS_FILE: 'clients.json',
    TLSBOUND_OPS_PORT: String(opsPort),
  })
  const page = await browser.newPage()
  t.teardown(() => page.close())
  await page.goto(`http://localhost:${opsPort}`)
  await signIn(page, readFileSync(join(folder, 'data/ops-token'), 'utf8').trim())
  await page.getByText('With your own certificates, tlsbound lab').waitFor()
  t.equal(await page.locator('#play').isVisible(), false)
  t.equal(await page.getByText('Alice gets a token').isVisible(), false)
})

t.test('contains no token (LK12)', async t => {
  const bob = await server.connect('bob')
  await bob.get('/api/whoami', tokens[0])
  await page
    .locator('#refusal-list')
    .getByText(jtiOf(tokens[0] ?? ''))
    .waitFor() // control: its id is shown
  bob.close()
  const content = await page.content()
  t.notMatch(content, /eyJ[\w-]{10}/)
  for (const token of tokens) for (const piece of token.split('.').slice(1)) t.notOk(content.includes(piece))
})

t.test('works with the keyboard alone, with a visible focus', async t => {
  const page = await openPage()
  const carol = await server.connect('alice')
  const press = async (key: string, until: string) => {
    for (let presses = 0; presses < 40; presses++) {
      await page.keyboard.press(key)
      const [name, outline] = (await page.evaluate(`(({ activeElement: e }) =>
        [e.id || e.textContent, getComputedStyle(e).outlineStyle])(document)`)) as [string, string]
      t.equal(outline, 'solid', `the focus on ${name.trim()} is visible`)
      if (name.includes(until)) return
    }
    throw new Error(`the keyboard did not reach ${until}`)
  }
  await press('Tab', 'token')
  await page.keyboard.type(opsToken)
  await page.keyboard.press('Enter')
  await card(page, 'alice').waitFor()
  await press('Tab', 'In full')
  await page.keyboard.press('Enter')
  await card(page, 'alice').getByText('CN=alice').waitFor() // visible in the next frame
  await press('Tab', 'play')
  await page.keyboard.press('Space')
  await page.getByText('thefts were refused').waitFor()
  t.equal(await page.evaluate('document.activeElement.id'), 'play', 'the button keeps the focus')
  await press('Tab', 'refusal-list')
  await page.keyboard.press('End')
  await untilInPage(page, `document.getElementById('refusal-list').scrollTop > 0`)
  carol.close()
})

t.test("has every part in Chromium's accessibility tree, with role and name", async t => {
  const alice = await server.connect('alice')
  await card(page, 'alice').waitFor()
  const tree = await readTree(page)
  for (const part of [
    ...['banner', 'main', 'navigation On this page', 'heading Live view of this server'],
    ...['region Connections', 'region Steal a token', 'region Refusals', 'list Refusals', 'status'],
    ...['region This server', 'search Filter the refusals', 'combobox Reason', 'combobox Client', 'searchbox Text'],
    ...['heading Suspected thefts', 'list Suspected thefts'],
    ...['heading alice', 'DisclosureTriangle In full', 'button Steal another one'],
  ])
    t.ok(tree.has(part), part)
  t.same(findUnnamed(tree), [])
  alice.close()
})

t.test('has the contrast of WCAG AA in both colour schemes', async t => {
  const alice = await server.connect('alice')
  await alice.token()
  const stranger = await server.connect('stranger')
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' })
    await card(page, 'stranger').waitFor()
    const { looked, low } = await runInPage(page, 'contrast')
    t.ok(looked > 50, `${looked} texts were measured`)
    t.same(low, [], colorScheme)
  }
  alice.close()
  stranger.close()
})

t.test('complies with its content security policy, which blocks everything but files of the server', async t => {
  t.same(await page.evaluate('window.violations'), [])
  const attempts = [
    `document.body.insertAdjacentHTML('beforeend', '<img src=x onerror="window.hit=1">')`,
    `document.body.append(Object.assign(document.createElement('script'), { textContent: 'window.hit=1' }))`,
    `document.body.append(Object.assign(document.createElement('script'), { src: 'data:text/javascript,window.hit=1' }))`,
    `document.body.setAttribute('onclick', 'window.hit=1'); document.body.click()`,
    `setTimeout('window.hit=1')`,
    `document.body.append(Object.assign(document.createElement('iframe'), { src: 'https://attacker.example' }))`,
  ]
  for (const attempt of attempts) await page.evaluate(`try { ${attempt} } catch {}`)
  await page.evaluate(`document.body.append(Object.assign(new Image(), { src: 'http://127.0.0.1:9/x' }))`)
  await untilInPage(page, 'window.violations.length >= 6')
  t.equal(await page.evaluate('window.hit'), undefined)
})

t.test('needs no sideways scrolling on a phone, whatever long names there are', async t => {
  const page = await openPage({ viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true })
  const width = () => page.evaluate('document.documentElement.scrollWidth')
  t.equal(await width(), 360)
  const long = await server.connect(issueAs('x'.repeat(64)))
  await long.get(`/${'y'.repeat(200)}`)
  await signIn(page)
  await card(page, 'x'.repeat(64)).getByText('In full').click()
  await page.getByRole('button', { name: 'Steal a token' }).click()
  await page.getByText('thefts were refused').waitFor()
  t.equal(await width(), 360)
  const { height = 0 } = (await page.getByRole('button', { name: 'Steal another one' }).boundingBox()) ?? {}
  t.ok(height >= 44, 'the button is large enough for a finger')
  long.close()
})

t.test('gives a page of another origin neither data nor actions', async t => {
  const port = new URL(url).port
  const other = createServer((_request, response) =>
    response.setHeader('content-type', 'text/html').end('<p>Other</p>'),
  )
  await new Promise<void>(listening => other.listen(0, '127.0.0.1', listening))
  t.teardown(() => other.close())
  const foreign = await (await browser.newContext()).newPage()
  t.teardown(() => foreign.context().close())
  const before = server.events.length
  for (const host of ['localhost', '127.0.0.1']) {
    await foreign.goto(`http://${host}:${(other.address() as AddressInfo).port}`)
    const outcome = await runInPage(foreign, 'foreign', { url, opsToken })
    const { framed, ...others } = outcome
    t.equal(framed, false, host)
    t.same(new Set(Object.values(others)), new Set(['failed']), JSON.stringify(outcome))
  }
  const events = server.events.slice(before).map(({ event }) => event)
  t.same([...new Set(events)], ['admin.refused'], `nothing but refusals on port ${port}`)
})

t.test('shows the newest 60 of many connections, and does not call a hidden one closed', async t => {
  const many = await Promise.all(Array.from({ length: 60 }, () => server.connect(null)))
  await page.getByRole('link', { name: '60 connections' }).waitFor()
  await page.evaluate(`window.farewells = 0; new MutationObserver(changes => window.farewells += changes.filter(
    ({ target }) => target.classList.contains('gone')).length).observe(cards, { subtree: true, attributeFilter: ['class'] })`)
  await page.locator('#cards > li').last().getByText('In full').focus()
  many.push(await server.connect('alice'))
  await page.getByText('The newest 60 of 61 are shown.').waitFor()
  t.same(await page.evaluate('[cards.children.length, farewells, document.activeElement.id]'), [60, 0, 'connections'])
  t.equal(await page.locator('#cards h3').first().innerText(), 'alice', 'the newest comes first')
  many.at(-1)?.close()
  await page.getByText('· closed').waitFor()
  await page.getByText('· closed').waitFor({ state: 'detached' })
  t.same(await page.evaluate('[cards.children.length, farewells]'), [60, 1], 'control: one that has closed')
  for (const connection of many) connection.close()
  await page.getByText('No client is connected').waitFor()
})

t.test('shows that the server is unreachable, and resumes when it is back', async t => {
  const store = openSqlite(':memory:')
  const parts = { settings: { refreshTokenLifetime: 1 }, store, audit: createAudit(() => {}), token: opsToken }
  const state = { clock: Date.now, isServing: () => true, isRecording: () => true }
  const start = () =>
    createOpsServer({ ...parts, ...state, clients: new ClientRegistry([]), log: pino({ level: 'silent' }) })
  let ops = start()
  t.teardown(() => ops.close().then(() => store.close()))
  const own = await ops.listen({ host: '127.0.0.1', port: 0 })
  const page = await browser.newPage()
  t.teardown(() => page.close())
  await page.goto(own)
  await signIn(page)
  await page.getByText('With your own certificates, tlsbound lab').waitFor()
  await page.getByText('Nothing was refused').waitFor()
  await fetch(`${own}/admin/clients`)
  await page.locator('[aria-live=polite]').getByText('Refused, no token').waitFor() // the first refusal is announced too
  await ops.close()
  await page.getByRole('status').getByText('The server does not respond').waitFor()
  ops = start()
  await ops.listen({ host: '127.0.0.1', port: Number(new URL(own).port) })
  await page.getByText('Live', { exact: true }).waitFor()
})

function issueAs(name: string) {
  return issueCertificate({ issuer: server.pki.ca, subject: [['CN', name]], extendedKeyUsage: ['clientAuth'] })
}

function jtiOf(token: string): string {
  return JSON.parse(Buffer.from(token.split('.')[1] as string, 'base64url').toString()).jti
}
