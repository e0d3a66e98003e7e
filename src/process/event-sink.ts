// The recipients of the events of an embedded server.
import type { FastifyBaseLogger } from 'fastify'
import type { SecurityEvent } from '../audit/event.ts'
import { type Events, openEvents } from '../audit/open.ts'
import type { Settings } from '../settings/settings.ts'
import { describeEventFailures } from './log.ts'

/** Opens the file of the settings, `onEvent`, or both; stdout only without either. */
export function openSink(
  settings: Settings,
  onEvent: ((event: SecurityEvent) => void) | undefined,
  log: FastifyBaseLogger,
): Events {
  if (onEvent === undefined) return openEvents(settings, describeEventFailures(log))
  const file = settings.auditFile === undefined ? undefined : openEvents(settings, describeEventFailures(log))
  let isAccepted = true
  return {
    record(event) {
      file?.record(event)
      isAccepted = false
      const result: unknown = onEvent(event)
      // A promise is not waited for; its rejection must not end the process.
      if (result instanceof Promise) result.catch(error => log.error({ err: error }, 'unhandled error in onEvent'))
      isAccepted = true
    },
    isRecording: () => isAccepted && file?.isRecording() !== false,
    followRename: () => file?.followRename(),
    end: () => file?.end() ?? '',
    close: () => file?.close(),
  }
}
