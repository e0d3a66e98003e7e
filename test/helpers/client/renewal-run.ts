// Clients with SPIFFE ids whose certificates are renewed again and again while they work: through the library, through the
// sidecar, and with refresh tokens at two processes at once. `npm run renewals` runs it for ten minutes, a test for seconds.
import { mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { request } from 'node:https'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { createClient, readIdentityFiles } from '../../../src/client/client.ts'
import { type Identity, issueCertificate } from '../../../src/pki/certificate.ts'
import { makeDemoPki } from '../../../src/pki/demo.ts'
import { generateTokenKey, openSqlite, startServer } from '../../../src/process/embed.ts'
import { findFreePort } from '../../../src/testing/free-port.ts'
import { startSidecarCommand } from './sidecar-command.ts'

export interface RenewalPlan {
  /** How long it runs, and how often each client gets a new certificate, in seconds. */
  readonly seconds: number
  readonly every: number
  /** Requests per second through the library, and as many through the sidecar. */
  readonly rate: number
  /** An empty folder for certificates and sockets. */
  readonly folder: string
  /** Called about every ten seconds with what has happened so far. */
  readonly onProgress?: (result: RenewalResult) => void
}

export interface RenewalResult {
  /** Certificates that were issued to replace another one. */
  renewals: number
  /** Certificates that have connected to the server. */
  certificates: number
  /** Accepted requests of each kind. */
  readonly accepted: Record<'library' | 'sidecar' | 'refresh' | 'refreshed token', number>
  /** What was not accepted, in words. */
  readonly refused: string[]
  /** The number of each security event. */
  readonly events: Record<string, number>
}

type Cleanup = { teardown(end: () => unknown): void }

/** A certificate outlives its renewal by twice the interval, so that a client has time to notice. */
const lifetimes = 3

const clients = ['library', 'sidecar', 'worker'] as const
const idOf = (name: string) => `spiffe://example.org/ns/default/sa/${name}`

const registrations = clients.map(name => ({
  client_id: name,
  token_endpoint_auth_method: 'tls_client_auth',
  tls_client_auth_san_uri: idOf(name),
  scope: 'notes:read',
  grant_types: ['client_credentials', 'refresh_token'],
  token_bindings: ['connection', 'certificate'],
}))

/** Runs the plan. What it starts ends with `t`. */
export async function runRenewals(t: Cleanup, plan: RenewalPlan): Promise<RenewalResult> {
  const { seconds, every, rate, folder, onProgress = () => {} } = plan
  const pki = makeDemoPki()
  const result: RenewalResult = {
    renewals: 0,
    certificates: 0,
    accepted: { library: 0, sidecar: 0, refresh: 0, 'refreshed token': 0 },
    refused: [],
    events: {},
  }
  const seen = new Set<string>()
  let isStarted = false // at the start, the keys in use are an event
  const port = await findFreePort()
  const server = await startServer({
    settings: { port, host: '127.0.0.1', opsPort: 0, logLevel: 'warn' },
    tls: { cert: pki.server.certificate, key: pki.server.key, ca: pki.ca.certificate },
    keys: [await generateTokenKey('ES256')],
    store: openSqlite(join(folder, 'state.db')),
    clients: registrations,
    onEvent({ event, reason, detail, client_id: client, 'x5t#S256': certificate }) {
      if (!isStarted) return
      const name = reason === undefined ? event : `${event} ${reason} ${detail} ${client}`
      result.events[name] = (result.events[name] ?? 0) + 1
      if (certificate !== undefined) result.certificates = seen.add(certificate).size
    },
    routes: app => void app.get('/hello', async () => 'hello'),
  })
  isStarted = true
  t.teardown(() => server.close())

  writeFileSync(join(folder, 'ca.crt'), pki.ca.certificate)
  const issue = (name: string) => {
    const issued = issueCertificate({
      subject: [['O', 'SPIRE']],
      issuer: pki.ca,
      altNames: [{ uri: idOf(name) }],
      extendedKeyUsage: ['clientAuth'],
      notAfter: new Date(Date.now() + lifetimes * every * 1000),
    })
    replace(join(folder, name), issued)
    return issued
  }
  const current = new Map(clients.map(name => [name, issue(name)]))

  const files = (name: string) => ({
    certFile: join(folder, name, 'tls.crt'),
    keyFile: join(folder, name, 'tls.key'),
    caFile: join(folder, 'ca.crt'),
  })
  const identity = readIdentityFiles(files('library'))
  const library = createClient({ origin: server.origin, identity, clientId: 'library', tokenBinding: 'connection' })
  t.teardown(() => library.close())
  const { certFile, keyFile, caFile } = files('sidecar')
  const listen = await findFreePort()
  const sidecar = await startSidecarCommand(t, folder, [
    ...['--upstream', server.origin, '--client-id', 'sidecar', '--binding', 'certificate', '--listen', `${listen}`],
    ...['--cert', certFile, '--key', keyFile, '--ca', caFile],
  ])

  const end = performance.now() + seconds * 1000
  const isRunning = () => performance.now() < end
  const note = (kind: keyof RenewalResult['accepted'], status: number, text: string) => {
    if (status === 200) result.accepted[kind]++
    else result.refused.push(`${kind}: ${status} ${text.slice(0, 200)}`)
  }
  const use = async (kind: 'library' | 'sidecar', send: () => Promise<{ status: number; text(): Promise<string> }>) => {
    try {
      const answer = await send()
      note(kind, answer.status, await answer.text())
    } catch (error) {
      result.refused.push(`${kind}: ${(error as Error).message}`)
    }
  }
  const load = async () => {
    const underWay = new Set<Promise<void>>()
    const begin = performance.now()
    for (let count = 0; isRunning(); count++) {
      const both = [
        use('library', () => library.fetch('/hello')),
        use('sidecar', () => fetch(`${sidecar.address}/hello`)),
      ]
      for (const one of both) {
        underWay.add(one)
        void one.then(() => underWay.delete(one))
      }
      await pause(Math.max(0, begin + ((count + 1) * 1000) / rate - performance.now()))
    }
    await Promise.all(underWay)
  }
  const renew = async () => {
    for (;;) {
      await pause(every * 1000)
      if (!isRunning()) return
      for (const name of clients) {
        current.set(name, issue(name))
        result.renewals++
      }
      onProgress(result)
    }
  }
  const worker = { port, ca: pki.ca.certificate, current: () => current.get('worker') as Identity, every, note }
  await Promise.all([load(), renew(), work(worker, isRunning)])
  return result
}

interface Worker {
  readonly port: number
  readonly ca: string
  readonly current: () => Identity
  readonly every: number
  readonly note: (kind: 'refresh' | 'refreshed token', status: number, text: string) => void
}

/**
 * Two processes of one client that share a refresh token, and refresh it at the same moment. The second one notices a renewed
 * certificate half an interval later.
 */
async function work({ port, ca, current, every, note }: Worker, isRunning: () => boolean): Promise<void> {
  const ask = (who: Identity, form: Record<string, string>) =>
    exchange({ port, ca, who }, '/oauth/token', new URLSearchParams({ client_id: 'worker', ...form }).toString())
  let slow = current()
  let token = (await ask(slow, { grant_type: 'client_credentials', token_binding: 'certificate' })).body.refresh_token
  while (isRunning()) {
    const fast = current()
    const form = { grant_type: 'refresh_token', refresh_token: String(token), token_binding: 'certificate' }
    const answers = await Promise.all([ask(fast, form), ask(slow, form)])
    for (const { status, text } of answers) note('refresh', status, text)
    const [one, other] = answers.map(({ body }) => body.refresh_token)
    if (one !== other) note('refresh', 0, 'two different successors')
    const used = await exchange({ port, ca, who: fast }, '/hello', undefined, String(answers[0]?.body.access_token))
    note('refreshed token', used.status, used.text)
    token = one
    if (slow !== fast) setTimeout(() => (slow = fast), every * 500).unref()
    await pause(Math.min(1000, every * 100))
  }
}

interface From {
  readonly port: number
  readonly ca: string
  readonly who: Identity
}

/** Sends one request on a connection of its own. */
function exchange(
  { port, ca, who }: From,
  path: string,
  form?: string,
  token?: string,
): Promise<{ status: number; text: string; body: Record<string, unknown> }> {
  const headers = {
    host: `localhost:${port}`,
    ...(form !== undefined && { 'content-type': 'application/x-www-form-urlencoded' }),
    ...(token !== undefined && { authorization: `Bearer ${token}` }),
  }
  const method = form === undefined ? 'GET' : 'POST'
  const options = { host: '127.0.0.1', servername: 'localhost', port, path, method, headers, agent: false, ca }
  return new Promise((resolve, reject) => {
    const sent = request({ ...options, cert: who.certificate, key: who.key }, async response => {
      let text = ''
      for await (const chunk of response) text += chunk
      const body = text.startsWith('{') ? JSON.parse(text) : {}
      resolve({ status: response.statusCode as number, text, body })
    })
    sent.on('error', reject).end(form)
  })
}

/** Replaces a certificate and its key as SPIFFE helpers do: each file by a rename. */
function replace(folder: string, { certificate, key }: Identity): void {
  mkdirSync(folder, { recursive: true })
  for (const [name, text] of [
    ['tls.key', key],
    ['tls.crt', certificate],
  ] as const) {
    writeFileSync(join(folder, `${name}.new`), text, { mode: 0o600 })
    renameSync(join(folder, `${name}.new`), join(folder, name))
  }
}
