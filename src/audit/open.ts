// Where the events of a server process go: through the flood gate, in the form of the settings, to a file or stdout.
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
  /** Whether they can be written, as far as the last one has shown. */
  isRecording(): boolean
  /** Goes on in a new file when that of before was renamed. It is looked for each second, too. */
  followRename(): void
  /** Writes what is only counted so far. */
  close(): void
}

/** Milliseconds after which what was counted is written. */
const second = 1000

/** `onChange` is told the error when events begin to fail, and undefined when they go again. @throws Error of the system. */
export function openEvents(
  { auditFile, auditFormat }: { readonly auditFile: string | undefined; readonly auditFormat: keyof typeof formats },
  onChange: (error: unknown) => void,
): Events {
  let recording = true
  const file = openEventFile(auditFile, error => {
    recording = error === undefined
    try {
      onChange(error)
    } catch {} // a log that fails takes no event along
  })
  const gate = createFloodGate(createRecorder(file, formats[auditFormat]))
  const flush = () => {
    try {
      gate.flush()
    } catch {} // `onChange` knows, and the gate takes nothing more until it can be written
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
