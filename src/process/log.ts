// The application log on stderr.
import type { FastifyBaseLogger } from 'fastify'
import { type Logger, pino } from 'pino'
import type { Settings } from '../settings/settings.ts'

/** Creates the log of a server. */
export function createLog(level: Settings['logLevel']): Logger {
  const stderr = pino.destination({ dest: 2, sync: true, maxLength: 65_536 })
  stderr.on('error', () => {}) // requests are served even when the log cannot be written
  return pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime }, stderr)
}

/** Returns what logs that security events fail, by their error, and that they are written again. */
export function describeEventFailures(log: FastifyBaseLogger): (error: unknown) => void {
  return error => {
    if (error === undefined) log.info('security events are written again')
    else log.error({ err: error }, 'security events cannot be written: whatever would make one is refused')
  }
}
