// The refusals as they happen, newest first, with the reason in plain words.
import { count, element, find, time } from './element.js'

/** @typedef {{ time: string, event: string, reason: string, sentence: string, status?: number,
 *   client?: string, token?: string, peer?: string, request?: string }} Refusal */

/** How many are shown. */
const maximum = 100

/**
 * Shows those that are new.
 * @param {{ refusals: readonly Refusal[], refused: number }} update
 */
export function showRefusals({ refusals, refused }) {
  const list = find('refusal-list')
  list.prepend(...refusals.map(describe).reverse())
  while (list.children.length > maximum) list.lastElementChild?.remove()
  find('no-refusals').hidden = refused > 0
  find('count-refusals').textContent = count(refused)
  find('more-refusals').hidden = refused <= list.children.length
  find('more-refusals').textContent = `${list.children.length} of ${count(refused)} are shown.`
}

/** Shows none: the server has started anew, and counts from the beginning. */
export function forgetRefusals() {
  find('refusal-list').replaceChildren()
}

/** @param {Refusal} refusal */
function describe({ time: when, event, reason, sentence, status, client, token, peer, request }) {
  const facts = [client, request, token && `token ${token}`, peer].filter(Boolean).join(' · ')
  return element(
    'li',
    {},
    element(
      'p',
      { class: 'head' },
      element('span', { class: 'reason' }, reason),
      element('span', { class: 'note' }, [status, event].filter(Boolean).join(' '), ' · ', time(when)),
    ),
    element('p', {}, sentence),
    element('p', { class: 'facts-line' }, facts),
  )
}
