// Writes the events of a server process: through the flood gate, in the configured format, to a file or standard output.
import type { RecordEvent } from './event.ts'
import { openEventFile } from './file.ts'
import { createFloodGate } from './flood.ts'
import { ecs } from './formats/ecs.ts'
import { ocsf } from './formats/ocsf.ts'
import { plain } from './formats/plain.ts'
import { createRecorder, type Writer } from './recorder.ts'

export const formats = { plain, ecs, ocsf }

export interface Events {
  readonly record: RecordEvent
  /** Whether the last write succeeded. */
  isRecording(): boolean
  /** Opens a new file if the current one was renamed. This is also checked each second. */
  followRename(): void
  /** The hash that the next line refers to. */
  end(): string
  /** Writes the counted refusals. */
  close(): void
}

/** One of several processes that write events to the same place. */
export interface SharedEvents {
  /** The number of these processes, which share the limits of a flood. */
  readonly processes: number
  /** The chain of a worker. Default: the main chain. */
  readonly writer?: Writer
}

/** Milliseconds after which counted refusals are written. */
const second = 1000

/**
 * `onChange` receives the error when writes begin to fail, and undefined when they succeed again. `shared`: other processes
 * write to the same place. @throws Error of the system.
 */
export function openEvents(
  { auditFile, auditFormat }: { readonly auditFile: string | undefined; readonly auditFormat: keyof typeof formats },
  onChange: (error: unknown) => void,
  shared?: SharedEvents,
): Events {
  let recording = true
  const file = openEventFile(
    auditFile,
    error => {
      recording = error === undefined
      try {
        onChange(error)
      } catch {} // a log that fails must not lose an event
    },
    shared !== undefined,
  )
  const recorder = createRecorder(file, formats[auditFormat], shared?.writer)
  const gate = createFloodGate(recorder, shared?.processes)
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
    end: recorder.end,
    close() {
      clearInterval(timer)
      flush()
    },
  }
}
