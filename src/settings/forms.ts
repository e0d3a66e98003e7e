// The forms that a setting's text can have: what it must be, in words, how it is read, and whether a wrong one is shown.
import { isIP } from 'node:net'

export interface Form<T> {
  /** Completes "NAME must be …". */
  readonly words: string
  /** undefined when the text is not of this form. */
  readonly read: (text: string) => T | undefined
  /** Whether a text of this form holds a secret, so that no wrong one is shown either. */
  readonly holdsSecret?: true
}

const form = <T>(words: string, read: Form<T>['read']): Form<T> => ({ words, read })

const readPath = (text: string) => (looksLikeContent(text) ? undefined : text)
export const path = form('the path of a file', readPath)
/** Of a file that nobody else may read. */
export const secretPath = form('the path of a file, not the secret itself', readPath)
export const address = form('an IP address', text => (isIP(text) === 0 ? undefined : text))
export const port = wholeNumber('a port number', 1, 65_535)
export const portOrOff = wholeNumber('a port number, or 0 for none', 0, 65_535)
export const onOff = form<boolean>('on or off', text => (text === 'on' ? true : text === 'off' ? false : undefined))

/** An identifier in the sense of RFC 8414 §2 and RFC 9728 §2, in the one spelling that a URL has. */
export const httpsUrl = form('an https address without query, in its normal spelling', text => {
  const url = URL.canParse(text) ? new URL(text) : undefined
  const plain = url?.protocol === 'https:' && url.search === '' && url.hash === '' && url.username === ''
  return plain && (url.href === text || url.href === `${text}/`) ? text : undefined
})

export const storeUrl: Form<string> = {
  words:
    'sqlite:PATH, or postgres://USER:PASSWORD@HOST:PORT/DATABASE, with special characters percent-encoded (# is %23, / is %2F, @ is %40)',
  read: text => ((/^sqlite:.+$/s.test(text) ? !hasUserinfo(text) : isPostgresUrl(text)) ? text : undefined),
  holdsSecret: true,
}

/** Whether a URL reads as it was meant: an unencoded character can make a host of the user, and a path of the password. */
function isPostgresUrl(text: string): boolean {
  const url = text.replace(/^(postgres(?:ql)?:\/\/[^@/?#]*@)\//, '$1socket/') // no host: one of the query, such as a socket
  if (!/^postgres(ql)?:\/\//.test(url) || !URL.canParse(url)) return false
  const { pathname, search, hash } = new URL(url)
  return hash === '' && !`${pathname}${search}`.includes('@')
}

/**
 * Returns the end of "NAME must be …" about a wrong text: the text in quotes, or that it is not shown. A secret may stand in
 * any setting by mistake, so only what is short and plain is shown.
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

/** Whether a text is the content of a file rather than its path: PEM, JSON, a URL with a password, or a token. */
function looksLikeContent(text: string): boolean {
  const isToken = /^(eyJ[\w-]*\.|tlsbound_)/.test(text) || /^(?=.{40})[\w+=~-]+$|^(?=.{40})[\w+/]+=+$/.test(text)
  return /[\n\r\0{}]|-----BEGIN/.test(text) || hasUserinfo(text) || isToken
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

/** As `seconds`, or 0. */
export function secondsOrOff(least: number, most: number): Form<number> {
  const { words, read } = seconds(least, most)
  return form(`0, or ${words}`, text => (text === '0' ? 0 : read(text)))
}

function wholeNumber(words: string, least: number, most: number): Form<number> {
  return form(words, text => {
    const number = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN
    return number >= least && number <= most ? number : undefined
  })
}
