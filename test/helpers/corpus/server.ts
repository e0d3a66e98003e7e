// A real server that loads files of the corpus while it runs, and clients with certificates of the corpus.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import type { Reason } from '../../../src/core/errors.ts'
import { findFreePort } from '../../../src/testing/free-port.ts'
import { startTlsbound } from '../process/process.ts'
import { ConnectionEnded, connectRaw, type RawConnection } from '../tls/tls13-client.ts'
import { pemOf } from './certificate.ts'
import type { ClientEntry, LoadVerdict } from './entry.ts'
import { keyOf } from './keys.ts'
import { pemOfList } from './list.ts'
import { emptyLists } from './lists.ts'
import { serverCertificate } from './server-files.ts'
import { root, sub } from './world.ts'

export interface Presented {
  readonly verdict: 'accepted' | 'handshake fails' | Reason | `status ${number}`
  /** The status of a token request, */
  readonly token: number | undefined
  /** and its security event; undefined where there was none. */
  // biome-ignore lint/suspicious/noExplicitAny: each event has its own members
  readonly event: any
}

export interface Loaded {
  readonly load: LoadVerdict
  /** The server's log about it. */
  readonly log: string
}

export interface CorpusServer {
  /** Loads these files, and the defaults for all others. Rejects if the server has ended. */
  load(files: Files): Promise<Loaded>
  /** Opens a connection with the certificates of an entry. Rejects with ConnectionEnded. */
  connect(client: ClientEntry): Promise<RawConnection>
  /** Returns the verdict on a client, on a new connection. */
  present(client: ClientEntry): Promise<Presented>
  /** Returns the server's verdict on the certificate of a connection. */
  ask(connection: RawConnection): Promise<Presented['verdict']>
  /** Peak memory of the process so far. */
  peakMegabytes(): Promise<number>
}

type Files = Readonly<Record<string, string | Buffer>>

/** The default files of a server; with lists of both authorities, if any. */
export const defaultFiles = (): Files => ({
  'server.crt': pemOf(serverCertificate()),
  'server.key': keyOf('server').privateKey.export({ type: 'pkcs8', format: 'pem' }),
  'ca.crt': root.pem + sub.pem,
  'crl.pem': emptyLists.map(pemOfList).join(''),
  'clients.json': JSON.stringify([
    { client_id: 'alice', token_endpoint_auth_method: 'tls_client_auth', tls_client_auth_subject_dn: 'CN=alice' },
  ]),
})

/** The settings that name the files of a folder. */
export const settingsOf = (folder: string, { withLists = false } = {}): Readonly<Record<string, string>> => ({
  TLSBOUND_TLS_CERT_FILE: join(folder, 'server.crt'),
  TLSBOUND_TLS_KEY_FILE: join(folder, 'server.key'),
  TLSBOUND_TLS_CLIENT_CA_FILE: join(folder, 'ca.crt'),
  ...(withLists && { TLSBOUND_TLS_CLIENT_CRL_FILE: join(folder, 'crl.pem') }),
  TLSBOUND_CLIENTS_FILE: join(folder, 'clients.json'),
})

export function writeFiles(folder: string, files: Files): void {
  mkdirSync(folder, { recursive: true })
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content, { mode: 0o600 })
}

/** Starts it with the default files. It ends with the test. */
export async function startCorpusServer(
  t: { teardown(end: () => unknown): void },
  options: { readonly withLists?: boolean } = {},
): Promise<CorpusServer> {
  const folder = mkdtempSync(join(tmpdir(), 'tlsbound-corpus-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const defaults = defaultFiles()
  writeFiles(folder, defaults)
  const opsPort = await findFreePort()
  const server = await startTlsbound(t, folder, {
    ...settingsOf(folder, options),
    TLSBOUND_OPS_PORT: String(opsPort),
    TLSBOUND_STATE_URL: 'sqlite::memory:',
  })
  const { port } = server
  await fetch(`http://localhost:${opsPort}/health`) // work after the start of listening is then done
  const authority = `Host: localhost:${port}`

  /** Returns the first event that is written after this many characters. */
  async function readNextEvent(before: number): Promise<Presented['event'] | undefined> {
    const isWritten = () => server.stdout().includes('\n', before)
    for (let waited = 0; !isWritten() && waited < 10_000; waited += 10) await pause(10)
    return isWritten() ? JSON.parse(server.stdout().slice(before).split('\n')[0] as string) : undefined
  }

  async function ask(connection: RawConnection): Promise<Presented['verdict']> {
    const { status, body } = await connection.request(`GET /binding HTTP/1.1\r\n${authority}\r\n\r\n`)
    if (status !== 200) return `status ${status}`
    return body.certificate === null ? 'no_certificate' : (body.certificate.reason ?? 'accepted')
  }

  return {
    async load(files) {
      writeFiles(folder, { ...defaults, ...files })
      const since = server.stderr().length
      server.child.kill('SIGHUP')
      await server.seen(/certificates, authorities and revocation lists (were loaded again|stay as they were)/, since)
      const log = server.stderr().slice(since)
      return { load: log.includes('stay as they were') ? 'refused' : 'loaded', log }
    },
    connect: client => connectRaw(port, client),
    ask,
    async present(client) {
      let connection: RawConnection | undefined
      const before = server.stdout().length
      try {
        connection = await connectRaw(port, client)
        const verdict = await ask(connection)
        const form = 'grant_type=client_credentials&client_id=alice'
        const type = 'Content-Type: application/x-www-form-urlencoded'
        const head = ['POST /oauth/token HTTP/1.1', authority, type, `Content-Length: ${form.length}`]
        const { status } = await connection.request(`${head.join('\r\n')}\r\n\r\n${form}`)
        return { verdict, token: status, event: await readNextEvent(before) }
      } catch (error) {
        if (!(error instanceof ConnectionEnded)) throw error
        // The server ends some connections because of the certificate, without a response but with an event; there is none if
        // OpenSSL cannot parse the certificate. Of many equal events one is written a second later.
        const none = pause(client.verdict === 'handshake fails' ? 200 : 3000, undefined, { ref: false })
        const event = error.alert === undefined ? await Promise.race([readNextEvent(before), none]) : undefined
        return { verdict: event?.reason ?? 'handshake fails', token: undefined, event }
      } finally {
        connection?.close()
      }
    },
    async peakMegabytes() {
      const answer = await fetch(`http://localhost:${opsPort}/metrics`)
      const [, octets] = /^process_resident_memory_bytes (\S+)/m.exec(await answer.text()) ?? []
      return Number(octets) / 1_048_576
    },
  }
}
