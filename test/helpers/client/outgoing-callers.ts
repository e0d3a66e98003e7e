// Every outgoing TLS connection of tlsbound, each as one call to a server that offers everything: metadata, tokens, keys of
// an issuer and of a reporter, a resource and a webhook.
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { request as httpRequest } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { command as call } from '../../../src/cli/call.ts'
import type { Command, Values } from '../../../src/cli/command.ts'
import { verifySignature } from '../../../src/cli/judge-token.ts'
import { chooseMatrix } from '../../../src/cli/lab/matrix.ts'
import { command as token } from '../../../src/cli/token.ts'
import { connect, createClient, type Identity } from '../../../src/client/client.ts'
import { OAuthError } from '../../../src/core/errors.ts'
import { openConnection as openLabConnection } from '../../../src/lab/connection.ts'
import { deliver } from '../../../src/notify/deliver.ts'
import { connectTls } from '../../../src/outgoing/connect.ts'
import { fetchJson } from '../../../src/outgoing/request.ts'
import { createRemoteReporterKeys } from '../../../src/server/incidents/reporter-keys.ts'
import { startSidecar } from '../../../src/sidecar/sidecar.ts'
import { PostgresClient } from '../../../src/store/postgres-client.ts'
import { readConfig } from '../../../src/store/postgres-connection.ts'
import { openConnection as openTestConnection } from '../../../src/testing/connection.ts'
import { openIssuerKeys } from '../../../src/verify/issuer-keys.ts'

/** A server on 127.0.0.1 with the name localhost, and its caller. */
export interface Called {
  readonly origin: string
  readonly port: number
  /** The port at which it speaks the start of PostgreSQL's protocol, and rejects every login. */
  readonly databasePort?: number
  readonly identity: Identity
}

/** In the form of an access token, without a valid signature. */
const accessToken = [{ typ: 'at+jwt', alg: 'ES256', kid: 'one' }, {}, {}]
  .map(part => Buffer.from(JSON.stringify(part)).toString('base64url'))
  .join('.')

/** Seconds that a caller with its own timeout waits. */
const timeout = 5

/**
 * Key exchange groups, including some that are not offered by default: TLS 1.2 accepts no key on a curve that is not offered.
 */
export const groups = 'P-256:brainpoolP256r1:brainpoolP384r1:secp256k1:secp224k1:sect283k1'

/** The response of the test's database to every client. */
export const letsNobodyIn = 'no login is accepted'

