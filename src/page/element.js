// Elements of the page. Text of a server or a client is inserted as text, never as markup.
import { drawGlyph } from './glyph.js'

const svg = 'http://www.w3.org/2000/svg'

/** Created once: creating one takes many times as long as its use. */
const clock = new Intl.DateTimeFormat(undefined, { timeStyle: 'medium', hourCycle: 'h23' })
const numbers = new Intl.NumberFormat()

/**
 * Builds an element; undefined children are omitted.
 * @param {string} tag
 * @param {Readonly<Record<string, string>>} attributes
 * @param {...(Node | string | undefined)} children
 * @returns {HTMLElement}
 */
export function element(tag, attributes = {}, ...children) {
  const built = document.createElement(tag)
  for (const [name, value] of Object.entries(attributes)) built.setAttribute(name, value)
  built.append(...children.filter(child => child !== undefined))
  return built
}

/**
 * Finds an element of the page.
 * @param {string} id
 * @returns {HTMLElement}
 */
export function find(id) {
  const found = document.getElementById(id)
  if (found === null) throw new Error(`the page has no ${id}`)
  return found
}

/**
 * Draws the picture of a thumbprint, hidden from screen readers.
 * @param {string} thumbprint
 * @param {string} more an additional class
 */
export function glyph(thumbprint, more = '') {
  const { path, hue } = drawGlyph(thumbprint)
  const picture = document.createElementNS(svg, 'svg')
  picture.setAttribute('class', `glyph hue-${hue} ${more}`)
  picture.setAttribute('viewBox', '0 0 6 6')
  picture.setAttribute('aria-hidden', 'true')
  const shape = document.createElementNS(svg, 'path')
  shape.setAttribute('d', path)
  picture.append(shape)
  return picture
}

/**
 * Shows a thumbprint as its picture and its first eight characters, with the whole in the title.
 * @param {string} thumbprint
 */
export function print(thumbprint) {
  const short = element('code', { title: thumbprint }, `${thumbprint.slice(0, 8)}…`)
  return element('span', { class: 'print' }, glyph(thumbprint), short)
}

/**
 * Formats a number in the reader's locale.
 * @param {number} number
 */
export function count(number) {
  return numbers.format(number)
}

/**
 * Formats a time of day in the reader's time zone.
 * @param {string | number} when in RFC 3339 format, or seconds since 1970
 */
export function time(when) {
  const date = new Date(typeof when === 'number' ? when * 1000 : when)
  return element('time', { datetime: date.toISOString() }, clock.format(date))
}
