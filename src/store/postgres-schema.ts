// The tables of the shared store, in the first schema of the search path. They are created and migrated under a lock, so
// that many servers can start at once.
import type { ClientBase } from 'pg'
import { type Session, transact } from './postgres-session.ts'

/** Each migrates the schema to the next version. A released one never changes. */
const migrations = [
  `CREATE TABLE grants (
     number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, id text NOT NULL UNIQUE, client_id text NOT NULL,
     subject text NOT NULL, scope text NOT NULL, audience text NOT NULL, binding text NOT NULL,
     certificate text NOT NULL, rotation text NOT NULL, created bigint NOT NULL, expires bigint NOT NULL, actor text);
   CREATE INDEX grants_by_expiry ON grants (expires);
   CREATE INDEX grants_by_client ON grants (client_id, expires);
   CREATE INDEX grants_by_certificate ON grants (certificate, expires);

   CREATE TABLE refresh_tokens (
     hash text PRIMARY KEY, grant_number bigint NOT NULL REFERENCES grants (number), first_used bigint,
     last_used bigint, successor text, superseded integer NOT NULL DEFAULT 0);
   CREATE INDEX refresh_tokens_by_grant ON refresh_tokens (grant_number);

   CREATE TABLE access_tokens (hash text PRIMARY KEY, claims text NOT NULL, expires bigint NOT NULL);
   CREATE INDEX access_tokens_by_expiry ON access_tokens (expires);

   CREATE TABLE revocations (
     kind text NOT NULL, value text NOT NULL, not_before bigint NOT NULL, expires bigint NOT NULL,
     sequence bigint NOT NULL UNIQUE, PRIMARY KEY (kind, value));
   CREATE INDEX revocations_by_expiry ON revocations (expires);

   CREATE TABLE clients (
     id text PRIMARY KEY, registration text, disabled integer NOT NULL, secrets text NOT NULL,
     sequence bigint NOT NULL UNIQUE);

   CREATE TABLE news_sequence (value bigint NOT NULL);
   INSERT INTO news_sequence VALUES (0);

   CREATE FUNCTION announce_news() RETURNS trigger LANGUAGE plpgsql AS $$
     BEGIN PERFORM pg_notify('tlsbound_news', TG_TABLE_SCHEMA); RETURN NULL; END $$;
   CREATE TRIGGER news AFTER UPDATE ON news_sequence FOR EACH STATEMENT EXECUTE FUNCTION announce_news();

   CREATE TABLE notes (
     id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, client_id text NOT NULL, text text NOT NULL,
     created bigint NOT NULL);
   CREATE INDEX notes_by_client ON notes (client_id, id DESC);`,
  `CREATE TABLE notifications (
     number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, id text NOT NULL UNIQUE, receiver text NOT NULL,
     body text NOT NULL, attempts integer NOT NULL DEFAULT 0, due bigint NOT NULL, expires bigint NOT NULL);
   CREATE INDEX notifications_by_receiver ON notifications (receiver, due, number);
   CREATE INDEX notifications_by_expiry ON notifications (expires);`,
  'ALTER TABLE grants ADD COLUMN issued_after bigint',
  `CREATE TABLE state (id text NOT NULL, is_new integer NOT NULL);
   INSERT INTO state VALUES (replace(gen_random_uuid()::text, '-', ''), 0)`,
  // A token that a retry had replaced counts as used long ago. Successors of before have no sealed copy.
  `ALTER TABLE grants ADD COLUMN rebound bigint;
   ALTER TABLE refresh_tokens ADD COLUMN sealed text;
   UPDATE refresh_tokens SET first_used = 0 WHERE superseded = 1 AND first_used IS NULL;
   ALTER TABLE refresh_tokens DROP COLUMN superseded, DROP COLUMN last_used`,
  'CREATE TABLE servers (id text PRIMARY KEY, description text NOT NULL, seen bigint NOT NULL)',
]

/** The schema version that this program writes. */
export const schemaVersion = migrations.length

/** Migrates the schema. @throws Error (rejects); nothing has then changed. */
export async function migrate(client: ClientBase, session: Session): Promise<void> {
  const schema = client.escapeIdentifier(session.schema)
  if ((await readVersion(client, schema)) === migrations.length) return // without any write, for which the role may lack permission
  await transact(client, session, async () => {
    await client.query("SELECT pg_advisory_xact_lock(hashtext('tlsbound'), hashtext($1))", [session.schema])
    const { rowCount } = await client.query('SELECT 1 FROM pg_namespace WHERE nspname = $1', [session.schema])
    if (rowCount === 0) await client.query(`CREATE SCHEMA ${schema}`)
    const version = await readVersion(client, schema)
    if (version > migrations.length)
      throw new Error(
        `the state in schema ${session.schema} was written by a newer version of this program (${version}, here ${migrations.length})`,
      )
    if (version === 0) await client.query('CREATE TABLE tlsbound_schema (version integer NOT NULL)')
    for (const migration of migrations.slice(version)) await client.query(migration)
    if (version === 0) await client.query('UPDATE state SET is_new = 1')
    await client.query('DELETE FROM tlsbound_schema')
    await client.query('INSERT INTO tlsbound_schema VALUES ($1)', [migrations.length])
  })
}

/** Reads the version. `schema` is an identifier: a later schema of the search path may have tables of the same names. */
async function readVersion(client: ClientBase, schema: string): Promise<number> {
  const exists = await client.query('SELECT to_regclass($1) AS found', [`${schema}.tlsbound_schema`])
  if (exists.rows[0].found === null) return 0
  const { rows } = await client.query(`SELECT version FROM ${schema}.tlsbound_schema`)
  return rows[0].version
}
