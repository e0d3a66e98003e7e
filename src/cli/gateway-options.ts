// The options of tlsbound gateway, separate from the command because the server knows their variables too.

import { isScope } from '../core/access-token.ts'
import { type TokenBinding, tokenBindings } from '../core/confirmation.ts'
import { parseUpstream } from '../gateway/routes.ts'
import { type Form, httpsUrl, path, port as portForm } from '../settings/forms.ts'
import { type IssuerProfileName, issuerProfiles } from '../verify/issuer-profiles.ts'
import { anyText, choiceOption, type Option, type ValueOption } from './option.ts'

const upstreamForm: Form<string> = {
  words: 'http://HOST:PORT, https://HOST:PORT or unix:/PATH, without a path',
  parse: text => parseUpstream(text)?.text,
}
const scopeForm: Form<string> = {
  words: 'scope tokens separated by single spaces',
  parse: text => (isScope(text) ? text : undefined),
}

export const upstream: ValueOption<string> = {
  name: 'upstream',
  value: 'URL',
  help: 'The service that every request is forwarded to: http://HOST:PORT, https://HOST:PORT or unix:/PATH',
  form: upstreamForm,
}
export const routes: ValueOption<string> = {
  name: 'routes',
  value: 'FILE',
  variable: 'TLSBOUND_GATEWAY_FILE',
  help: 'A JSON list of routes, in place of --upstream, --scope and --binding',
  form: path,
}
export const scope: ValueOption<string> = {
  name: 'scope',
  value: 'SCOPE',
  help: 'With --upstream: the scopes that a token needs, separated by spaces',
  form: scopeForm,
}
export const binding: ValueOption<TokenBinding> = choiceOption(
  {
    name: 'binding',
    value: 'LEVEL',
    fallback: 'certificate',
    help: 'With --upstream: the weakest accepted level, certificate or proof',
  },
  ...tokenBindings.filter(level => level !== 'connection'),
)
export const port: ValueOption<number> = {
  name: 'port',
  value: 'PORT',
  fallback: '8444',
  help: 'The port to listen on',
  form: portForm,
}
export const url: ValueOption<string> = {
  name: 'url',
  value: 'URL',
  fallback: 'https://localhost:PORT',
  help: 'The address of this gateway, which is the issuer of its assertions',
  form: httpsUrl,
}

const group = 'Issuer of the tokens'
const profiles = Object.keys(issuerProfiles) as IssuerProfileName[]
export const issuer: ValueOption<string> = {
  name: 'issuer',
  value: 'URL',
  variable: 'TLSBOUND_ISSUER',
  fallback: 'that of the demo, if its certificates are used',
  help: 'The iss of the tokens; its metadata names its keys',
  form: {
    words: 'an https address',
    parse: text => (/^https:\/\/\S+$/.test(text) && URL.canParse(text) ? text : undefined),
  },
  group,
}
export const audience: ValueOption<string> = {
  name: 'audience',
  value: 'URL',
  variable: 'TLSBOUND_AUDIENCE',
  fallback: 'the issuer',
  help: 'The aud of the tokens: the name of this resource server',
  form: httpsUrl,
  group,
}
export const profile: ValueOption<IssuerProfileName> = choiceOption(
  {
    name: 'profile',
    value: 'NAME',
    fallback: 'rfc9068',
    help: `The form of its tokens, by the product of the issuer: ${profiles.join(', ')}`,
    group,
  },
  ...profiles,
)
export const issuerCa: ValueOption<string> = {
  name: 'issuer-ca',
  value: 'FILE',
  fallback: "Node's authorities, or that of the demo",
  help: 'The authorities that the server of the issuer is verified with, PEM. A changed file is used for --introspect at once, for the keys of the issuer at the next start',
  form: path,
  group,
}

const asking = 'Revocations'
export const introspect: ValueOption<number> = {
  name: 'introspect',
  value: 'SECONDS',
  help: 'Ask the issuer whether a token is still active (RFC 7662), and use its answer for SECONDS, from 1 to 300',
  form: {
    words: 'a number of seconds from 1 to 300',
    parse: text => (/^\d{1,3}$/.test(text) && Number(text) >= 1 && Number(text) <= 300 ? Number(text) : undefined),
  },
  group: asking,
}
export const clientId: ValueOption<string> = {
  name: 'client-id',
  value: 'ID',
  help: 'The client as which the gateway asks; at tlsbound, one with resource set to the audience',
  form: anyText,
  group: asking,
}
export const cert: ValueOption<string> = {
  name: 'cert',
  value: 'FILE',
  help: 'The certificate of that client, PEM',
  form: path,
  group: asking,
}
export const key: ValueOption<string> = {
  name: 'key',
  value: 'FILE',
  help: 'The private key of that certificate, PEM, mode 0600',
  form: path,
  group: asking,
}

export const gatewayOptions: readonly Option[] = [
  ...[upstream, routes, scope, binding, port, url],
  ...[issuer, audience, profile, issuerCa],
  ...[introspect, clientId, cert, key],
]
