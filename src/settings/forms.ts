// The forms of a setting's value: a description, a parser, and whether an invalid value may be shown.
import { isIP } from 'node:net'
import { parseRanges } from '../core/cidr.ts'
import { isFileContent } from '../core/file-content.ts'
import { parseHttpsUrl } from '../core/https-url.ts'

export interface Form<T> {
  /** Completes "NAME must be …". */
  readonly words: string
  /** Parses the text. Returns undefined if it is not of this form. */
  readonly parse: (text: string) => T | undefined
  /** Whether a value of this form is secret, so that an invalid one is not shown either. */
  readonly holdsSecret?: true
}

const form = <T>(words: string, parse: Form<T>['parse']): Form<T> => ({ words, parse })

const parsePath = (text: string) => (looksLikeContent(text) ? undefined : text)
export const path = form('the path of a file', parsePath)
/** Path of a file that only its owner may read. */
export const secretPath = form('the path of a file, not the secret itself', parsePath)
export const address = form('an IP address', text => (isIP(text) === 0 ? undefined : text))
/** The value stays a text, so that an object of settings can have it too. */
export const addressRanges = form('IP addresses and ranges, separated by commas, such as 10.0.0.5,fd00::/8', text =>
  parseRanges(text) === undefined ? undefined : text,
)
export const port = wholeNumber('a port number', 1, 65_535)
export const portOrOff = wholeNumber('a port number, or 0 for none', 0, 65_535)
export const onOff = form<boolean>('on or off', text => (text === 'on' ? true : text === 'off' ? false : undefined))

/** An identifier by RFC 8414 §2 and RFC 9728 §2, in its normalized spelling. */
export const httpsUrl = form('an https address without query, in its normal spelling', text => {
  const url = parseHttpsUrl(text)
  const isNormal = url?.search === '' && url.hash === '' && (url.href === text || url.href === `${text}/`)
  return isNormal ? text : undefined
})

export const storeUrl: Form<string> = {
  words:
    'sqlite:PATH, or postgres://USER:PASSWORD@HOST:PORT/DATABASE, with special characters percent-encoded (# is %23, / is %2F, @ is %40)',
  parse: text => ((/^sqlite:.+$/s.test(text) ? !hasUserinfo(text) : isPostgresUrl(text)) ? text : undefined),
  holdsSecret: true,
}

/**
 * Checks that a URL is parsed as intended: an unencoded character can turn the user into a host, and the password into a
 * path.
 */
function isPostgresUrl(text: string): boolean {
  const url = text.replace(/^(postgres(?:ql)?:\/\/[^@/?#]*@)\//, '$1socket/') // no host: one of the query, such as a socket
  if (!/^postgres(ql)?:\/\//.test(url) || !URL.canParse(url)) return false
  const { pathname, search, hash } = new URL(url)
  return hash === '' && !`${pathname}${search}`.includes('@')
}

/** Returns whether the URL of a PostgreSQL database contains its password. */
export function hasPassword(text: string): boolean {
  return /^postgres(ql)?:\/\/[^@/?#]*:[^@/?#]+@/.test(text) || /[?&]password=/.test(text)
}

/** Returns whether the URL of a PostgreSQL database names a password file of libpq. */
export function hasPassfile(text: string): boolean {
  return /^postgres/.test(text) && /[?&]passfile=/.test(text)
}

/**
 * Returns the end of "NAME must be …" for an invalid value: the value in quotes, or that it is not shown. Any setting may
 * contain a secret by mistake, so only short, plain values are shown.
 */
export function describeWrongText(text: string, { holdsSecret }: Form<unknown>): string {
  const isPlain = /^(-?[\w.+-]{1,24}|[[\d.:a-f\]]{0,45}[.:][[\d.:a-f\]]{0,45})$/i.test(text) || isPlainUrl(text)
  if (holdsSecret !== true && isPlain && !looksLikeContent(text)) return `, not ${JSON.stringify(text)}`
  return ' (its value is not shown, since it may contain a secret)'
}

function isPlainUrl(text: string): boolean {
  if (!/^https?:\/\/[\w.:/[\]-]{1,80}$/i.test(text) || !URL.canParse(text)) return false
  return new URL(text).username === ''
}

/** Checks whether a value is the content of a file instead of its path: PEM, JSON, a URL with a password, or a token. */
function looksLikeContent(text: string): boolean {
  const isToken =
    /^(eyJ[\w-]*\.|v\d\.(public|local)\.|tlsbound_)/.test(text) ||
    /^(?=.{40})[\w+=~-]+$|^(?=.{40})[\w+/]+=+$/.test(text)
  return isFileContent(text) || /[{}]/.test(text) || hasUserinfo(text) || isToken
}

function hasUserinfo(text: string): boolean {
  return /:\/\/.*@/s.test(text)
}

export function seconds(least: number, most: number): Form<number> {
  return wholeNumber(`seconds from ${least} to ${most}`, least, most)
}

export function oneOf<const T extends string>(...allowed: T[]): Form<T> {
  return form(`one of ${allowed.join(', ')}`, text => allowed.find(name => name === text))
}

export function days(least: number, most: number): Form<number> {
  return wholeNumber(`days from ${least} to ${most}`, least, most)
}

/** Like `seconds`, or 0. */
export function secondsOrOff(least: number, most: number): Form<number> {
  const { words, parse } = seconds(least, most)
  return form(`0, or ${words}`, text => (text === '0' ? 0 : parse(text)))
}

/** A number of processes, or `auto`: one for each core. */
export function processes(most: number): Form<number | 'auto'> {
  const { words, parse } = wholeNumber(`auto, or a whole number from 1 to ${most}`, 1, most)
  return form(words, text => (text === 'auto' ? text : parse(text)))
}

function wholeNumber(words: string, least: number, most: number): Form<number> {
  return form(words, text => {
    const number = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN
    return number >= least && number <= most ? number : undefined
  })
}
