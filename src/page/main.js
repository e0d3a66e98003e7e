// The live page: asks for the ops token, stores it in memory, and streams updates for as long as the page is open.
import { announce, beginAnnouncing } from './announce.js'
import { forgetConnections, showConnections } from './connections.js'
import { find } from './element.js'
import { forgetRefusals, showRefusals } from './refusals.js'
import { showStatus } from './status.js'
import { Refused, readLines } from './stream.js'
import { armThefts } from './thefts.js'

/** Milliseconds before a reconnect, at first and at most. */
const retryDelay = { first: 500, most: 8000 }

const wrongToken = 'This is not the ops token of this server. Compare it with the file named below.'

const field = /** @type {HTMLInputElement} */ (find('token'))
let token = ''

armThefts(() => token)

find('entry-form').addEventListener('submit', event => {
  event.preventDefault()
  token = field.value.trim()
  field.value = ''
  if (/^[\x21-\x7e]+$/.test(token)) watch()
  else stop(new Refused(401, '')) // not valid in a header
})

async function watch() {
  let pause = retryDelay.first
  for (;;) {
    try {
      let isFirst = true
      for await (const update of readLines('/live', { token })) {
        if (isFirst) begin(update)
        showConnections(update)
        showRefusals(update)
        showStatus(update)
        announce(update)
        isFirst = false
        pause = retryDelay.first
      }
    } catch (error) {
      if (error instanceof Refused) return stop(error)
    }
    show('lost', 'The server does not respond; retrying')
    await new Promise(resolve => setTimeout(resolve, pause))
    pause = Math.min(2 * pause, retryDelay.most)
  }
}

/** @param {{ canPlay: boolean }} first */
function begin({ canPlay }) {
  forgetConnections()
  forgetRefusals()
  beginAnnouncing()
  find('can-play').hidden = !canPlay
  find('cannot-play').hidden = canPlay
  find('entry').hidden = true
  if (find('live').hidden) {
    find('live').hidden = false
    find('connections').focus({ preventScroll: true })
  }
  show('watching', 'Live')
}

/** @param {Refused} refused */
function stop({ status, message }) {
  token = ''
  find('live').hidden = true
  find('entry').hidden = false
  find('entry-problem').textContent = status === 401 ? wrongToken : message
  show('', 'Not watching')
  field.focus()
}

/**
 * @param {'' | 'watching' | 'lost'} kind
 * @param {string} words
 */
function show(kind, words) {
  find('state').className = `state ${kind}`
  find('state').textContent = words
}
