// Tells a screen reader of refusals in words, and not more often than it can speak: of many at once, how many they are.
import { find } from './element.js'

/** Milliseconds between two announcements. */
const pause = 3000

/** @type {{ reason: string, sentence: string }[]} */
let waiting = []
let resting = false

/** @param {readonly { reason: string, sentence: string }[]} refusals */
export function announce(refusals) {
  waiting.push(...refusals)
  if (!resting) speak()
}

function speak() {
  const last = waiting.at(-1)
  resting = last !== undefined
  if (last === undefined) return
  const words = last.reason.replaceAll('_', ' ')
  find('announcer').textContent =
    waiting.length === 1 ? `Refused, ${words}. ${last.sentence}` : `${waiting.length} refused, the last: ${words}.`
  waiting = []
  setTimeout(speak, pause)
}