/** Each resolves when its call succeeds, and rejects with the reason otherwise. */
export const callers: Readonly<Record<string, (called: Called) => Promise<void>>> = {
  connectTls: async ({ port, identity: { ca } }) => {
    ;(await connectTls({ host: '127.0.0.1', port, servername: 'localhost', ca })).destroy()
  },
  'connectTls, TLS 1.2': async ({ port, identity: { ca } }) => {
    const versions = { minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' } as const
    ;(
      await connectTls({ host: '127.0.0.1', port, servername: 'localhost', ca, ecdhCurve: groups, ...versions })
    ).destroy()
  },
  'connectTls, resumed': async ({ port, identity: { ca } }) => {
    for (const maxVersion of ['TLSv1.3', 'TLSv1.2'] as const) {
      const versions = { minVersion: 'TLSv1.2', maxVersion } as const
      const options = { host: '127.0.0.1', port, servername: 'localhost', ca, ecdhCurve: groups, ...versions }
      const first = await connectTls({ ...options, ALPNProtocols: ['http/1.1'] })
      first.write('GET /api/whoami HTTP/1.1\r\nHost: localhost\r\n\r\n')
      await once(first, 'data')
      const session = first.getSession() as Buffer
      first.destroy()
      const second = await connectTls({ ...options, session })
      const isReused = second.isSessionReused()
      second.destroy()
      if (!isReused) throw new Error(`${maxVersion}: nothing was resumed;`)
    }
  },
  fetchJson: async ({ origin, identity: { ca } }) => void (await fetchJson(new URL('/jwks', origin), { ca })),
  'connect, HTTP/2': ({ origin, identity }) => useChannel(origin, identity, true),
  'connect, HTTP/1.1': ({ origin, identity }) => useChannel(origin, identity, false),
  'client, HTTP/2': ({ origin, identity }) => useClient(origin, identity, true),
  'client, HTTP/1.1': ({ origin, identity }) => useClient(origin, identity, false),
  sidecar: ({ origin, identity }) =>
    inFolder(async folder => {
      const client = createClient({ origin, identity, clientId: 'alice', timeout })
      const sidecar = await startSidecar({ client, listen: { path: join(folder, 's') } })
      try {
        const { status, text } = await get(join(folder, 's'))
        if (status !== 200) throw new Error(`${status} ${text}`)
      } finally {
        await sidecar.close(0)
      }
    }),
  'tlsbound token': ({ origin, identity }) => runWithFiles(token, identity, {}, origin),
  'tlsbound call': ({ origin, identity }) =>
    runWithFiles(call, identity, { output: '/dev/null' }, `${origin}/api/whoami`),
  'tlsbound inspect': async ({ origin, identity: { ca } }) => {
    const found = await verifySignature(accessToken, origin, { ca })
    if (!found.verified) throw new Error(found.why)
  },
  'tlsbound inspect, as a client': async ({ origin, identity }) => {
    const found = await verifySignature(accessToken, origin, { identity })
    if (!found.verified) throw new Error(found.why)
  },
  'tlsbound lab': async ({ origin, identity: { certificate, key, ca } }) => {
    const alice = { certificate, key, clientId: 'alice', name: 'alice' }
    const cast = { ca, alice, bob: undefined, mallory: undefined, stranger: undefined, issue: undefined }
    const options = { profile: 'rfc8705', resource: `${origin}/api/whoami` }
    await chooseMatrix(new URL(origin), { ...cast, signClaims: undefined } as never, options)
  },
  lab: ({ port, identity }) => useConnection(openLabConnection, port, identity),
  'tlsbound/testing': ({ port, identity }) =>
    useConnection(options => openTestConnection(options, 'alice'), port, identity),
  'keys of an issuer': async ({ origin, identity: { ca } }) => {
    const { find } = openIssuerKeys({ uri: `${origin}/jwks`, ca }, { issuer: origin, algorithms: ['ES256'] })
    await withCause(Promise.resolve(find('ES256', 'one')))
  },
  'keys of a reporter': ({ origin, identity: { ca } }) =>
    withCause(Promise.resolve(createRemoteReporterKeys({ uri: `${origin}/reporters`, ca })('one'))),
  PostgreSQL: ({ databasePort, identity: { ca } }) =>
    inFolder(async folder => {
      const file = join(folder, 'ca.crt')
      writeFileSync(file, ca)
      const url = `postgres://user:password@localhost:${databasePort}/db?sslmode=verify-full&sslrootcert=${file}`
      const { config } = readConfig(url)
      const client = new PostgresClient(config)
      client.on('error', () => {})
      await client.connect().catch((error: Error) => {
        if (error.message !== letsNobodyIn) throw new Error(`localhost:${databasePort}: ${error.message};`)
      })
      await client.end().catch(() => {})
    }),
  webhook: async ({ origin, identity: { ca } }) => {
    const address = { url: new URL('/hook', origin), secrets: [randomBytes(32)], ca, allowInternal: true }
    const attempt = { timestamp: 0, timeout: 5000, signal: new AbortController().signal }
    const delivery = await deliver(address, { id: 'msg_1', body: '{}' }, attempt)
    if (delivery.outcome !== 'done') throw new Error(`${origin}: ${delivery.problem};`)
  },
}

async function useChannel(origin: string, identity: Identity, http2: boolean): Promise<void> {
  const channel = await connect(origin, identity, { clientId: 'alice', http2 })
  try {
    await channel.token()
  } finally {
    channel.destroy()
  }
}

async function useClient(origin: string, identity: Identity, http2: boolean): Promise<void> {
  const client = createClient({ origin, identity, clientId: 'alice', http2, timeout })
  try {
    await (await client.fetch('/api/whoami')).text()
  } finally {
    await client.dispatcher.destroy()
  }
}

async function useConnection(
  open: typeof openLabConnection,
  port: number,
  { certificate: cert, key, ca }: Identity,
): Promise<void> {
  const connection = await open({ host: '127.0.0.1', port, servername: 'localhost', ca, cert, key })
  try {
    await connection.call('/api/whoami')
  } finally {
    connection.close()
  }
}

/** The message for the server's client is short; its cause has the reason. */
async function withCause(found: Promise<unknown>): Promise<void> {
  try {
    if ((await found) === undefined) throw new Error('no key')
  } catch (error) {
    throw error instanceof OAuthError ? error.cause : error
  }
}

function runWithFiles(command: Command, identity: Identity, values: Values, word: string): Promise<void> {
  return inFolder(async folder => {
    const files = { ca: identity.ca, cert: identity.certificate, key: identity.key }
    for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text, { mode: 0o600 })
    const paths = Object.fromEntries(Object.keys(files).map(name => [name, join(folder, name)]))
    await command.run({ ...paths, 'client-id': 'alice', ...values }, [word])
  })
}

async function inFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'tlsbound-'))
  try {
    await use(folder)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

function get(socketPath: string): Promise<{ status: number | undefined; text: string }> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(
      { socketPath, path: '/api/whoami', headers: { host: 'any' }, agent: false },
      async answer => {
        let text = ''
        for await (const chunk of answer) text += chunk
        resolve({ status: answer.statusCode, text })
      },
    )
    request.on('error', reject).end()
  })
}
