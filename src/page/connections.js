// The connections side by side, newest first: a card for each, which goes when its connection does.
import { buildCard } from './card.js'
import { count, find } from './element.js'

/** @typedef {import('./card.js').Connection} Connection */
/** @typedef {{ card: HTMLElement, update: (connection: Connection) => void, tokens: number }} Shown */

/** @type {Map<number, Shown>} */
const cards = new Map()

/** Milliseconds after which cards go whose connections have gone; with the next update at the latest, all at once. */
const farewell = 1500

/** @type {HTMLElement[]} */
let leaving = []
let timer = 0

/**
 * Shows what has changed.
 * @param {{ connections: readonly Connection[], gone: readonly number[], overtaken: readonly number[], total: number }}
 *   update `gone`: they have ended; `overtaken`: they live on, and make room for newer ones
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

/** Shows none, before everything is told anew. */
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
 * @returns {HTMLElement[]} its card, which is none of a connection any more
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
  const reader = document.activeElement // asked for once: the browser lays the page out to answer
  if (leaving.some(card => card.contains(reader))) find('connections').focus() // who was there goes on from here
  for (const card of leaving) card.remove()
  leaving = []
}
