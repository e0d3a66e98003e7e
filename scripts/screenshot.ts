// node --conditions=tlsbound-source scripts/screenshot.ts [FILE]: writes docs/screenshot.png, the live page of a real server
// in Chromium during the theft demo. Needs Debian's chromium.
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
  const page = await browser.newPage({
    viewport: { width: 1280, height: 1400 },
    colorScheme: 'dark',
    reducedMotion: 'reduce',
    locale: 'en-GB',
    timezoneId: 'UTC',
  })
  await page.goto(server.ops?.url ?? '')
  await page.getByLabel('Ops token').fill(server.ops?.token ?? '')
  await page.keyboard.press('Enter')
  await page.getByText('ready', { exact: true }).waitFor()
  await page.getByRole('button', { name: 'Steal a token' }).click()
  await page.locator('#theft-list > li').nth(1).waitFor()
  await page.mouse.click(640, 5)
  await page.screenshot({ path })
} finally {
  await browser.close()
  await server.close()
}
