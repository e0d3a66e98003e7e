// The card of one connection: its client, its thumbprints and its tokens.
import { element, glyph, print, time } from './element.js'

/** @typedef {{ jti?: string, client?: string, sub?: string, scope?: string, binding: 'connection' | 'proof' | 'certificate',
 *   expires: number, certificate: string, exporter?: string }} Token */
/** @typedef {{ id: number, opened: string, peer: string, tls: string | null, http: string, subject?: string,
 *   certificate?: string, client?: string, problem?: string, sentence?: string, tokens: Token[], more: number,
 *   bindings: Readonly<Record<string, string>> }} Connection */

/**
 * Builds a card, and the function that updates it.
 * @param {Connection} connection
 */
export function buildCard({ opened, peer, tls, http, certificate, bindings }) {
  const name = element('h3', { dir: 'auto' })
  const problem = element('p', { class: 'problem' })
  const tokens = element('ul', { class: 'tokens' })
  const full = element('dl', { class: 'in-full' })
  const details = element('details', {}, element('summary', {}, 'In full'), full)
  const prints = Object.entries({ ...(certificate !== undefined && { certificate }), ...bindings })
  const own = Object.values(bindings)[0]
  const facts = `${http} · ${(tls ?? 'TLS').replace('TLSv', 'TLS ')}`
  const card = element(
    'li',
    { class: 'card' },
    element(
      'div',
      { class: 'card-head' },
      own === undefined ? missingPortrait() : glyph(own, 'portrait'),
      name,
      time(opened),
      element('p', {}, facts),
    ),
    problem,
    element(
      'dl',
      { class: 'prints' },
      ...prints.map(([type, of]) => pair(type, print(of))),
      pair('peer', element('code', {}, peer)),
    ),
    tokens,
    details,
  )

  /** @type {Connection | undefined} */
  let latest
  /** The details are built when they are opened. */
  const fill = () => {
    if (!details.hasAttribute('open') || latest === undefined) return
    const ids = latest.tokens.map(({ jti = '' }) => ['token', jti])
    const long = [['subject', latest.subject ?? 'none'], ...prints, ...ids]
    full.replaceChildren(...long.map(([term = '', text = '']) => pair(term, element('code', { dir: 'auto' }, text))))
  }
  details.addEventListener('toggle', fill)

  /** @param {Connection} now */
  const update = now => {
    name.textContent = now.client ?? now.subject?.replace(/^CN=/, '') ?? 'Without a certificate'
    problem.hidden = now.problem === undefined
    problem.replaceChildren(element('b', { class: 'reason' }, now.problem), ` ${now.sentence ?? ''}`)
    card.classList.toggle('unknown', now.problem !== undefined)
    const more = now.more > 0 ? [element('li', { class: 'note' }, `and ${now.more} more`)] : []
    tokens.replaceChildren(...now.tokens.map(describeToken).reverse(), ...more)
    latest = now
    fill()
  }
  return { card, update }
}

function missingPortrait() {
  return element('span', { class: 'portrait missing', 'aria-hidden': 'true' }, '!')
}

/**
 * @param {string} term
 * @param {Node} value
 */
function pair(term, value) {
  return element('div', {}, element('dt', {}, term), element('dd', {}, value))
}

const levels = {
  connection: 'bound to this connection',
  proof: 'bound to the certificate, with a proof',
  certificate: 'bound to the certificate',
}

/** @param {Token} token */
function describeToken({ jti = '', client = '', sub, scope = '', binding, expires, certificate, exporter }) {
  const owner = binding === 'connection' && exporter !== undefined ? exporter : certificate
  const user = sub === undefined || sub === client ? '' : ` for ${sub}`
  return element(
    'li',
    { class: 'token' },
    glyph(owner),
    element('p', {}, 'token ', element('code', { title: jti }, `${jti.slice(0, 8)}…`), user),
    element('p', {}, levels[binding]),
    element('p', { class: 'facts-line' }, scope, ' · until ', time(expires)),
  )
}
