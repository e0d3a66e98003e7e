// The theft demo: its button, and the result of each theft.
import { element, find, glyph } from './element.js'
import { readLines } from './stream.js'

/** @typedef {{ kind: 'control' | 'theft', what: string, result: 'accepted' | 'refused' | 'fault', seen: string,
 *   boundTo?: string, triedOn?: string }} Play */

/**
 * Makes the button run the theft demo.
 * @param {() => string} token the ops token of this page
 */
export function armThefts(token) {
  const button = find('play')
  let playing = false
  button.addEventListener('click', async () => {
    if (playing) return
    playing = true
    button.setAttribute('aria-disabled', 'true') // a disabled button would lose the focus
    button.textContent = 'Stealing…'
    find('pictures-note').hidden = false
    find('verdict').className = 'verdict'
    find('verdict').textContent = ''
    const list = find('plays')
    list.replaceChildren()
    /** @type {Play[]} */
    const plays = []
    try {
      for await (const play of readLines('/live/thefts', { method: 'POST', token: token() })) {
        if (play.error !== undefined) throw new Error(play.error)
        plays.push(play)
        list.append(describe(play))
      }
      conclude(plays)
    } catch (error) {
      showVerdict('bad', `! ${/** @type {Error} */ (error).message}`)
    }
    playing = false
    button.removeAttribute('aria-disabled')
    button.textContent = 'Steal another one'
  })
}

/** @param {Play} play */
function isGood({ kind, result }) {
  return result === (kind === 'control' ? 'accepted' : 'refused')
}

/** @param {Play} play */
function describe(play) {
  const { kind, what, result, seen, boundTo, triedOn } = play
  const good = isGood(play)
  return element(
    'li',
    { class: `${kind} ${good ? 'good' : 'bad'}` },
    element('span', { class: 'sign', 'aria-hidden': 'true' }, good ? '✓' : '✗'),
    element('span', {}, what),
    element(
      'span',
      { class: 'pictures' },
      ...[boundTo, triedOn].flatMap(print => (print === undefined ? [] : [glyph(print)])),
    ),
    element('span', { class: 'answer' }, element('b', {}, result), ' ', element('code', {}, seen)),
  )
}

/** @param {readonly Play[]} plays */
function conclude(plays) {
  const thefts = plays.filter(({ kind }) => kind === 'theft')
  if (plays.length > 0 && plays.every(isGood))
    showVerdict('good', `✓ All ${thefts.length} thefts were refused, and Alice can continue.`)
  else showVerdict('bad', `! ${plays.filter(play => !isGood(play)).length} unexpected results.`)
}

/**
 * @param {'good' | 'bad'} kind
 * @param {string} words
 */
function showVerdict(kind, words) {
  find('verdict').className = `verdict ${kind}`
  find('verdict').textContent = words
}
