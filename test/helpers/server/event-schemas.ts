// Validates security events with the published schemas, and formats events as lines.
import { readFileSync } from 'node:fs'
import { Ajv2020 } from 'ajv/dist/2020.js'
import type { SecurityEvent } from '../../../src/audit/event.ts'
import { formats } from '../../../src/audit/open.ts'
import { createRecorder } from '../../../src/audit/recorder.ts'

export type Form = keyof typeof formats
export const forms = Object.keys(formats) as Form[]

/** Returns what is wrong with an event in a format; empty if nothing is. */
export function faultsOf(form: Form, line: unknown): readonly unknown[] {
  return judges[form](line) ? [] : (judges[form].errors ?? [])
}

function readSchema(form: Form) {
  const ajv = new Ajv2020({ strict: true })
  return ajv.compile(JSON.parse(readFileSync(`docs/reference/events/${form}.schema.json`, 'utf8')))
}

const judges = { plain: readSchema('plain'), ecs: readSchema('ecs'), ocsf: readSchema('ocsf') }

/** Formats these events as lines, each with its end. */
export function linesOf(form: Form, events: readonly SecurityEvent[]): string[] {
  const lines: string[] = []
  const record = createRecorder({ write: line => void lines.push(line) }, formats[form])
  for (const event of events) record(event)
  return lines
}

/** Returns the name of the event of a line. */
// biome-ignore lint/suspicious/noExplicitAny: each form has its own members
export function nameOf(line: any): string {
  return line.event?.action ?? line.metadata?.event_code ?? line.event
}
