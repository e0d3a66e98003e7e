// Checks the options of callers without types. A wrong one is a TypeError that names the member and what was found there.
import { isScope } from '../core/access-token.ts'
import { tokenBindings } from '../core/confirmation.ts'
import { describeFileContent, isFileContent } from '../core/file-content.ts'
import { isHttpsUrl } from '../core/https-url.ts'
import { quote } from '../outgoing/failure.ts'

/** What a valid value is, for messages, and whether a value is one. */
interface Rule {
  readonly expected: string
  readonly isValid: (value: unknown) => boolean
}

export type Rules = Readonly<Record<string, Rule>>

const isText = (value: unknown) => typeof value === 'string'
const isFilled = (value: unknown) => typeof value === 'string' && value !== ''
const isLine = (value: unknown) => isFilled(value) && !isFileContent(value as string)
const oneOf = (values: readonly string[]): Rule => ({
  expected: `one of ${values.join(', ')}`,
  isValid: value => values.includes(value as string),
})

/** The longest time of a timer of Node in seconds; a longer one would end at once. */
const longestTimeout = 2_147_483

export const originRule: Rules = {
  origin: { expected: 'an origin such as https://api.example:8443', isValid: value => value === '' || isLine(value) },
}

/** PEM texts. Their content is checked where it is parsed, so that no message quotes a key. */
export const identityRules: Rules = Object.fromEntries(
  ['certificate', 'key', 'ca'].map(name => [name, { expected: 'a PEM text', isValid: isText }]),
)

export const fileRules: Rules = Object.fromEntries(
  ['certFile', 'keyFile', 'caFile'].map(name => [name, { expected: 'the path of a file', isValid: isLine }]),
)

export const optionalFileRules: Rules = { keyPassphraseFile: fileRules.keyFile as Rule }

/** The options that `createClient` and `connect` share. */
export const tokenRules: Rules = {
  clientId: { expected: 'a non-empty string', isValid: isLine },
  issuer: { expected: 'an https URL', isValid: isHttpsUrl },
  scope: { expected: 'scope tokens with one space between them', isValid: isScope },
  resource: { expected: 'a non-empty string', isValid: isLine },
  tokenBinding: oneOf(tokenBindings),
  http2: { expected: 'true or false', isValid: value => typeof value === 'boolean' },
  minVersion: oneOf(['TLSv1.2', 'TLSv1.3']),
}

export const clientRules: Rules = {
  ...tokenRules,
  connections: {
    expected: 'an integer of at least 1',
    isValid: value => Number.isSafeInteger(value) && (value as number) >= 1,
  },
  timeout: {
    expected: `a positive number of seconds, at most ${longestTimeout}`,
    isValid: value => typeof value === 'number' && value > 0 && value <= longestTimeout,
  },
}

/**
 * Checks members of an object. `of` names the object in messages; undefined: its members are named alone.
 * @throws TypeError for the first wrong member.
 */
export function checkMembers(object: unknown, of: string | undefined, required: Rules, optional: Rules = {}): void {
  if (typeof object !== 'object' || object === null || Array.isArray(object) || object instanceof Promise)
    throw new TypeError(
      `${of ?? 'options'} must be an object with ${Object.keys(required).join(', ')}, not ${describeFound(object)}`,
    )
  const given = object as Readonly<Record<string, unknown>>
  for (const [name, { expected, isValid }] of Object.entries({ ...required, ...optional })) {
    const value = given[name]
    if ((value === undefined && Object.hasOwn(optional, name)) || isValid(value)) continue
    const member = of === undefined ? name : `${of}.${name}`
    throw new TypeError(`${member} must be ${expected}, not ${describeFound(value)}`)
  }
}

/** Describes what was found in the place of something else. */
function describeFound(value: unknown): string {
  if (typeof value === 'string') return isFileContent(value) ? describeFileContent(value) : `"${quote(value)}"`
  if (typeof value === 'number' || typeof value === 'boolean' || value === undefined || value === null)
    return String(value)
  if (Array.isArray(value)) return 'a list'
  if (Buffer.isBuffer(value)) return 'a Buffer'
  if (value instanceof Promise) return 'a promise'
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`
}
