// The default format: the event unchanged.
import type { Format } from '../recorder.ts'

export const plain: Format = (event, chain) => ({ ...event, chain })
