// A server and its ops listener, put together from real parts, each of which can be made to throw. The thrown error contains
// a secret, which no response may show.
import type { AddressInfo } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'
import type { Test } from 'tap'
import type { SecurityEvent } from '../../../src/audit/event.ts'
import type { ErrorLog } from '../../../src/core/guard.ts'
import { createKeyRing } from '../../../src/keys/key-ring.ts'
import { generateTokenKey, importSigningKey } from '../../../src/keys/token-keys.ts'
import { createMetrics } from '../../../src/ops/metrics/metrics.ts'
import { createOpsServer } from '../../../src/ops/server.ts'
import { type DemoPki, makeDemoPki } from '../../../src/pki/demo.ts'
import { createListener } from '../../../src/process/listener.ts'
import { ClientRegistry } from '../../../src/server/clients/registry.ts'
import type { ServerOptions } from '../../../src/server/parts.ts'
import { type Audit, createAudit } from '../../../src/server/record-events.ts'
import { createServer } from '../../../src/server/server.ts'
import { parseSettings } from '../../../src/settings/settings.ts'
import { openSqlite } from '../../../src/store/sqlite.ts'
import type { Store } from '../../../src/store/store.ts'
import { openConnection, type TestConnection } from '../../../src/testing/connection.ts'

/** The parts that can throw. */
export const parts = [
  ...['clock', 'log', 'observer', 'store', 'late store', 'keys', 'clients', 'apply', 'pins', 'enabled', 'drop'],
  ...[
    'audit',
    'ops audit',
    'connection event',
    'connections',
    'log child',
    'warning',
    'plays',
    'later plays',
    'collect',
  ],
] as const
export type Part = (typeof parts)[number]

export const secret = 'what-nobody-may-read'

export interface FaultyServer {
  readonly app: FastifyInstance
  readonly port: number
  readonly pki: DemoPki
  readonly ops: { readonly url: string; readonly token: string }
  readonly store: Store
  readonly audit: Audit
  /** The errors of the log. */
  readonly errors: readonly { readonly message: string; readonly err: unknown }[]
  /** The events received by an observer behind the one that throws. */
  readonly observed: readonly SecurityEvent[]
  /** Makes these parts throw, and no others. */
  fail(...some: Part[]): void
  connect(who: 'alice' | 'bob' | 'stranger', options?: object): Promise<TestConnection>
  /** Waits until the log has an error that matches. */
  logged(message: RegExp): Promise<void>
}

export async function startFaultyServer(
  t: Test,
  clients: readonly object[],
  more: Pick<ServerOptions, 'routes'> & { readonly isDropping?: boolean } = {},
): Promise<FaultyServer> {
  const faults = new Set<Part>()
  const check = (part: Part) => {
    if (faults.has(part)) throw new Error(`${part}: ${secret}`)
  }
  const errors: { message: string; err: unknown }[] = []
  const log: ErrorLog & Record<string, unknown> = {
    level: 'info',
    error(facts, message) {
      check('log')
      errors.push({ message, err: (facts as { err?: unknown }).err })
    },
    ...Object.fromEntries(['fatal', 'info', 'debug', 'trace', 'silent'].map(level => [level, () => {}])),
    warn() {
      check('warning')
    },
    child() {
      check('log child')
      return log
    },
  }
  const clock = () => {
    check('clock')
    return Date.now()
  }

  const settings = parseSettings({})
  const pki = makeDemoPki()
  const real = openSqlite(':memory:')
  const store: Store = new Proxy(real, {
    get(target, name) {
      const member = Reflect.get(target, name)
      if (typeof member !== 'function' || name === 'millisecondsSinceSync' || name === 'follow' || name === 'close')
        return member
      return (...values: unknown[]) => {
        check('store')
        if (faults.has('late store')) return pause(1).then(() => check('late store'))
        return member.apply(target, values)
      }
    },
  })
  const registry = overriding(new ClientRegistry(clients), check, {
    get: 'clients',
    apply: 'apply',
    isPinned: 'pins',
    isEnabled: 'enabled',
  })
  const audit = overriding(
    createAudit(() => {}, log),
    check,
    {
      refused: 'audit',
      adminRefused: 'ops audit',
      connectionRefused: 'connection event',
      connectionClosed: 'connection event',
    },
  )
  const observed: SecurityEvent[] = []
  audit.observe(() => check('observer'))
  audit.observe(event => void observed.push(event))

  const tls = createListener(
    settings,
    {
      material: { cert: pki.server.certificate, key: pki.server.key, ca: pki.ca.certificate },
      clients: registry,
      audit,
      log: log as never,
    },
    {
      dropUnacceptable: more.isDropping === true,
      onDrop: () => check('drop'),
      onError: err => log.error({ err }, 'an unexpected exception has ended a connection'),
      timeouts: { idle: 3600 },
    },
  )
  const keys = overriding(
    createKeyRing([await importSigningKey(await generateTokenKey('ES256'))], Date.now() / 1000),
    check,
    { find: 'keys' },
  )
  const isRecording = () => true
  const metrics = createMetrics({ tls, store, isRecording, expiryWarning: 0 })
  const common = { settings, store, clients: registry, audit, log: log as never, clock }
  const app = await createServer({ ...common, tls, keys, closeAfter: 1, ...(more.routes && { routes: more.routes }) })
  await app.listen({ host: '127.0.0.1', port: 0 })
  const token = 'ops-token'
  const watched = {
    inUse: tls.inUse,
    connections: new Proxy(tls.connections, {
      get(target, name) {
        check('connections')
        const member = Reflect.get(target, name, target)
        return typeof member === 'function' ? member.bind(target) : member
      },
    }),
  }
  const ops = createOpsServer({
    ...common,
    ...{ token, isRecording, metrics, tls: watched },
    isServing() {
      check('collect')
      return true
    },
    playThefts() {
      check('plays')
      return (async function* () {
        check('later plays')
        yield { play: 1 }
      })()
    },
  })
  const url = await ops.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as AddressInfo
  const connections = new Set<TestConnection>()
  t.teardown(async () => {
    faults.clear()
    for (const connection of connections) connection.close()
    await app.close()
    await ops.close()
    await real.close()
  })
  return {
    ...{ app, port, pki, store, audit, errors, observed, ops: { url, token } },
    fail(...some) {
      faults.clear()
      for (const part of some) faults.add(part)
    },
    async connect(who, options = {}) {
      const { certificate: cert, key } = pki[who]
      const tlsOptions = { host: '127.0.0.1', port, servername: 'localhost', ca: pki.ca.certificate, cert, key }
      const connection = await openConnection({ ...tlsOptions, ...options }, who)
      connections.add(connection)
      return connection
    },
    async logged(message) {
      while (!errors.some(one => message.test(one.message))) await pause(1)
    },
  }
}

/** The same object, with some methods that throw first. */
function overriding<T extends object>(target: T, check: (part: Part) => void, members: Record<string, Part>): T {
  return new Proxy(target, {
    get(object, name) {
      const member = Reflect.get(object, name)
      if (typeof member !== 'function') return member
      return (...values: unknown[]) => {
        const part = members[String(name)]
        if (part !== undefined) check(part)
        return member.apply(object, values)
      }
    },
  })
}
