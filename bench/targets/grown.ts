// A state that has grown for years: made once, and copied for each server that is measured.
import { randomBytes, randomUUID } from 'node:crypto'
import { constants, copyFileSync, existsSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { buildRevocation } from '../../src/core/revocations.ts'
import { openSqlite } from '../../src/store/sqlite.ts'
import { schemaVersion } from '../../src/store/sqlite-file.ts'

/** Numbers of what the state holds. */
export const grown = { grants: 1_000_000, revocations: 1_000_000, clients: 100_000 }

const portion = 5000
const year = 365 * 86_400

/** Copies the grown state to `path`; makes it first if there is none, which takes minutes. */
export async function copyGrownState(path: string): Promise<void> {
  const folder = fileURLToPath(new URL('../results/', import.meta.url))
  const made = `${folder}grown-${grown.grants}-${grown.revocations}-${schemaVersion}.db`
  if (!existsSync(made)) {
    mkdirSync(folder, { recursive: true })
    const unfinished = `${made}.new`
    for (const name of [unfinished, `${unfinished}-wal`]) rmSync(name, { force: true })
    await fill(unfinished)
    renameSync(unfinished, made)
  }
  copyFileSync(made, path, constants.COPYFILE_FICLONE)
}

async function fill(path: string): Promise<void> {
  const store = openSqlite(path)
  const created = Math.floor(Date.now() / 1000)
  const expires = created + year
  await repeat(grown.revocations, () => store.revoke({ ...buildRevocation('token', randomUUID(), created), expires }))
  await repeat(grown.grants, index =>
    store.createGrant(
      {
        ...{ id: randomUUID(), clientId: nameOf(index % grown.clients), subject: nameOf(index % grown.clients) },
        ...{
          scope: 'notes:read',
          audience: 'https://localhost',
          binding: 'connection' as const,
          rotation: 'rotate' as const,
        },
        ...{ certificate: randomBytes(32).toString('base64url'), created, expires },
      },
      randomBytes(32).toString('base64url'),
    ),
  )
  await store.acknowledge()
  await store.close()
}

async function repeat(count: number, work: (index: number) => Promise<unknown>): Promise<void> {
  for (let done = 0; done < count; done += portion)
    await Promise.all(Array.from({ length: Math.min(portion, count - done) }, (_, index) => work(done + index)))
}

const nameOf = (index: number) => `client-${index}`

/** Returns the registrations of the grown clients. */
export const grownClients = (): object[] =>
  Array.from({ length: grown.clients }, (_, index) => ({
    client_id: nameOf(index),
    token_endpoint_auth_method: 'tls_client_auth',
    tls_client_auth_subject_dn: `CN=${nameOf(index)}`,
    scope: 'notes:read',
  }))
