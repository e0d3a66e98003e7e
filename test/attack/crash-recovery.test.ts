// kill -9 of a whole server at random moments under refreshes and revocations, then what it knows is held against what it
// had answered (RE01, I5, I6): nothing acknowledged is lost, nothing used up is good again.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { writeDemoPki } from '../../src/pki/demo.ts'
import type { TestConnection } from '../../src/testing/connection.ts'
import { refresh, revoke } from '../helpers/grants.ts'
import { startTlsbound } from '../helpers/process.ts'

t.setTimeout(120_000)
const rounds = 5
const chains = 8

const folder = mkdtempSync(join(tmpdir(), 'tlsbound-crash-'))
t.teardown(() => rmSync(folder, { recursive: true }))
writeDemoPki(join(folder, 'certs'))
const registration = {
  client_id: 'alice',
  token_endpoint_auth_method: 'tls_client_auth',
  tls_client_auth_subject_dn: 'CN=alice',
  scope: 'notes:read',
  grant_types: ['client_credentials', 'refresh_token'],
  token_bindings: ['certificate'],
}
writeFileSync(join(folder, 'clients.json'), JSON.stringify([registration]))
const env = {
  TLSBOUND_OPS_PORT: '0',
  TLSBOUND_TLS_CERT_FILE: 'certs/server.crt',
  TLSBOUND_TLS_KEY_FILE: 'certs/server.key',
  TLSBOUND_TLS_CLIENT_CA_FILE: 'certs/ca.crt',
  TLSBOUND_CLIENTS_FILE: 'clients.json',
  TLSBOUND_ISSUER: 'https://localhost:8443', // the same for every start, whatever the port
}

/** What one chain of refreshes was answered, written down as it came. */
interface Journal {
  access: string
  refresh: string
  /** A refresh or revocation was asked for, and its answer never came: either may have happened. */
  open: boolean
  revoked: boolean
}

/** Refreshes again and again, or revokes, until the server is gone. */
async function work(connection: TestConnection, journal: Journal, revokeAfter: number): Promise<void> {
  try {
    for (let step = 0; ; step++) {
      journal.open = true
      if (step === revokeAfter) {
        const { status } = await revoke(connection, journal.refresh)
        t.equal(status, 200)
        Object.assign(journal, { revoked: true, open: false })
        return
      }
      const { status, body } = await refresh(connection, journal.refresh)
      if (status !== 200) throw new Error(`refused: ${body?.reason}`)
      Object.assign(journal, { access: body.access_token, refresh: body.refresh_token, open: false })
    }
  } catch (error) {
    // The kill ends a call without an answer; a refusal would be a fault.
    if ((error as Error).message.startsWith('refused')) t.fail((error as Error).message)
  }
}

t.test('after kill -9 all that was answered has happened, and a client goes on or asks anew', async t => {
  let [alive, dead, cut] = [0, 0, 0]
  for (let round = 0; round < rounds; round++) {
    const server = await startTlsbound(t, folder, env)
    const connections = await Promise.all(Array.from({ length: chains }, () => server.connect('alice')))
    const journals = await Promise.all(
      connections.map(async (connection): Promise<Journal> => {
        const { body } = await connection.requestToken()
        return { access: body.access_token, refresh: body.refresh_token, open: false, revoked: false }
      }),
    )
    const working = connections.map((connection, chain) =>
      work(connection, journals[chain] as Journal, chain % 2 === 0 ? 3 + chain : Number.POSITIVE_INFINITY),
    )
    await new Promise(resolve => setTimeout(resolve, 100 + Math.random() * 500))
    await server.end('SIGKILL')
    await Promise.all(working)

    const again = await startTlsbound(t, folder, env)
    const connection = await again.connect('alice')
    for (const journal of journals) {
      const use = await connection.get('/api/whoami', journal.access)
      if (journal.revoked) {
        dead++
        t.match({ status: use.status, reason: use.body.reason }, { status: 401, reason: 'revoked' }, 'stays revoked')
        t.match(await refresh(connection, journal.refresh), { status: 400, body: { reason: 'refresh_revoked' } })
      } else if (journal.open) {
        cut++ // the refresh may have happened: then this is a retry, or a race within the second, but never a fault
        const { status, body } = await refresh(connection, journal.refresh)
        t.ok(status === 200 || /^refresh_(reused|revoked)$/.test(body.reason), `${status} ${body.reason ?? ''}`)
      } else {
        alive++
        t.equal(use.status, 200)
        t.equal((await refresh(connection, journal.refresh)).status, 200, 'the last token that was answered is good')
      }
    }
    await again.end('SIGKILL')
  }
  t.comment(`${alive} chains at rest, ${dead} revoked, ${cut} cut off in mid-answer`)
  t.ok(dead > 0 && cut > 0, 'the kills met both revocations and refreshes under way')
})
