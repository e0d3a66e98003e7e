// The form of our own: the event as it is.
import type { Format } from '../recorder.ts'

export const plain: Format = (event, chain) => ({ ...event, chain })
