// A PostgreSQL store: reachable, the right schema, its version, what this user may do there, whether it can be written, and its
// clock. Nothing is written.
import { Client } from 'pg'
import { readConfig } from '../store/postgres-connection.ts'
import { schemaVersion } from '../store/postgres-schema.ts'
import { type Finding, failure, good } from './finding.ts'
import type { ClockReading } from './remote-json.ts'

/** Checks the database at `url`, which is in no finding: it has a password. `readings` receives its clock. */
export async function checkPostgres(url: string, readings: ClockReading[]): Promise<Finding[]> {
  const { config, schema } = readConfig(url)
  const client = new Client(config)
  client.on('error', () => {}) // a connection that is lost shows in its query
  const where = `${client.database} at ${client.host}:${client.port}`
  try {
    await client.connect()
    const { rows } = await client.query<Status>(statusQuery, [schema])
    const [status] = rows as [Status]
    readings.push({ of: `the database ${where}`, theirs: Number(status.clock), ours: Date.now() })
    const findings = [good(`${where}: PostgreSQL ${status.server}, as ${status.role}`)]
    if (status.standby || status.read_only)
      findings.push(failure(`${where}: connected to a read-only server`, 'connect to the primary'))
    return [...findings, ...(await checkSchema(client, schema, status))]
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    const remedy = 'check address, user, password and network; give a direct connection, no pooler'
    return [failure(`${where}: ${message || code}`, remedy)]
  } finally {
    await client.end().catch(() => {})
  }
}

interface Status {
  readonly clock: string
  readonly server: string
  readonly role: string
  readonly current: string | null
  readonly standby: boolean
  readonly read_only: boolean
  readonly there: boolean
  readonly may_create_schema: boolean
}

const statusQuery = `
  SELECT extract(epoch FROM clock_timestamp()) * 1000 AS clock, current_setting('server_version') AS server,
    current_user AS role, current_schema() AS current, pg_is_in_recovery() AS standby,
    current_setting('transaction_read_only') = 'on' AS read_only,
    EXISTS (SELECT FROM pg_namespace WHERE nspname = $1) AS there,
    has_database_privilege(current_database(), 'CREATE') AS may_create_schema`

async function checkSchema(client: Client, schema: string, status: Status): Promise<Finding[]> {
  if (!status.there) {
    if (status.may_create_schema) return [good(`schema ${schema}: not there yet; the server makes it at its start`)]
    const remedy = `create it as its owner: CREATE SCHEMA ${schema} AUTHORIZATION ${status.role}`
    return [failure(`schema ${schema}: not there, and ${status.role} may not create it`, remedy)]
  }
  if (status.current !== schema) {
    const remedy = `give a direct connection and no pooler, and let ${status.role} use the schema`
    return [failure(`the schema in use is ${status.current ?? 'none'}, not ${schema}`, remedy)]
  }
  const version = await readVersion(client)
  const found = `schema ${schema}: version ${version}, this program writes ${schemaVersion}`
  if (version > schemaVersion) return [failure(`${found}: it was written by a newer version`, 'install that version')]
  const rights = await client.query<{ name: string }>(missingRights, [schema])
  const tables = rights.rows.map(({ name }) => name)
  if (tables.length > 0) {
    const remedy = `GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA ${schema} TO ${status.role}`
    return [failure(`schema ${schema}: ${status.role} may not read and write ${tables.join(', ')}`, remedy)]
  }
  const isOld = version < schemaVersion
  return [good(isOld ? `${found}: the server brings it up to date at its start` : found)]
}

async function readVersion(client: Client): Promise<number> {
  const { rows } = await client.query("SELECT to_regclass('tlsbound_schema') IS NOT NULL AS there")
  if (!rows[0].there) return 0
  return (await client.query('SELECT version FROM tlsbound_schema')).rows[0].version
}

/** Tables of which this user lacks a right that the server needs. */
const missingRights = `
  SELECT relname AS name FROM pg_class
  WHERE relkind = 'r' AND relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1)
    AND NOT (has_table_privilege(oid, 'SELECT') AND has_table_privilege(oid, 'INSERT')
      AND has_table_privilege(oid, 'UPDATE') AND has_table_privilege(oid, 'DELETE'))
  ORDER BY relname`
