// The live page: asks for the ops token, keeps it in memory, and watches the server for as long as the page is open.
import { announce } from './announce.js'
import { forgetConnections, showConnections } from './connections.js'
import { find } from './element.js'
import { forgetRefusals, showRefusals } from './refusals.js'
import { Refused, readLines } from './stream.js'
import { armThefts } from './thefts.js'

/** Milliseconds before the server is asked again after it has gone, at first and at most. */
const patience = { first: 500, most: 8000 }

const field = /** @type {HTMLInputElement} */ (find('token'))
let token = ''

armThefts(() => token)

find('entry-form').addEventListener('submit', event => {
  event.preventDefault()
  token = field.value.trim()
  field.value = ''
  watch()
})

async function watch() {
  let pause = patience.first
  for (;;) {
    try {
      let isFirst = true
      for await (const update of readLines('/live', { token })) {
        if (isFirst) begin(update)
        showConnections(update)
        showRefusals(update)
        if (!isFirst) announce(update.refusals)
        isFirst = false
        pause = patience.first
      }
    } catch (error) {
      if (error instanceof Refused) return stop(error)
    }
    tell('lost', 'The server is gone, trying again')
    await new Promise(resolve => setTimeout(resolve, pause))
    pause = Math.min(2 * pause, patience.most)
  }
}

/** @param {{ canPlay: boolean }} first */
function begin({ canPlay }) {
  forgetConnections()
  forgetRefusals()
  find('can-play').hidden = !canPlay
  find('cannot-play').hidden = canPlay
  find('entry').hidden = true
  if (find('live').hidden) {
    find('live').hidden = false
    find('connections').focus({ preventScroll: true })
  }
  tell('watching', 'Live')
}

/** @param {Refused} refused */
function stop({ status, message }) {
  token = ''
  find('live').hidden = true
  find('entry').hidden = false
  find('entry-problem').textContent = `${status === 401 ? 'That was not it: ' : ''}${message}`
  tell('', 'Not watching')
  field.focus()
}

/**
 * @param {'' | 'watching' | 'lost'} kind
 * @param {string} words
 */
function tell(kind, words) {
  find('state').className = `state ${kind}`
  find('state').textContent = words
}
