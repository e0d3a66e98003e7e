// Compares the states of a client over time, and says what has changed, in one line each: connections, problems, recovery, the
// certificate and its end.
import type { ClientState } from '../client/state.ts'

/** Milliseconds between two warnings about the same certificate. */
const day = 86_400_000
/** A certificate is about to end in the last fifth of its time, but no earlier than this many milliseconds before. */
const longestWarning = 30 * day

/** Creates a function that receives the state regularly, with the time in milliseconds since 1970, and calls `log`. */
export function createStateWatch(log: (line: string) => void): (state: Partial<ClientState>, now: number) => void {
  let before: Partial<ClientState> | undefined
  /** The problem that nothing has succeeded after so far. */
  let problem: string | undefined
  let warning: { readonly about: string; readonly at: number } | undefined

  function compareConnections({ origin, connections = [] }: Partial<ClientState>): void {
    const had = before?.connections?.length ?? 0
    const [first] = connections
    if (had === 0 && first !== undefined) log(`Connected to ${origin} (${first.protocol}, ${first.tls}).`)
    if (had > 0 && first === undefined) log(`No connection to ${origin} is open; the next request opens one.`)
  }

  function compareProblems({ lastProblem, counts }: Partial<ClientState>): void {
    const isNew = lastProblem != null && lastProblem.at !== before?.lastProblem?.at
    if (isNew) {
      const text = `${lastProblem.code}: ${lastProblem.message}`
      if (text !== problem) log(`Problem: ${text}`)
      problem = text
    } else if (problem !== undefined && (counts?.tokens ?? 0) > (before?.counts?.tokens ?? 0)) {
      problem = undefined
      log('Recovered: a token was issued again.')
    }
  }

  function compareCertificates({ certificate }: Partial<ClientState>, now: number): void {
    if (certificate === undefined) return
    const { thumbprint, starts, expires } = certificate
    const former = before?.certificate?.thumbprint
    if (former !== undefined && former !== thumbprint)
      log(`The renewed certificate ${thumbprint} is in use, until ${expires}.`)
    const [start, end] = [Date.parse(starts), Date.parse(expires)]
    if (!(end - now < Math.min((end - start) / 5, longestWarning))) return
    const about = `${thumbprint} ${end < now ? 'ended' : 'ends'}`
    if (warning?.about === about && now - warning.at < day) return
    warning = { about, at: now }
    if (end < now)
      log(`The certificate ended at ${expires}: the upstream refuses it. Renew it; the files are loaded again.`)
    else log(`The certificate ends at ${expires}. Renew it; the files are loaded again when they change.`)
  }

  return (state, now) => {
    compareConnections(state)
    compareProblems(state)
    compareCertificates(state, now)
    before = state
  }
}
