// Inspects a page: violations of its policy, its contrast, and its accessibility tree as Chromium computes it.
import { readFileSync } from 'node:fs'
import type { Page } from 'playwright-core'
import { patience } from '../until.ts'

/** Collects violations of the policy in `window.violations`, from the next document on. */
export function watchViolations(page: Page): Promise<unknown> {
  return page.addInitScript(`window.violations = []
    addEventListener('securitypolicyviolation', ({ violatedDirective }) => window.violations.push(violatedDirective))`)
}

/** Runs a script of test/helpers/browser/in-page in a page; if it is a function, with an argument. */
// biome-ignore lint/suspicious/noExplicitAny: whoever asks knows what it should be, and finds out
export function runInPage(page: Page, name: string, argument?: object): Promise<any> {
  const source = readFileSync(`test/helpers/browser/in-page/${name}.js`, 'utf8').replace(
    /^(?:\/\/.*|\/\*\*.*\*\/|;|\s)+/gm,
    '',
  )
  return page.evaluate(argument === undefined ? source : `(${source})(${JSON.stringify(argument)})`)
}

/** Waits until an expression is true in a page; Playwright's own way would need `unsafe-eval`. Rejects after a minute. */
export async function untilInPage(page: Page, expression: string): Promise<void> {
  const end = performance.now() + patience
  while (!(await page.evaluate(expression))) if (performance.now() > end) throw new Error(`timed out: ${expression}`)
}

/** Returns the nodes of the accessibility tree, each as its role and name. */
export async function readTree(page: Page): Promise<ReadonlySet<string>> {
  const link = await page.context().newCDPSession(page)
  const { nodes } = await link.send('Accessibility.getFullAXTree')
  const seen = nodes.filter(({ ignored }) => !ignored)
  return new Set(seen.map(({ role, name }) => `${role?.value} ${name?.value ?? ''}`.trim()))
}

/** Roles that a screen reader cannot describe without a name. */
const named = ['button', 'link', 'textbox', 'heading', 'navigation', 'region', 'DisclosureTriangle', 'image', 'form']

/** Returns the nodes of these roles that lack a name. */
export function findUnnamed(tree: ReadonlySet<string>): readonly string[] {
  return named.filter(role => tree.has(role))
}
