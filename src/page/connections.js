// The connections side by side, newest first: a card for each, which goes when its connection does.
import { buildCard } from './card.js'
import { find } from './element.js'

/** @typedef {import('./card.js').Connection} Connection */
/** @typedef {{ card: HTMLElement, update: (connection: Connection) => void, opened: string, tokens: number }} Shown */

/** @type {Map<number, Shown>} */
const cards = new Map()

/** Milliseconds after which cards go whose connections have gone; with the next update at the latest, all at once. */
const farewell = 1500

/**
 * Shows what has changed.
 * @param {{ connections: readonly Connection[], gone: readonly number[], total: number }} update
 */
export function showConnections({ connections, gone, total }) {
  sweep()
  for (const connection of connections) {
    const shown = cards.get(connection.id) ?? add(connection)
    shown.update(connection)
    shown.tokens = connection.tokens.length + connection.more
  }
  for (const id of gone) remove(id)
  if (gone.length > 0) setTimeout(sweep, farewell)
  find('no-connections').hidden = cards.size > 0
  find('more-connections').hidden = total <= cards.size
  find('more-connections').textContent = `The newest ${cards.size} of ${total.toLocaleString()} are shown.`
  find('count-connections').textContent = total.toLocaleString()
  const tokens = [...cards.values()].reduce((sum, shown) => sum + shown.tokens, 0)
  find('count-tokens').textContent = tokens.toLocaleString()
}

/** Shows none, before everything is told anew. */
export function forgetConnections() {
  cards.clear()
  find('cards').replaceChildren()
}

/** @param {Connection} connection */
function add(connection) {
  const { opened } = connection
  const shown = { ...buildCard(connection), opened, tokens: 0 }
  const older = [...cards.values()].filter(other => other.opened <= opened)
  const next = older.sort((a, b) => a.opened.localeCompare(b.opened)).at(-1)
  cards.set(connection.id, shown)
  find('cards').insertBefore(shown.card, next?.card ?? null)
  return shown
}

/** @param {number} id */
function remove(id) {
  const card = cards.get(id)?.card
  cards.delete(id)
  card?.classList.add('gone')
  card?.querySelector('.card-head > p')?.append(' · closed')
}

function sweep() {
  const gone = [...find('cards').querySelectorAll('.gone')]
  const reader = document.activeElement // asked for once: the browser lays the page out to answer
  if (gone.some(card => card.contains(reader))) find('connections').focus() // who was there goes on from here
  for (const card of gone) card.remove()
}
