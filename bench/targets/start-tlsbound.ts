// Starts tlsbound as in production: src/process/main.ts with every default, security events and state included, in a
// temporary folder.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { main } from '../../src/process/main.ts'
import { findFreePort } from '../../src/testing/free-port.ts'
import { api, type Who } from '../load/client.ts'
import type { Pki } from '../pki.ts'
import { copyGrownState, grown, grownClients } from './grown.ts'

const register = (name: Who, more: object) => ({
  client_id: name,
  token_endpoint_auth_method: 'tls_client_auth',
  tls_client_auth_subject_dn: `CN=${name}`,
  scope: 'notes:read',
  token_bindings: ['connection', 'certificate', 'proof'],
  ...more,
})

/** Writes a file that only its owner can read, and returns its path for a setting. */
function write(name: string, text: string): string {
  writeFileSync(name, text, { mode: 0o600 })
  return name
}

interface Options {
  /** Routes of the gateway. */
  routes?: readonly object[]
  /** Processes that answer requests. */
  workers?: number
  /** With a state that has grown for years. */
  isGrown?: boolean
}

/** Starts it with alice registered for these grants, and bob for opaque tokens; resolves with its port. */
export async function startTlsbound(
  { ca, server }: Pki,
  grantTypes: readonly string[],
  { routes, workers = 1, isGrown = false }: Options = {},
): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'tlsbound-bench-'))
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
  process.chdir(folder)
  const port = await findFreePort()
  const clients = [
    register('alice', { grant_types: grantTypes }),
    register('bob', { access_token_format: 'opaque', resource: api }),
    ...(isGrown ? grownClients() : []),
  ]
  if (isGrown) {
    mkdirSync('data')
    await copyGrownState('data/tlsbound.db')
  }
  const start = performance.now()
  await main({
    TLSBOUND_PORT: String(port),
    TLSBOUND_OPS_PORT: '0',
    TLSBOUND_WORKERS: String(workers),
    TLSBOUND_TLS_CERT_FILE: write('server.crt', server.certificate),
    TLSBOUND_TLS_KEY_FILE: write('server.key', server.key),
    TLSBOUND_TLS_CLIENT_CA_FILE: write('ca.crt', ca.certificate),
    TLSBOUND_CLIENTS_FILE: write('clients.json', JSON.stringify(clients)),
    ...(routes && { TLSBOUND_GATEWAY_FILE: write('gateway.json', JSON.stringify(routes)) }),
  })
  if (isGrown) console.error(`started in ${Math.round(performance.now() - start)} ms, with ${JSON.stringify(grown)}`)
  return port
}
