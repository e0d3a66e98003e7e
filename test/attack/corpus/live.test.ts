// The corpus of authorities and revocation lists, loaded while connections are open. If a new handshake of a client is
// refused, its old connection ends too, immediately if a list names its certificate. Files that are refused change nothing.
import t from 'tap'
import { startTestServer } from '../../../src/testing/server.ts'
import type { TlsMaterial } from '../../../src/tls/options.ts'
import { buildTrusts } from '../../helpers/corpus/corpus.ts'
import type { ClientEntry, TrustEntry } from '../../helpers/corpus/entry.ts'
import { defaultFiles } from '../../helpers/corpus/server.ts'
import { ConnectionEnded, connectRaw, type RawConnection } from '../../helpers/tls/tls13-client.ts'
import { until } from '../../helpers/until.ts'

const files = defaultFiles()
const texts = {
  cert: String(files['server.crt']),
  key: String(files['server.key']),
  ca: String(files['ca.crt']),
}
const withoutLists: TlsMaterial = texts
const withLists: TlsMaterial = { ...texts, crl: String(files['crl.pem']) }

const server = await startTestServer({
  tls: { ...texts, timeouts: { retirement: 0, retirementGrace: 0, revoked: 0.05 } },
})
t.teardown(() => server.close())

t.test('ends a live connection if a new handshake of its client is refused, for each list and authority', async t => {
  const entries = buildTrusts().filter(isAboutContent)
  const problems: string[] = []
  for (const entry of entries) problems.push(...(await findDisagreements(entry)).map(text => `${entry.name}: ${text}`))
  t.same(problems, [])
  t.comment(`authorities and lists on live connections: ${entries.length}`)
})

/** The encoding of a file makes no difference to connections. */
function isAboutContent({ name, kind }: TrustEntry): boolean {
  return kind === 'revocation lists' ? !name.startsWith('list file:') : /between others: (?!name)/.test(name)
}

async function findDisagreements({ kind, files, served, refused }: TrustEntry): Promise<string[]> {
  const usual = kind === 'revocation lists' ? withLists : withoutLists
  server.tls.reload(usual)
  const clients = await Promise.all(
    [...served, ...refused].map(async client => {
      const live = await connectRaw(server.port, client)
      return { client, live, wasAccepted: (await ask(live)) === 'accepted' }
    }),
  )
  const isLoaded = tryLoad({
    ...texts,
    ca: String(files['ca.crt']),
    ...(files['crl.pem'] && { crl: String(files['crl.pem']) }),
  })
  const problems: string[] = []
  for (const { client, live, wasAccepted } of clients) {
    const fresh = await present(client)
    const later = await ask(live)
    const { name } = client
    if (!wasAccepted) continue // it was refused before
    if (!isLoaded && (fresh !== 'accepted' || later !== 'accepted'))
      problems.push(`${name} is ${fresh} and ${later}, though nothing was loaded`)
    if (fresh === 'certificate_revoked' && later === 'accepted')
      problems.push(`${name} is revoked, but accepted on its connection`)
    if (isLoaded && fresh !== 'accepted')
      await until(() => live.hasEnded()).catch(() =>
        problems.push(`${name} is ${fresh}, but its connection stays open`),
      )
  }
  for (const { live } of clients) live.close()
  return problems
}

function tryLoad(material: TlsMaterial): boolean {
  try {
    server.tls.reload(material)
    return true
  } catch {
    return false
  }
}

async function present(client: ClientEntry): Promise<string> {
  const connection = await connectRaw(server.port, client).catch(() => undefined)
  const verdict = connection === undefined ? 'ended' : await ask(connection)
  connection?.close()
  return verdict
}

/** The server's verdict on the certificate of a connection; `ended` if it no longer responds. */
async function ask(connection: RawConnection): Promise<string> {
  try {
    const { status, body } = await connection.request(`GET /binding HTTP/1.1\r\nHost: localhost\r\n\r\n`)
    return status === 200 ? (body.certificate?.reason ?? 'accepted') : `status ${status}`
  } catch (error) {
    if (error instanceof ConnectionEnded) return 'ended'
    throw error
  }
}
