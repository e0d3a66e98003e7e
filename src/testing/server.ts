// A complete tlsbound server inside a test: in-memory certificates and state, a free port, and connections of its
// clients. Its issuer name is a constant, for which tests can sign tokens; users get start.ts.
import '../process/require-node.js'

import { randomBytes } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import { pino } from 'pino'
import { anyRule, checkOptions, describeFound, type Rules, textRule } from '../core/check-options.ts'
import { createKeyRing } from '../keys/key-ring.ts'
import { generateTokenKey, importSigningKeys } from '../keys/token-keys.ts'
import { playThefts } from '../lab/thefts.ts'
import type { Identity } from '../pki/certificate.ts'
import { type DemoPki, makeDemoPki } from '../pki/demo.ts'
import { demoRegistrations } from '../process/demo.ts'
import { readOptionalFiles, wireServer } from '../process/wire.ts'
import { createAudit } from '../server/record-events.ts'
import { parseSettings } from '../settings/settings.ts'
import { openSqlite } from '../store/sqlite.ts'
import { openConnection, type TestConnection } from './connection.ts'
import type { TestServer, TestServerOptions } from './offer.ts'

export { type Identity, issueCertificate } from '../pki/certificate.ts'
export { issueCrl } from '../pki/crl.ts'
export type { Answer, Call, TestConnection } from './connection.ts'
export type { TestServer, TestServerOptions } from './offer.ts'

/** Starts a server on a free port of 127.0.0.1. Close it when the test ends. */
export async function startTestServer(options: TestServerOptions = {}): Promise<TestServer> {
  const pki = options.pki ?? makeDemoPki()
  const settings = parseSettings({ ...options.env })
  const keys = options.signingKeys ?? [await generateTokenKey(settings.signingAlgorithm)]
  const ring = createKeyRing(await importSigningKeys(keys), Date.now() / 1000)
  const store = options.store ?? openSqlite(':memory:')
  let seconds = Math.floor(Date.now() / 1000)
  const events: object[] = []
  const alarms: object[] = []
  const log: string[] = []
  const logger = pino({ level: 'info' }, { write: line => void log.push(line) })
  const clock = () => seconds * 1000
  const audit = createAudit(event => {
    const list = /^(?:theft\.suspected|proxy\.suspected|connection\.closed)$/.test(event.event) ? alarms : events
    list.push(JSON.parse(JSON.stringify(event)))
  }, logger)
  const { closeAfter = 60_000, leakKeys, routes } = options
  const { timeouts = { idle: 3600 } } = options.tls ?? {} // a test may take its time between two requests
  const files = readOptionalFiles(settings)
  const { app, tls, notifier, createOps } = await wireServer({
    ...{ settings, store, audit, clock, closeAfter, log: logger },
    keys: ring,
    registrations: options.clients ?? demoRegistrations,
    material: { cert: pki.server.certificate, key: pki.server.key, ca: pki.ca.certificate },
    files: { ...files, leakKeys: leakKeys ?? files.leakKeys },
    isRecording: () => true,
    tls: { ...options.tls, timeouts: { revoked: closeAfter / 1000, ...timeouts } },
    issuers: { clock, timeout: options.issuerTimeout },
    ...(routes && { routes }),
  })
  try {
    await app.listen({ host: '127.0.0.1', port: options.env?.TLSBOUND_PORT === undefined ? 0 : settings.port })
  } catch (error) {
    await app.close()
    await notifier.close()
    if (options.store === undefined) await store.close()
    throw error
  }
  const { port } = app.server.address() as AddressInfo
  const token = randomBytes(32).toString('base64url')
  const play = () => playThefts({ host: '127.0.0.1', port, cast: castOf(pki), pause: 200 })
  const ops = createOps({ token, ...(options.clients === undefined && { playThefts: play }) })
  const url = options.ops === true ? await ops.listen({ host: '127.0.0.1', port: 0 }) : undefined
  const connections = new Set<TestConnection>()

  const server: TestServer = {
    origin: `https://localhost:${port}`,
    port,
    pki,
    app,
    tls,
    keys: ring,
    events,
    alarms,
    log,
    store,
    notifier,
    ops: url === undefined ? undefined : { url, token },
    get clock() {
      return seconds
    },
    set clock(now) {
      seconds = now
    },
    async connect(who, options = {}) {
      const identity = typeof who === 'string' ? pki[who] : who
      // Without this check a misspelt name would connect without a certificate.
      if (typeof identity?.certificate !== 'string' && who !== null)
        throw new TypeError(
          `who must be ${Object.keys(pki).join(', ')}, an identity or null, not ${describeFound(who)}`,
        )
      checkOptions(options, undefined, {}, connectRules)
      const { clientId, ...tlsOptions } = options
      const name = typeof who === 'string' ? who : 'alice'
      const connection = await openConnection(
        {
          host: '127.0.0.1',
          port,
          servername: 'localhost',
          ca: pki.ca.certificate,
          ...(identity && { cert: identity.certificate, key: identity.key }),
          ...tlsOptions,
        },
        clientId ?? name,
        () => seconds,
      )
      connections.add(connection)
      connection.socket.once('close', () => connections.delete(connection))
      return connection
    },
    async close() {
      for (const connection of connections) connection.close()
      await app.close()
      await ops.close()
      await notifier.close()
      await store.close()
    },
  }
  return server
}

/** The options of `connect`: `clientId`, and those of Node's `tls.connect` that have a meaning here. */
const connectRules: Rules = {
  clientId: textRule,
  ...Object.fromEntries(
    [
      ...[
        'host',
        'port',
        'servername',
        'ALPNProtocols',
        'minVersion',
        'maxVersion',
        'ca',
        'cert',
        'key',
        'passphrase',
        'pfx',
      ],
      ...[
        'crl',
        'ciphers',
        'sigalgs',
        'ecdhCurve',
        'minDHSize',
        'secureContext',
        'secureOptions',
        'secureProtocol',
        'session',
      ],
      ...['rejectUnauthorized', 'requestOCSP', 'enableTrace', 'certificateCompression', 'allowPartialTrustChain'],
      ...[
        'socket',
        'lookup',
        'family',
        'localAddress',
        'localPort',
        'allowHalfOpen',
        'highWaterMark',
        'keepAlive',
        'noDelay',
      ],
      ...['address', 'trusted', 'deadlines', 'signal'],
    ].map(name => [name, anyRule]),
  ),
}

/** The cast of the live page's thefts. */
function castOf({ ca, alice, bob, mallory, stranger }: DemoPki) {
  const named = (clientId: string, identity: Identity) => ({ ...identity, clientId })
  const thieves = { bob: named('bob', bob), mallory: named('mallory', mallory), stranger: named('stranger', stranger) }
  return { ...thieves, alice: named('alice', alice), ca: ca.certificate }
}
