// The options of client commands about the requested token.
import type { TokenBinding } from '../core/confirmation.ts'
import { httpsUrl } from '../settings/forms.ts'
import type { Values } from './command.ts'
import { anyText, choiceOption, createOptionReader, present, type ValueOption } from './option.ts'

const group = 'Token'

export const issuer: ValueOption<string> = {
  name: 'issuer',
  value: 'URL',
  variable: 'TLSBOUND_ISSUER',
  help: 'The issuer of the tokens',
  form: httpsUrl,
  group,
}

const scope: ValueOption<string> = {
  name: 'scope',
  value: 'SCOPE',
  variable: 'TLSBOUND_SCOPE',
  fallback: 'every scope of the registration',
  help: 'The requested scopes, separated by spaces',
  form: anyText,
  group,
}
const resource: ValueOption<string> = {
  name: 'resource',
  value: 'URL',
  variable: 'TLSBOUND_RESOURCE',
  fallback: 'set by the issuer',
  help: 'The audience of the token (RFC 8707)',
  form: httpsUrl,
  group,
}
const binding: ValueOption<TokenBinding> = choiceOption(
  {
    name: 'binding',
    value: 'LEVEL',
    variable: 'TLSBOUND_BINDING',
    fallback: 'the first level of the registration',
    help: 'What the token is bound to: connection, proof or certificate',
    group,
  },
  'connection',
  'proof',
  'certificate',
)

export const tokenOptions = [binding, scope, resource]

export const sign: ValueOption<'asked' | 'always'> = choiceOption(
  {
    name: 'sign',
    value: 'WHEN',
    variable: 'TLSBOUND_SIGN',
    fallback: 'asked',
    help: 'When to sign requests with the key of the certificate: asked, once the server asks for it, or always',
  },
  'asked',
  'always',
)

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
