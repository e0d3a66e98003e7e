// The rules of the options of the client.
import { isScope } from '../core/access-token.ts'
import { booleanRule, countRule, lineRule, oneOf, pathRule, type Rules, textRule } from '../core/check-options.ts'
import { tokenBindings } from '../core/confirmation.ts'
import { isHttpsUrl } from '../core/https-url.ts'

/** The longest time of a timer of Node in seconds; a longer one would end at once. */
const longestTimeout = 2_147_483

export const originRule: Rules = {
  origin: { ...lineRule, expected: 'an origin such as https://api.example:8443' },
}

/** PEM texts. Their content is checked where it is parsed, so that no message quotes a key. */
export const identityRules: Rules = Object.fromEntries(
  ['certificate', 'key', 'ca'].map(name => [name, { ...textRule, expected: 'a PEM text' }]),
)

export const fileRules: Rules = Object.fromEntries(['certFile', 'keyFile', 'caFile'].map(name => [name, pathRule]))

export const optionalFileRules: Rules = { keyPassphraseFile: pathRule }

/** The options that `createClient` and `connect` share. */
export const tokenRules: Rules = {
  clientId: lineRule,
  issuer: { expected: 'an https URL', isValid: isHttpsUrl },
  scope: { expected: 'scope tokens with one space between them', isValid: isScope },
  resource: lineRule,
  tokenBinding: oneOf(tokenBindings),
  http2: booleanRule,
  minVersion: oneOf(['TLSv1.2', 'TLSv1.3']),
}

export const clientRules: Rules = {
  ...tokenRules,
  signRequests: booleanRule,
  connections: countRule,
  timeout: {
    expected: `a positive number of seconds, at most ${longestTimeout}`,
    isValid: value => typeof value === 'number' && value > 0 && value <= longestTimeout,
  },
}
