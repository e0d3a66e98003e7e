// Two servers behind HAProxy, on one PostgreSQL: kills and restarts each of them under load, and shows that no request is refused
// and no revocation is lost. Needs the Debian packages haproxy and postgresql. See README.md.

import { randomBytes } from 'node:crypto'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { readIdentityFiles } from 'tlsbound/client'
import { present, startLoad, withChannel } from './load.ts'
import {
  createPostgres,
  endPrograms,
  findPorts,
  type Program,
  startHaproxy,
  startServer,
  tlsbound,
  writeSecret,
} from './programs.ts'

/** Milliseconds of load between two steps. */
const interval = 700

/** The client of the load. */
const registration = {
  client_id: 'alice',
  token_endpoint_auth_method: 'tls_client_auth',
  tls_client_auth_subject_dn: 'CN=alice',
  scope: 'notes:read',
  grant_types: ['client_credentials'],
  token_bindings: ['connection', 'certificate'],
}

const folder = mkdtempSync(join(tmpdir(), 'tlsbound-ha-'))
// Each time: a second signal must not leave the programs and the folder behind.
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.on(signal, () => void stopAll().then(() => process.exit(1)))

try {
  process.exitCode = (await run()) ? 0 : 1
} finally {
  await stopAll()
}

async function stopAll(): Promise<void> {
  await endPrograms()
  rmSync(folder, { recursive: true, force: true })
}

/** Resolves with whether nothing was refused or lost. */
async function run(): Promise<boolean> {
  chmodSync(folder, 0o755) // the user of PostgreSQL enters it
  const [listen, database, aPort, aProbe, bPort, bProbe] = (await findPorts(6)) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ]
  const issuer = `https://localhost:${listen}`
  const passwordFile = join(folder, 'database-password')
  writeSecret(passwordFile, randomBytes(24).toString('hex'))
  tlsbound(folder, 'certs')
  tlsbound(folder, 'keys', 'create', 'signing-keys.json')
  writeFileSync(join(folder, 'clients.json'), JSON.stringify([registration]))

  step('start PostgreSQL, servers a and b, and HAProxy')
  const startDatabase = createPostgres(folder, database, passwordFile)
  let postgres = await startDatabase()
  const servers = new Map<string, Program>()
  const ports = { a: [aPort, aProbe], b: [bPort, bProbe] } as const
  const startOne = async (name: 'a' | 'b') => {
    const [port, probePort] = ports[name]
    servers.set(name, await startServer(folder, settingsOf({ name, port, probePort, issuer, database, passwordFile })))
  }
  await Promise.all([startOne('a'), startOne('b')])
  await startHaproxy(folder, {
    ...{ LISTEN_PORT: listen, A_PORT: aPort, A_PROBE_PORT: aProbe, B_PORT: bPort, B_PROBE_PORT: bProbe },
  })

  const identity = readIdentityFiles({
    ...{ certFile: join(folder, 'certs/alice.crt'), keyFile: join(folder, 'certs/alice.key') },
    caFile: join(folder, 'certs/ca.crt'),
  })()
  const load = startLoad(issuer, identity, 8)
  await pause(interval)
  for (const signal of ['SIGKILL', 'SIGTERM'] as const)
    for (const name of ['a', 'b'] as const) {
      step(`end server ${name} with ${signal}, and start it again`)
      await servers.get(name)?.end(signal)
      await pause(interval)
      await startOne(name)
      await pause(interval)
    }
  step('restart PostgreSQL')
  await postgres.end('SIGINT')
  await pause(500)
  postgres = await startDatabase()
  await pause(2 * interval)
  await load.stop()

  step('present the revoked tokens, and one that was not revoked, to both servers')
  const { counts, revoked } = load
  const valid = await withChannel(issuer, identity, channel => channel.token())
  const found = await Promise.all(
    [aPort, bPort].map(port =>
      withChannel(`https://localhost:${port}`, identity, async channel => {
        let known = 0
        for (const token of revoked) if ((await present(channel, token)) === '401 revoked') known++
        return { known, isValid: (await present(channel, valid)) === '200' }
      }),
    ),
  )
  const refusals = [...counts.refusals.values()].reduce((sum, count) => sum + count, 0)
  const knownByBoth = Math.min(...found.map(({ known }) => known))
  for (const [result, count] of counts.refusals) console.log(`refused ${count} times: ${result}`)
  console.log(
    [
      `requests: ${counts.requests}, of which the client library sent ${counts.repeated} again`,
      `connections: ${counts.connections}`,
      `tokens: ${counts.tokens}`,
      `refusals: ${refusals}`,
      `revocations: ${revoked.length}, known by both servers: ${knownByBoth}`,
      `revocations that were sent again, because no server could store them: ${counts.revocationsRepeated}`,
      `a token that was not revoked: ${found.every(({ isValid }) => isValid) ? 'accepted by both servers' : 'refused'}`,
    ].join('\n'),
  )
  const isWorking = counts.requests > 0 && revoked.length > 0
  return isWorking && refusals === 0 && knownByBoth === revoked.length && found.every(({ isValid }) => isValid)
}

interface ServerOptions {
  readonly name: string
  readonly port: number
  readonly probePort: number
  readonly issuer: string
  readonly database: number
  readonly passwordFile: string
}

/** The settings of a server. All servers have the same, except for ports and for their own files. */
function settingsOf({ name, port, probePort, issuer, database, passwordFile }: ServerOptions) {
  return {
    TLSBOUND_ISSUER: issuer,
    TLSBOUND_SIGNING_KEYS_FILE: 'signing-keys.json',
    TLSBOUND_STATE_URL: `postgres://tlsbound@127.0.0.1:${database}/postgres`,
    TLSBOUND_STATE_PASSWORD_FILE: passwordFile,
    TLSBOUND_CLIENTS_FILE: 'clients.json',
    TLSBOUND_TLS_CERT_FILE: 'certs/server.crt',
    TLSBOUND_TLS_KEY_FILE: 'certs/server.key',
    TLSBOUND_TLS_CLIENT_CA_FILE: 'certs/ca.crt',
    TLSBOUND_PROXY_PROTOCOL_FROM: '127.0.0.2',
    TLSBOUND_PORT: String(port),
    TLSBOUND_PROBE_PORT: String(probePort),
    TLSBOUND_OPS_PORT: '0',
    TLSBOUND_DATA_DIR: `data-${name}`,
    TLSBOUND_AUDIT_FILE: `events-${name}.jsonl`,
  }
}

function step(what: string): void {
  console.log(`- ${what}`)
}
