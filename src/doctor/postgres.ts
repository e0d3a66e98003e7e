// A PostgreSQL store: whether it is reachable, has the required session settings, schema version and privileges, and
// its clock. Writes nothing.
import type { Client } from 'pg'
import { PostgresClient } from '../store/postgres-client.ts'
import { readConfig } from '../store/postgres-connection.ts'
import { describeExposure } from '../store/postgres-exposure.ts'
import type { FindPassword } from '../store/postgres-password.ts'
import { schemaVersion } from '../store/postgres-schema.ts'
import { describeRefusal, SessionError, verifyConnection } from '../store/postgres-session.ts'
import { type Finding, failure, good, splitRemedy, warning } from './finding.ts'
import type { ClockReading } from './remote-json.ts'
import { checkServers } from './servers.ts'

export interface PostgresParts {
  /** Receives the clock of the database. */
  readonly readings: ClockReading[]
  /** The file of the signing keys of this server. */
  readonly keysFile: string
  readonly findPassword?: FindPassword | undefined
}

/** Checks the database at `url`, which may contain a password and is never reported, and the servers that use it. */
export async function checkPostgres(
  url: string,
  { readings, keysFile, findPassword }: PostgresParts,
): Promise<Finding[]> {
  const { config, session } = readConfig(url, findPassword)
  const client = new PostgresClient(config)
  client.on('error', () => {}) // a lost connection fails its query
  const where = `${client.database} at ${client.host}:${client.port}`
  try {
    await client.connect()
    const { rows } = await client.query<Status>(statusQuery, [session.schema])
    const [status] = rows as [Status]
    const ours = Date.now()
    readings.push({ of: `the database ${where}`, theirs: Number(status.clock), ours })
    const findings = [good(`${where}: PostgreSQL ${status.server}, as ${status.role}`)]
    const exposure = describeExposure(url)
    if (exposure !== undefined) findings.push(warning(...splitRemedy(exposure)))
    try {
      await verifyConnection(client, session)
      findings.push(good(`${where}: the connection has the required settings and can write`))
    } catch (error) {
      if (!(error instanceof SessionError)) throw error
      findings.push(failure(`${where}: ${error.message}`))
    }
    const schema = await checkSchema(client, session.schema, status)
    const isUsed = findings.at(-1)?.verdict === 'good' && schema.verdict === 'good' && (await hasServers(client))
    const ahead = ours - Number(status.clock)
    return [...findings, schema, ...(isUsed ? await checkServers(client, keysFile, ahead) : [])]
  } catch (error) {
    const refusal = describeRefusal(error)
    if (refusal !== undefined) return [failure(`${where}: ${refusal.message}`)]
    const { code, message } = error as NodeJS.ErrnoException
    return [failure(`${where}: ${message || code}`, 'check address, user, password and network')]
  } finally {
    await client.end().catch(() => {})
  }
}

/** Whether the schema has the table of the servers, which older ones lack. */
async function hasServers(client: Client): Promise<boolean> {
  return (await client.query("SELECT to_regclass('servers') IS NOT NULL AS there")).rows[0].there
}

interface Status {
  readonly clock: string
  readonly server: string
  readonly role: string
  /** Whether the schema exists, and whether this role may create it. */
  readonly there: boolean
  readonly may_create: boolean
}

const statusQuery = `
  SELECT extract(epoch FROM clock_timestamp()) * 1000 AS clock, current_setting('server_version') AS server,
    current_user AS role, EXISTS (SELECT FROM pg_namespace WHERE nspname = $1) AS there,
    has_database_privilege(current_database(), 'CREATE') AS may_create`

async function checkSchema(
  client: Client,
  schema: string,
  { there, may_create: mayCreate, role }: Status,
): Promise<Finding> {
  const [name, owner] = [client.escapeIdentifier(schema), client.escapeIdentifier(role)]
  if (!there) {
    if (mayCreate) return good(`schema ${schema}: does not exist yet; the server creates it when it starts`)
    const remedy = `create it as the owner of the database: CREATE SCHEMA ${name} AUTHORIZATION ${owner}`
    return failure(`schema ${schema}: does not exist, and ${role} may not create it`, remedy)
  }
  const { rows: rights } = await client.query("SELECT has_schema_privilege($1, 'USAGE') AS usage", [schema])
  if (!rights[0].usage)
    return failure(`schema ${schema}: ${role} may not use it`, `GRANT USAGE ON SCHEMA ${name} TO ${owner}`)
  const version = await readVersion(client, name)
  const found = `schema ${schema}: version ${version}, this release uses ${schemaVersion}`
  if (version > schemaVersion) return failure(`${found}: it was written by a newer release`, 'install that release')
  const { rows: tables } = await client.query<{ name: string }>(missingRights, [schema])
  if (tables.length > 0) {
    const names = tables.map(table => table.name).join(', ')
    const remedy = `GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA ${name} TO ${owner}`
    return failure(`schema ${schema}: ${role} may not read and write ${names}`, remedy)
  }
  return good(version < schemaVersion ? `${found}: the server migrates it when it starts` : found)
}

/** `name`: the schema as an identifier. */
async function readVersion(client: Client, name: string): Promise<number> {
  const { rows } = await client.query('SELECT to_regclass($1) IS NOT NULL AS there', [`${name}.tlsbound_schema`])
  if (!rows[0].there) return 0
  return (await client.query(`SELECT version FROM ${name}.tlsbound_schema`)).rows[0].version
}

/** Lists tables on which this role lacks a required privilege. */
const missingRights = `
  SELECT relname AS name FROM pg_class
  WHERE relkind = 'r' AND relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1)
    AND NOT (has_table_privilege(oid, 'SELECT') AND has_table_privilege(oid, 'INSERT')
      AND has_table_privilege(oid, 'UPDATE') AND has_table_privilege(oid, 'DELETE'))
  ORDER BY relname`
