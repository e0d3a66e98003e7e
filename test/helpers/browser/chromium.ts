// A real Chromium with its own temporary home and, if wanted, a client certificate in its own key store, which its own TLS
// presents.
import { spawnSync } from 'node:child_process'
import { accessSync, constants, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Browser, type BrowserContext, chromium } from 'playwright-core'
import type { Test } from 'tap'
import type { Identity } from '../../../src/pki/certificate.ts'

/** Starts Chromium without any client certificate. */
export async function startChromium(t: Test): Promise<Browser> {
  const home = makeHome(t)
  const browser = await chromium.launch(optionsFor(home))
  t.teardown(() => browser.close())
  return browser
}

/**
 * Starts Chromium with one client certificate, which it presents to `origin` without asking, and with one more trusted
 * authority for servers.
 */
export async function startChromiumAs(
  t: Test,
  { certificate, key }: Identity,
  { origin, ca }: { readonly origin: string; readonly ca: string },
): Promise<BrowserContext> {
  const home = makeHome(t)
  const store = join(home, '.pki/nssdb')
  mkdirSync(store, { recursive: true })
  const database = ['-d', `sql:${store}`]
  const [bundle, client, authority] = [join(home, 'client.p12'), join(home, 'client.pem'), join(home, 'ca.crt')]
  writeFileSync(client, certificate + key, { mode: 0o600 })
  writeFileSync(authority, ca)
  run('openssl', 'openssl', ['pkcs12', '-export', '-in', client, '-out', bundle, '-passout', 'pass:p'])
  run('certutil', 'libnss3-tools', [...database, '-N', '--empty-password'])
  run('certutil', 'libnss3-tools', [...database, '-A', '-n', 'authority', '-t', 'C,,', '-i', authority])
  run('pk12util', 'libnss3-tools', [...database, '-i', bundle, '-W', 'p'])

  // As the policy AutoSelectCertificateForUrls: without it Chromium asks in a window that cannot be seen here.
  const choice = JSON.stringify({ pattern: origin, filter: {} })
  const preferences = { profile: { managed_auto_select_certificate_for_urls: [choice] } }
  const profile = join(home, 'profile')
  mkdirSync(join(profile, 'Default'), { recursive: true })
  writeFileSync(join(profile, 'Default/Preferences'), JSON.stringify(preferences))
  const context = await chromium.launchPersistentContext(profile, optionsFor(home))
  t.teardown(() => context.close())
  return context
}

function makeHome(t: Test): string {
  const home = mkdtempSync(join(tmpdir(), 'tlsbound-chromium-'))
  t.teardown(() => rmSync(home, { recursive: true, force: true, maxRetries: 5 }))
  return home
}

function optionsFor(home: string) {
  return {
    executablePath: findChromium(),
    args: process.getuid?.() === 0 ? ['--no-sandbox'] : [], // its sandbox refuses root
    env: { PATH: process.env.PATH ?? '', HOME: home },
  }
}

/** @throws Error that names the package. */
export function findChromium(): string {
  for (const folder of (process.env.PATH ?? '').split(':')) {
    const path = join(folder, 'chromium')
    try {
      accessSync(path, constants.X_OK)
      return path
    } catch {}
  }
  throw new Error('chromium is missing: install the Debian package chromium')
}

function run(command: string, debianPackage: string, args: readonly string[]): void {
  const { status, stderr, error } = spawnSync(command, args, { encoding: 'utf8' })
  if (error !== undefined) throw new Error(`${command} is missing: install the Debian package ${debianPackage}`)
  if (status !== 0) throw new Error(`${command} ended with ${status}: ${stderr}`)
}
