// Filters refusals by reason, client and text.
import { element, find } from './element.js'

/** @typedef {{ id: number, count: number, time: string, event: string, reason: string, detail: string, sentence: string,
 *   status?: number, client?: string, token?: string, peer?: string, request?: string }} Refusal */

const reason = /** @type {HTMLSelectElement} */ (find('filter-reason'))
const client = /** @type {HTMLSelectElement} */ (find('filter-client'))
const text = /** @type {HTMLInputElement} */ (find('filter-text'))

/**
 * Calls back whenever the filter changes.
 * @param {() => void} apply
 */
export function armFilter(apply) {
  for (const control of [reason, client, text]) control.addEventListener('input', apply)
}

/**
 * Whether a refusal matches the filter.
 * @param {Refusal} refusal
 */
export function isChosen(refusal) {
  if (reason.value !== '' && refusal.reason !== reason.value) return false
  if (client.value !== '' && `=${refusal.client ?? ''}` !== client.value) return false
  const wanted = text.value.trim().toLowerCase()
  return wanted === '' || Object.values(refusal).join('\n').toLowerCase().includes(wanted)
}

/** Whether any filter is set. */
export function isFiltering() {
  return [reason, client, text].some(({ value }) => value.trim() !== '')
}

/**
 * Offers the reasons and clients of these refusals, and the current choice.
 * @param {readonly Refusal[]} refusals
 */
export function offerChoices(refusals) {
  const reasons = refusals.map(refusal => /** @type {const} */ ([refusal.reason, refusal.reason]))
  offer(reason, 'All reasons', reasons)
  // The value of a client has a prefix, so that no client can have the value of "all clients" or of "no client".
  const clients = refusals.map(({ client: id }) => /** @type {const} */ ([`=${id ?? ''}`, id ?? '(no client named)']))
  offer(client, 'All clients', clients)
}

/**
 * @param {HTMLSelectElement} select
 * @param {string} all
 * @param {readonly (readonly [value: string, text: string])[]} choices
 */
function offer(select, all, choices) {
  const { value } = select
  const chosen = [...select.options].find(option => option.value === value)
  const kept = /** @type {[string, string][]} */ (value === '' ? [] : [[value, chosen?.text ?? value]])
  const wanted = [...new Map([...kept, ...choices])].sort(([, a], [, b]) => (a < b ? -1 : 1))
  const now = [...select.options].slice(1).map(option => option.value)
  if (now.join('\n') === wanted.map(([of]) => of).join('\n')) return // an open list stays unchanged
  select.replaceChildren(...[['', all], ...wanted].map(([of = '', name]) => element('option', { value: of }, name)))
  select.value = value
}
