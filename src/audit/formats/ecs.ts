// Elastic Common Schema: the fields that it has, and what is only ours below `tlsbound`. requirements N-66.
import type { Format } from '../recorder.ts'

export const ecs: Format = ({ time, event, outcome, ...facts }, chain) => ({
  '@timestamp': time,
  event: { kind: 'event', action: event, outcome: outcome === 'refused' ? 'failure' : outcome },
  tlsbound: { ...facts, chain },
})
