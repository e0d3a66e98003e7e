// kill -9 of a server at random moments under refreshes and revocations. Then its state is compared with its responses (RE01,
// I5, I6, I7): nothing acknowledged is lost, no used token is valid again, no event is missing. CRASH_ROUNDS=500 sets the
// number of kills.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { writeDemoPki } from '../../../src/pki/demo.ts'
import type { TestConnection } from '../../../src/testing/connection.ts'
import { type RunningServer, startTlsbound } from '../../helpers/process/process.ts'
import { claimsOf, refresh, revoke } from '../../helpers/tokens/grants.ts'

const rounds = Number(process.env.CRASH_ROUNDS ?? 6)
const chains = 8
t.setTimeout(60_000 + rounds * 20_000)

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
  TLSBOUND_AUDIT_FILE: 'audit.jsonl',
  TLSBOUND_ISSUER: 'https://localhost:8443', // the same for every start, whatever the port
}

/** The responses to one chain of refreshes, in order. */
interface Journal {
  access: string
  refresh: string
  /** The previous refresh token, if any. */
  before: string | undefined
  /** A refresh or revocation was sent without a response: it may have happened or not. */
  open: boolean
  revoked: boolean
  /** `jti` of all access tokens. */
  readonly issued: string[]
}

interface Life {
  /** How often it refreshes, and whether it then revokes its grant or stops. */
  readonly times: number
  readonly revokes: boolean
  /** Called for each response. */
  readonly onAnswer: () => void
}

/** Gets a grant and refreshes it until the chain ends, or the server is gone. */
async function live(
  t: Test,
  connection: TestConnection,
  { times, revokes, onAnswer }: Life,
): Promise<Journal | undefined> {
  let journal: Journal | undefined
  try {
    const { body } = await connection.requestToken()
    const first = { access: body.access_token, refresh: body.refresh_token, before: undefined }
    journal = { ...first, open: false, revoked: false, issued: [claimsOf(body.access_token).jti] }
    for (let step = 0; ; step++) {
      if (step === times && !revokes) return journal
      journal.open = true
      if (step === times) {
        const { status } = await revoke(connection, journal.refresh)
        if (status !== 200) t.fail(`a revocation was answered with ${status}`)
        onAnswer()
        return Object.assign(journal, { revoked: true, open: false })
      }
      const { status, body } = await refresh(connection, journal.refresh)
      if (status !== 200) t.fail(`a refresh was refused: ${body?.reason}`)
      journal.issued.push(claimsOf(body.access_token).jti)
      const next = { access: body.access_token, refresh: body.refresh_token, before: journal.refresh }
      Object.assign(journal, { ...next, open: false })
      onAnswer()
    }
  } catch {
    return journal // the kill ends a call without an answer
  }
}

const seen = { alive: 0, revoked: 0, cut: 0, issued: 0 }

/** Compares the state of a restarted server with the responses of the previous one. */
async function compare(t: Test, server: RunningServer, journals: readonly Journal[]): Promise<void> {
  const connection = await server.connect('alice')
  for (const journal of journals) {
    seen[journal.revoked ? 'revoked' : journal.open ? 'cut' : 'alive']++
    seen.issued += journal.issued.length
    const use = await connection.get('/api/whoami', journal.access)
    const { status, body } = await refresh(connection, journal.refresh)
    if (journal.revoked) {
      t.match(use, { status: 401, body: { reason: 'revoked' } }, 'stays revoked')
      t.match({ status, body }, { status: 400, body: { reason: 'refresh_revoked' } })
    } else if (journal.open) {
      // It may have happened: then this is a retry, or it was the revocation.
      t.ok(status === 200 || body.reason === 'refresh_revoked', `${status} ${body.reason ?? ''}`)
    } else {
      t.equal(use.status, 200)
      t.equal(status, 200, 'the last token of a response is valid')
    }
    if (journal.before !== undefined)
      t.match(await refresh(connection, journal.before), { status: 400 }, 'the previous one is not')
  }
}

/** Checks that every access token of a response has its event, and that no line of the file is cut or mixed with another. */
function compareEvents(t: Test, journals: readonly Journal[], since: number): number {
  const written = readFileSync(join(folder, 'audit.jsonl'))
  const lines = written.subarray(since).toString().split('\n')
  const events = lines.filter(line => line !== '').map(line => JSON.parse(line))
  t.equal(lines.at(-1), '', 'the last line is complete')
  const told = new Set(events.filter(({ event }) => event === 'token.issued').map(({ jti }) => jti))
  const missing = journals.flatMap(({ issued }) => issued).filter(jti => !told.has(jti))
  t.same(missing, [], 'every token has its event')
  const revocations = events.filter(({ event }) => event === 'token.revoked').length
  t.ok(revocations >= journals.filter(({ revoked }) => revoked).length, 'and every revocation')
  return written.length
}

t.test('keeps everything that was acknowledged before kill -9, and clients continue or ask again', async t => {
  let journals: Journal[] = []
  let written = 0
  const metAll = () => seen.revoked > 0 && seen.cut > 0 && seen.alive > 0
  for (let round = 0; round < rounds || (!metAll() && round < 5 * rounds); round++) {
    const server = await startTlsbound(t, folder, env)
    await compare(t, server, journals)
    const connections = await Promise.all(Array.from({ length: chains }, () => server.connect('alice')))
    const times = [3, 5, 20, Number.POSITIVE_INFINITY]
    const enough = Promise.withResolvers<void>()
    let left = 20 + Math.random() * 100 // responses before the kill, however long they take
    const onAnswer = () => {
      if (left-- < 0) enough.resolve()
    }
    const living = connections.map((one, chain) =>
      live(t, one, { times: times[chain % 4] as number, revokes: chain % 4 !== 1, onAnswer }),
    )
    await enough.promise
    await new Promise(resolve => setTimeout(resolve, Math.random() * 10)) // at any moment
    await server.end('SIGKILL')
    journals = (await Promise.all(living)).filter(journal => journal !== undefined)
    written = compareEvents(t, journals, written)
  }
  await compare(t, await startTlsbound(t, folder, env), journals)
  t.comment(`${rounds} kills: ${JSON.stringify(seen)}`)
  t.ok(metAll(), 'the kills hit chains in each state')
})
