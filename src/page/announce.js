// Announces refusals and suspected thefts to a screen reader, at most as fast as it can speak. Several at once are announced
// as a number.
import { find } from './element.js'

/** Milliseconds between two announcements. */
const pause = 3000

/** @typedef {{ reason: string, sentence: string }} Refusal */

/** @type {{ refused: number, suspected: number, last?: Refusal }} */
let waiting = { refused: 0, suspected: 0 }
/** @type {{ refused: number, suspected: number } | undefined} */
let counted
let resting = false

/**
 * Announces what has been added to the counts since the last update.
 * @param {{ refused: number, suspected: number, refusals: readonly Refusal[] }} update
 */
export function announce({ refused, suspected, refusals }) {
  const { refused: refusedBefore, suspected: suspectedBefore } = counted ?? { refused, suspected }
  counted = { refused, suspected }
  waiting.refused += refused - refusedBefore
  waiting.suspected += suspected - suspectedBefore
  const last = refusals.at(-1) ?? waiting.last
  waiting = { ...waiting, ...(last && { last }) }
  if (!resting) speak()
}

/** Restarts counting at the next update without announcing it, since it describes the past. */
export function beginAnnouncing() {
  counted = undefined
  waiting = { refused: 0, suspected: 0 }
}

function speak() {
  const { refused, suspected, last } = waiting
  resting = refused + suspected > 0
  if (!resting) return
  const theft = suspected > 0 ? [suspected === 1 ? 'Suspected theft.' : `${suspected} suspected thefts.`] : []
  const reason = last?.reason.replaceAll('_', ' ')
  const one = `Refused, ${reason}. ${last?.sentence}`
  const words = refused === 0 ? [] : [refused === 1 ? one : `${refused} refused, the last: ${reason}.`]
  find('announcer').textContent = [...theft, ...words].join(' ')
  waiting = { refused: 0, suspected: 0 }
  setTimeout(speak, pause)
}
