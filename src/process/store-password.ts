// The password for the database of the store, from a file that is read for each connection: a password that was changed there
// works without a restart.
import { readRegularFile } from '../files/file-access.ts'
import { FileProblem } from '../files/file-problem.ts'
import { mostPassphraseOctets } from '../files/pem-files.ts'
import { loadSecretLine } from '../files/secret-line.ts'
import type { Settings } from '../settings/settings.ts'
import type { PostgresTarget } from '../store/postgres-password.ts'

const mostOctets = 65_536

/**
 * Returns what finds the password for a connection: in the file of the setting, or in the password file that the URL names
 * (`passfile`, https://www.postgresql.org/docs/current/libpq-pgpass.html). Undefined: neither is given. It throws FileProblem.
 */
export function storePasswordOf({
  stateUrl,
  statePasswordFile,
}: Pick<Settings, 'stateUrl' | 'statePasswordFile'>): ((target: PostgresTarget) => string) | undefined {
  if (statePasswordFile !== undefined) return () => loadStorePassword(statePasswordFile)
  const passfile = /^postgres/.test(stateUrl) ? /[?&]passfile=([^&#]+)/.exec(stateUrl)?.[1] : undefined
  if (passfile === undefined) return undefined
  const path = decodePath(passfile)
  return target => findPassword(path, target)
}

/** @throws FileProblem, as for a file that is missing. */
function decodePath(parameter: string): string {
  try {
    return decodeURIComponent(parameter)
  } catch {
    throw new FileProblem(parameter, {
      found: 'this value of passfile in the URL of the store is not percent-encoded',
      remedy: 'write a percent sign in it as %25',
    })
  }
}

/** Loads the password in a file of its own. @throws FileProblem, which does not quote it. */
export function loadStorePassword(path: string): string {
  return decode(loadSecretLine(path, { most: mostPassphraseOctets, what: 'password' }), path)
}

function decode(password: Buffer, path: string): string {
  const text = password.toString()
  if (text.includes('\0') || !Buffer.from(text).equals(password))
    throw new FileProblem(path, { found: 'this is not a password: it is not UTF-8 text' })
  return text
}

/** Finds the password of the first line `HOST:PORT:DATABASE:USER:PASSWORD` that matches. */
function findPassword(path: string, { host, port, database, user }: PostgresTarget): string {
  const content = decode(readRegularFile(path, { most: mostOctets, isSecret: true }), path)
  const isSocket = host.startsWith('/')
  for (const line of content.split(/\r?\n/)) {
    if (line.startsWith('#')) continue
    const [hosts, ports, databases, users, password] = splitFields(line)
    if (password === undefined || password === '') continue
    const isHost = hosts === '*' || hosts === host || (isSocket && hosts === 'localhost')
    const matches = (field: string | undefined, value: string) => field === '*' || field === value
    if (isHost && matches(ports, String(port)) && matches(databases, database) && matches(users, user)) return password
  }
  throw new FileProblem(path, {
    found: `no line has a password for ${host}:${port}:${database}:${user}`,
    remedy: 'add a line HOST:PORT:DATABASE:USER:PASSWORD, in which * matches everything',
  })
}

/** Splits a line at colons; `\:` and `\\` are a colon and a backslash. What follows the fourth one is the password. */
function splitFields(line: string): string[] {
  const [, ...fields] =
    /^((?:[^:\\]|\\.)*):((?:[^:\\]|\\.)*):((?:[^:\\]|\\.)*):((?:[^:\\]|\\.)*):(.*)$/.exec(line) ?? []
  return fields.map(field => field.replaceAll(/\\(.)/g, '$1'))
}
