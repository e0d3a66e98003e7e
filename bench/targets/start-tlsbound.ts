// Starts tlsbound as in production: src/process/main.ts with every default, security events and state included, in a
// temporary folder.
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { main } from '../../src/process/main.ts'
import type { Pki } from '../pki.ts'

const buildAlice = (grantTypes: readonly string[]) => ({
  client_id: 'alice',
  token_endpoint_auth_method: 'tls_client_auth',
  tls_client_auth_subject_dn: 'CN=alice',
  scope: 'notes:read',
  grant_types: grantTypes,
  token_bindings: ['connection'],
})

async function findFreePort(): Promise<string> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return String(port)
}

/** Writes a file that only its owner can read, and returns its path for a setting. */
function write(name: string, text: string): string {
  writeFileSync(name, text, { mode: 0o600 })
  return name
}

/** Starts it with alice registered for these grants; resolves with its port. */
export async function startTlsbound({ ca, server }: Pki, grantTypes: readonly string[]): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'tlsbound-bench-'))
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
  process.chdir(folder)
  const port = await findFreePort()
  await main({
    TLSBOUND_PORT: port,
    TLSBOUND_OPS_PORT: '0',
    TLSBOUND_TLS_CERT_FILE: write('server.crt', server.certificate),
    TLSBOUND_TLS_KEY_FILE: write('server.key', server.key),
    TLSBOUND_TLS_CLIENT_CA_FILE: write('ca.crt', ca.certificate),
    TLSBOUND_CLIENTS_FILE: write('clients.json', JSON.stringify([buildAlice(grantTypes)])),
  })
  return Number(port)
}
