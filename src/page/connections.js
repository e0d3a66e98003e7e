// The connections, newest first: a card for each, removed when its connection ends.
import { buildCard } from './card.js'
import { count, find } from './element.js'

/** @typedef {import('./card.js').Connection} Connection */
/** @typedef {{ card: HTMLElement, update: (connection: Connection) => void, tokens: number }} Shown */

/** @type {Map<number, Shown>} */
const cards = new Map()

/** Milliseconds until the cards of ended connections are removed; the next update removes them too. */
const farewell = 1500

/** @type {HTMLElement[]} */
let leaving = []
let timer = 0

/**
 * Shows changes.
 * @param {{ connections: readonly Connection[], gone: readonly number[], overtaken: readonly number[], total: number }}
 *   update `gone`: ended; `overtaken`: still open, but hidden in favour of newer ones
 */
export function showConnections({ connections, gone, overtaken, total }) {
  leaving.push(...overtaken.flatMap(take))
  sweep()
  for (const connection of connections) {
    const shown = cards.get(connection.id) ?? add(connection)
    shown.update(connection)
    shown.tokens = connection.tokens.length + connection.more
  }
  leaving.push(...gone.flatMap(take).map(bidFarewell))
  clearTimeout(timer)
  timer = setTimeout(sweep, farewell)
  find('no-connections').hidden = cards.size > 0
  find('more-connections').hidden = total <= cards.size
  find('more-connections').textContent = `The newest ${cards.size} of ${count(total)} are shown.`
  find('count-connections').textContent = count(total)
  const tokens = [...cards.values()].reduce((sum, shown) => sum + shown.tokens, 0)
  find('count-tokens').textContent = count(tokens)
}

/** Removes all cards before a full update. */
export function forgetConnections() {
  cards.clear()
  leaving = []
  find('cards').replaceChildren()
}

/** @param {Connection} connection */
function add(connection) {
  const { opened } = connection
  const shown = { ...buildCard(connection), tokens: 0 }
  shown.card.dataset.opened = opened
  const all = /** @type {HTMLCollectionOf<HTMLElement>} */ (find('cards').children)
  const older = [...all].find(other => (other.dataset.opened ?? '') <= opened)
  cards.set(connection.id, shown)
  find('cards').insertBefore(shown.card, older ?? null)
  return shown
}

/**
 * @param {number} id
 * @returns {HTMLElement[]} its card, which no longer belongs to a connection
 */
function take(id) {
  const card = cards.get(id)?.card
  cards.delete(id)
  return card === undefined ? [] : [card]
}

/** @param {HTMLElement} card */
function bidFarewell(card) {
  card.classList.add('gone')
  card.querySelector('.card-head > p')?.append(' · closed')
  return card
}

function sweep() {
  const reader = document.activeElement // read once: the browser computes the layout for it
  if (leaving.some(card => card.contains(reader))) find('connections').focus() // keeps the focus of a reader of the removed card
  for (const card of leaving) card.remove()
  leaving = []
}
