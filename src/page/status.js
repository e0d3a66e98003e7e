// The state of the server: its version, its readiness, and the end of its certificate.
import { find } from './element.js'

/** @typedef {{ version: string, isReady?: boolean, obstacle?: string, certificateEnds?: number }} Status */

/** Days before the end of the certificate at which it is shown as a problem. */
const warningDays = 7

const dates = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium' })
const days = new Intl.RelativeTimeFormat(undefined, { numeric: 'always' })

/** @param {{ status: Status }} update */
export function showStatus({ status: { version, isReady, obstacle, certificateEnds } }) {
  find('version').textContent = version
  showText(
    'readiness',
    isReady === false,
    isReady === undefined ? 'checking' : isReady ? 'ready' : `not ready: ${obstacle}`,
  )
  if (certificateEnds === undefined) return showText('certificate-end', false, 'not known')
  const left = Math.floor((certificateEnds * 1000 - Date.now()) / 86_400_000)
  const verb = left < 0 ? 'ended' : 'ends'
  showText(
    'certificate-end',
    left < warningDays,
    `${verb} ${dates.format(certificateEnds * 1000)}, ${days.format(left, 'day')}`,
  )
}

/**
 * Changes a text only if it differs, since changes are announced.
 * @param {string} id
 * @param {boolean} isProblem
 * @param {string} text
 */
function showText(id, isProblem, text) {
  find(id).classList.toggle('problem', isProblem)
  if (find(id).textContent !== text) find(id).textContent = text
}
