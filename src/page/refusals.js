// The suspected thefts, then the refusals, as they happen. Equal ones are one entry with a count.
import { count, element, find, time } from './element.js'
import { createEntries } from './entries.js'
import { armFilter, isChosen, isFiltering, offerChoices } from './filter.js'

/** @typedef {import('./filter.js').Refusal} Refusal */
/** @typedef {Refusal & { suspicion: 'certain' | 'possible', response: string }} Theft */

const thefts = createEntries(find('theft-list'), describeTheft)
const refusals = createEntries(find('refusal-list'), describeRefusal)

armFilter(filter)

/**
 * Shows new ones.
 * @param {{ refusals: readonly Refusal[], refused: number, thefts: readonly Theft[], suspected: number }} update
 */
export function showRefusals(update) {
  thefts.show(update.thefts)
  refusals.show(update.refusals)
  find('suspected').hidden = update.suspected === 0
  find('count-thefts').textContent = count(update.suspected)
  find('count-refusals').textContent = count(update.refused)
  find('no-refusals').hidden = update.refused > 0
  find('filter').hidden = update.refused === 0
  if (update.refusals.length > 0) filter()
}

/** Removes all: the server has restarted, and counts from zero. */
export function forgetRefusals() {
  thefts.forget()
  refusals.forget()
  filter()
}

/** Shows the refusals that match the filter. */
function filter() {
  const all = refusals.all()
  offerChoices(all.map(([, refusal]) => refusal))
  for (const [row, refusal] of all) row.hidden = !isChosen(refusal)
  const chosen = all.filter(([row]) => !row.hidden).length
  find('filtered').textContent = isFiltering() ? `${count(chosen)} of ${count(all.length)} entries match.` : ''
}

/** @param {Refusal} refusal */
function describeRefusal(refusal) {
  const { reason, detail, sentence, status, event } = refusal
  const what = [status, event].filter(Boolean).join(' ')
  return element(
    'li',
    {},
    describeHead(refusal, element('span', { class: 'reason' }, reason), `${what} · `),
    element('p', {}, sentence, detail && element('span', { class: 'note' }, ` ${detail}`)),
    describeFacts(refusal),
  )
}

const suspicions = {
  certain: 'Another party holds the token',
  possible: 'Another party may hold the token',
}

/** The action taken, by the response of the event. */
const responses = new Map([
  ['alert', 'nothing was revoked'],
  ['revoke_token', 'the token was revoked'],
  ['revoke_grant', 'its grant was revoked'],
  ['close', 'its grant was revoked, and the connections of its owner were closed'],
])

/** @param {Theft} theft */
function describeTheft(theft) {
  const { reason, suspicion, response } = theft
  return element(
    'li',
    {},
    describeHead(theft, element('b', { class: 'alarm' }, suspicions[suspicion])),
    element('p', {}, `It was presented elsewhere (${reason}); ${responses.get(response) ?? response}.`),
    describeFacts(theft),
  )
}

/**
 * @param {Refusal} refusal
 * @param {HTMLElement} name
 * @param {string} before the time
 */
function describeHead({ count: times, time: when }, name, before = '') {
  const often = times > 1 ? element('b', { class: 'times' }, `${count(times)} times`, ', the last at ') : ''
  return element('p', { class: 'head' }, name, element('span', { class: 'note' }, before, often, time(when)))
}

/** @param {Refusal} refusal */
function describeFacts({ client, token, peer, request }) {
  const facts = [client, request, token && `token ${token}`, peer].filter(Boolean).join(' · ')
  return element('p', { class: 'facts-line', dir: 'auto' }, facts)
}
