// The identity of a client command: certificate, key and authorities as files, from options or environment variables.
import { existsSync } from 'node:fs'
import type { IdentityFiles } from '../client/client.ts'
import { path } from '../settings/forms.ts'
import { UsageError, type Values } from './command.ts'
import { anyText, createOptionReader, type ReadOption, type ValueOption } from './option.ts'
import { writeMessage } from './output.ts'

const group = 'Client identity'
const ca: ValueOption<string> = {
  name: 'ca',
  value: 'FILE',
  variable: 'TLSBOUND_CA_FILE',
  help: 'The authorities that server certificates are verified with, PEM',
  form: path,
  group,
}
const cert: ValueOption<string> = {
  name: 'cert',
  value: 'FILE',
  variable: 'TLSBOUND_CERT_FILE',
  help: 'The client certificate, PEM',
  form: path,
  group,
}
const key: ValueOption<string> = {
  name: 'key',
  value: 'FILE',
  variable: 'TLSBOUND_KEY_FILE',
  help: 'The private key of the certificate, PEM',
  form: path,
  group,
}
const keyPassphrase: ValueOption<string> = {
  name: 'key-passphrase',
  value: 'FILE',
  variable: 'TLSBOUND_KEY_PASSPHRASE_FILE',
  help: 'A file with the passphrase of an encrypted private key, in one line',
  form: path,
  group,
}
const clientId: ValueOption<string> = {
  name: 'client-id',
  value: 'ID',
  variable: 'TLSBOUND_CLIENT_ID',
  fallback: 'the common name of the certificate',
  help: 'The client_id',
  form: anyText,
  group,
}

export const identityOptions = [ca, cert, key, keyPassphrase, clientId]

export const identityNotes = {
  [group]:
    'Without --ca, --cert and --key the command uses alice of the demo, if certs/ contains the files of the demo.',
}

export interface GivenIdentity {
  readonly files: IdentityFiles
  readonly clientId: string | undefined
}

/** The demo files, used when no file is given and they exist. */
const demo: IdentityFiles = { caFile: 'certs/ca.crt', certFile: 'certs/alice.crt', keyFile: 'certs/alice.key' }

/** Returns the identity of the command. @throws UsageError that names the missing options. */
export function requireIdentity(values: Values, env: NodeJS.ProcessEnv = process.env): GivenIdentity {
  const read = createOptionReader(values, env)
  return complete(readFiles(read), read)
}

/** Returns the identity if there is one, or only authorities. @throws UsageError for an incomplete one. */
export function findIdentity(
  values: Values,
  env: NodeJS.ProcessEnv = process.env,
): { readonly files: IdentityFiles | undefined; readonly caFile: string | undefined } {
  const read = createOptionReader(values, env)
  const files = readFiles(read)
  const [caFile, certFile, keyFile] = files
  const isNobody = certFile === undefined && keyFile === undefined
  return { files: isNobody ? undefined : complete(files, read).files, caFile }
}

/** In the order ca, cert, key. */
type Files = readonly [string | undefined, string | undefined, string | undefined]

function readFiles(read: ReadOption): Files {
  const files: Files = [read(ca), read(cert), read(key)]
  if (files.some(file => file !== undefined) || !Object.values(demo).every(file => existsSync(file))) return files
  const { caFile, certFile, keyFile } = demo
  writeMessage(`Using ${caFile}, ${certFile} and ${keyFile} of the demo.`)
  return [caFile, certFile, keyFile]
}

function complete(files: Files, read: ReadOption): GivenIdentity {
  const missing = [ca, cert, key].filter((_, index) => files[index] === undefined)
  if (missing.length > 0)
    throw new UsageError(missing.map(({ name, variable }) => `--${name} (${variable}) is missing`).join(', '))
  const [caFile, certFile, keyFile] = files as readonly [string, string, string]
  return { files: { caFile, certFile, keyFile, keyPassphraseFile: read(keyPassphrase) }, clientId: read(clientId) }
}
