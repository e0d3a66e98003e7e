// Who a client command is: its certificate, key and authorities as files, each by an option or an environment variable.
import { existsSync } from 'node:fs'
import type { IdentityFiles } from '../client/client.ts'
import { path } from '../settings/forms.ts'
import { UsageError, type Values } from './command.ts'
import { anyText, createOptionReader, declareOptions, type Option, type ReadOption } from './option.ts'
import { say } from './say.ts'

const ca: Option<string> = { name: 'ca', variable: 'TLSBOUND_CA_FILE', form: path }
const cert: Option<string> = { name: 'cert', variable: 'TLSBOUND_CERT_FILE', form: path }
const key: Option<string> = { name: 'key', variable: 'TLSBOUND_KEY_FILE', form: path }
const keyPassphrase: Option<string> = {
  name: 'key-passphrase',
  variable: 'TLSBOUND_KEY_PASSPHRASE_FILE',
  form: path,
}
const clientId: Option<string> = { name: 'client-id', variable: 'TLSBOUND_CLIENT_ID', form: anyText }

export const identityOptions = declareOptions([ca, cert, key, keyPassphrase, clientId])

export const identityHelp = `
  --ca FILE               the authorities that servers are trusted from, PEM (TLSBOUND_CA_FILE)
  --cert FILE             the client certificate, PEM (TLSBOUND_CERT_FILE)
  --key FILE              its private key, PEM (TLSBOUND_KEY_FILE)
  --key-passphrase FILE   the passphrase of that key, if it is encrypted: one line (TLSBOUND_KEY_PASSPHRASE_FILE)
  --client-id ID          (TLSBOUND_CLIENT_ID, the common name of the certificate)

Without any of these files, where certs/ holds those of the demo, it is alice of the demo.
`

export interface GivenIdentity {
  readonly files: IdentityFiles
  readonly clientId: string | undefined
}

/** Where nobody says who it is, but the demo's files are there. */
const demo: IdentityFiles = { caFile: 'certs/ca.crt', certFile: 'certs/alice.crt', keyFile: 'certs/alice.key' }

/** Reads who the command is. @throws UsageError naming what is missing. */
export function requireIdentity(values: Values, env: NodeJS.ProcessEnv = process.env): GivenIdentity {
  const read = createOptionReader(values, env)
  return complete(readFiles(read), read)
}

/** As `requireIdentity`, for a command that can do without, or with authorities alone. @throws UsageError for half of one. */
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
  say(`Using ${caFile}, ${certFile} and ${keyFile} of the demo.`)
  return [caFile, certFile, keyFile]
}

function complete(files: Files, read: ReadOption): GivenIdentity {
  const missing = [ca, cert, key].filter((_, index) => files[index] === undefined)
  if (missing.length > 0)
    throw new UsageError(missing.map(({ name, variable }) => `--${name} (${variable}) is missing`).join(', '))
  const [caFile, certFile, keyFile] = files as readonly [string, string, string]
  return { files: { caFile, certFile, keyFile, keyPassphraseFile: read(keyPassphrase) }, clientId: read(clientId) }
}
