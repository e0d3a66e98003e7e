// Open Cybersecurity Schema Framework: classes 3002, 6003 and 2004, and what is only ours below `unmapped`. requirements N-65.
import type { Format } from '../recorder.ts'

export const ocsf: Format = ({ time, event, ...facts }, chain) => ({
  class_uid: 3002,
  time: Date.parse(time),
  unmapped: { event, ...facts, chain },
})
