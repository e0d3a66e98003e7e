// The forms that a setting's text can have: what it must be, in words, and how it is read.
import { isIP } from 'node:net'

export interface Form<T> {
  /** Completes "NAME must be …". */
  readonly words: string
  /** undefined when the text is not of this form. */
  readonly read: (text: string) => T | undefined
}

const form = <T>(words: string, read: Form<T>['read']): Form<T> => ({ words, read })

export const path = form('a path', text => text)
/** Of a file that nobody else may read. */
export const secretPath = form('a path', text => text)
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

export const storeUrl = form('sqlite:PATH or postgres://…', text =>
  /^sqlite:.+$/s.test(text) || (/^postgres(ql)?:\/\//.test(text) && URL.canParse(text)) ? text : undefined,
)

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
