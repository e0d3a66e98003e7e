// Reads a stream of JSON lines from the server. The ops token is sent in a header only.

/** An error response instead of the requested lines. */
export class Refused extends Error {
  /**
   * @param {number} status
   * @param {string} message
   */
  constructor(status, message) {
    super(message)
    this.status = status
  }
}

/**
 * @param {string} path
 * @param {RequestInit & { token: string }} options
 * @returns {AsyncGenerator<any>}
 */
export async function* readLines(path, { token, ...options }) {
  const headers = { authorization: `Bearer ${token}` }
  const answer = await fetch(path, { ...options, headers, credentials: 'omit', redirect: 'error' })
  if (!answer.ok || answer.body === null) throw new Refused(answer.status, await explain(answer))
  let rest = ''
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader()
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return
    const lines = (rest + value).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) yield JSON.parse(line)
  }
}

/** @param {Response} answer */
async function explain(answer) {
  try {
    const { problems, error_description: description } = await answer.json()
    return String(problems?.[0] ?? description)
  } catch {
    return `the server answered with ${answer.status}`
  }
}
