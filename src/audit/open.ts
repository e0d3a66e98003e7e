// Writes the events of a server process: through the flood gate, in the configured format, to a file or standard output.
import type { RecordEvent } from './event.ts'
import { openEventFile } from './file.ts'
import { createFloodGate } from './flood.ts'
import { ecs } from './formats/ecs.ts'
import { ocsf } from './formats/ocsf.ts'
import { plain } from './formats/plain.ts'
import { createRecorder } from './recorder.ts'

export const formats = { plain, ecs, ocsf }

export interface Events {
  readonly record: RecordEvent
  /** Whether the last write succeeded. */
  isRecording(): boolean
  /** Opens a new file if the current one was renamed. This is also checked each second. */
  followRename(): void
  /** Writes the counted refusals. */
  close(): void
}

/** Milliseconds after which counted refusals are written. */
const second = 1000

/**
 * `onChange` receives the error when writes begin to fail, and undefined when they succeed again. @throws Error of the
 * system.
 */
export function openEvents(
  { auditFile, auditFormat }: { readonly auditFile: string | undefined; readonly auditFormat: keyof typeof formats },
  onChange: (error: unknown) => void,
): Events {
  let recording = true
  const file = openEventFile(auditFile, error => {
    recording = error === undefined
    try {
      onChange(error)
    } catch {} // a log that fails must not lose an event
  })
  const gate = createFloodGate(createRecorder(file, formats[auditFormat]))
  const flush = () => {
    try {
      gate.flush()
    } catch {} // reported to `onChange`; the gate accepts no more events until it can write them
  }
  const timer = setInterval(() => {
    file.followRename()
    file.retry()
    flush()
  }, second)
  timer.unref()
  return {
    record: gate.record,
    isRecording: () => recording,
    followRename: file.followRename,
    close() {
      clearInterval(timer)
      flush()
    },
  }
}
