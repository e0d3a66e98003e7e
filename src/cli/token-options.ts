// Which token a client command asks for, by options or environment variables.
import type { TokenBinding } from '../core/confirmation.ts'
import { httpsUrl, oneOf } from '../settings/forms.ts'
import type { Values } from './command.ts'
import { anyText, createOptionReader, declareOptions, type Option, present } from './option.ts'

/** Who issues the tokens. */
export const issuer: Option<string> = { name: 'issuer', variable: 'TLSBOUND_ISSUER', form: httpsUrl }

const scope: Option<string> = { name: 'scope', variable: 'TLSBOUND_SCOPE', form: anyText }
const resource: Option<string> = { name: 'resource', variable: 'TLSBOUND_RESOURCE', form: httpsUrl }
const binding: Option<TokenBinding> = {
  name: 'binding',
  variable: 'TLSBOUND_BINDING',
  form: oneOf('connection', 'proof', 'certificate'),
}

export const tokenOptions = declareOptions([scope, resource, binding])

export const tokenHelp = `
  --binding LEVEL         connection, proof or certificate (TLSBOUND_BINDING, the first of the registration)
  --scope SCOPE           (TLSBOUND_SCOPE, all that the client is registered for)
  --resource URL          the audience of the token, RFC 8707 (TLSBOUND_RESOURCE, that of the issuer)`

export interface TokenOptions {
  readonly scope?: string
  readonly resource?: string
  readonly tokenBinding?: TokenBinding
}

/** @throws UsageError */
export function readTokenOptions(values: Values, env: NodeJS.ProcessEnv = process.env): TokenOptions {
  const read = createOptionReader(values, env)
  return present({ scope: read(scope), resource: read(resource), tokenBinding: read(binding) })
}
