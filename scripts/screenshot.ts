// node scripts/screenshot.ts [FILE]: docs/screenshot.png, the live page of a real server in Chromium, with connections,
// tokens, and the thefts played. Needs Debian's chromium.
import { chromium } from 'playwright-core'
import { startTestServer } from '../src/testing/server.ts'
import { findChromium } from '../test/helpers/browser/chromium.ts'

const path = process.argv[2] ?? 'docs/screenshot.png'
const server = await startTestServer({ ops: true })
const browser = await chromium.launch({
  executablePath: findChromium(),
  args: process.getuid?.() === 0 ? ['--no-sandbox'] : [],
})
try {
  const stranger = await server.connect('stranger')
  const bob = await server.connect('bob')
  await bob.token({ token_binding: 'certificate' })
  const before = await server.connect('alice')
  await before.token({ token_binding: 'proof' })
  const alice = await server.connect('alice', { ALPNProtocols: ['h2'] })
  await stranger.get('/api/whoami', await alice.token())

  const page = await browser.newPage({
    viewport: { width: 1280, height: 1000 },
    colorScheme: 'dark',
    reducedMotion: 'reduce',
    locale: 'en-GB',
    timezoneId: 'UTC',
  })
  await page.goto(server.ops?.url ?? '')
  await page.getByLabel('Ops token').fill(server.ops?.token ?? '')
  await page.keyboard.press('Enter')
  await page.getByRole('button', { name: 'Steal a token' }).click()
  await page.getByText('thefts were refused').waitFor()
  await page.getByRole('link', { name: '11 refusals' }).waitFor()
  await page.getByRole('link', { name: '4 connections' }).waitFor()
  await page.locator('.gone').first().waitFor({ state: 'detached' })
  await page.mouse.click(640, 5)
  await page.screenshot({ path })
} finally {
  await browser.close()
  await server.close()
}
