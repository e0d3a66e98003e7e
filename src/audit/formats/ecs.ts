// Elastic Common Schema 8.17: each event with its category, its type, and the fields of ECS for its facts. Facts without a
// field are below `tlsbound`. Requirement N-66; elastic.co/guide/en/ecs/8.17, docs/reference/events/ecs.schema.json.
import type { EventName, Outcome } from '../event.ts'
import type { Format } from '../recorder.ts'
import { actorOf } from './actor.ts'
import { asText, known, tlsVersion } from './known.ts'

interface Class {
  readonly kind: 'event' | 'alert'
  readonly category: readonly string[]
  /** Each is expected by ECS for one of the categories. */
  readonly type: readonly string[]
}

const classes: Readonly<Record<EventName, Class>> = {
  'token.issued': { kind: 'event', category: ['authentication'], type: ['start'] },
  'token.refused': { kind: 'event', category: ['authentication', 'api'], type: ['start', 'denied'] },
  'token.revoked': { kind: 'event', category: ['iam'], type: ['deletion'] },
  'token.introspected': { kind: 'event', category: ['api'], type: ['access'] },
  'token.leaked': { kind: 'alert', category: ['intrusion_detection'], type: ['info'] },
  'refresh.rotated': { kind: 'event', category: ['authentication'], type: ['info'] },
  'refresh.rebound': { kind: 'event', category: ['authentication'], type: ['info'] },
  'refresh.reused': { kind: 'alert', category: ['authentication', 'intrusion_detection'], type: ['start', 'denied'] },
  'client.refused': { kind: 'event', category: ['authentication'], type: ['start'] },
  'client.changed': { kind: 'event', category: ['iam'], type: ['admin', 'user'] },
  'connection.refused': { kind: 'event', category: ['network'], type: ['connection', 'denied'] },
  'connection.closed': { kind: 'event', category: ['network'], type: ['connection', 'end'] },
  'theft.suspected': { kind: 'alert', category: ['intrusion_detection'], type: ['denied'] },
  'proxy.suspected': { kind: 'alert', category: ['intrusion_detection'], type: ['info'] },
  'notification.failed': { kind: 'event', category: ['web'], type: ['error'] },
  'admin.refused': { kind: 'event', category: ['iam', 'api'], type: ['admin', 'denied'] },
  'key.rotated': { kind: 'event', category: ['configuration'], type: ['change'] },
  'settings.unsafe': { kind: 'event', category: ['configuration'], type: ['info'] },
  'worker.changed': { kind: 'event', category: ['process'], type: ['change'] },
}

const outcomes: Readonly<Record<Outcome, string>> = { success: 'success', refused: 'failure', unknown: 'unknown' }

export const ecs: Format = ({ time, event: action, outcome, reason, since, ...facts }, chain) => {
  const { client, owner, others } = actorOf(facts)
  const { sub, peer, peer_port, tls, cipher, resumed, 'x5t#S256': certificate, ...rest } = others
  const { request_id, method, path, status, ...unmapped } = rest
  const subject = asText(sub)
  return {
    '@timestamp': time,
    ecs: { version: '8.17.0' },
    event: {
      ...classes[action],
      action,
      outcome: outcomes[outcome],
      reason,
      module: 'tlsbound',
      dataset: 'tlsbound.audit',
      ...(since !== undefined && { start: since, end: time }),
    },
    user: known({
      id: client,
      effective: subject === client ? undefined : known({ id: subject }),
      target: known({ id: owner }),
    }),
    source: known({ ip: peer, port: peer_port }),
    tls: known({
      version: tlsVersion(tls),
      version_protocol: tls ? 'tls' : undefined,
      cipher,
      resumed,
      client: certificate && { hash: { sha256: Buffer.from(certificate, 'base64url').toString('hex').toUpperCase() } },
    }),
    http: known({
      request: known({ id: request_id, method }),
      response: status === undefined ? undefined : { status_code: status },
    }),
    url: known({ path }),
    tlsbound: { ...unmapped, chain },
  }
}
