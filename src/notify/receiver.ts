// The receivers of notifications: parses and validates the list of webhooks. Secrets have the form of the Standard Webhooks
// specification 1.0.0: whsec_ and 24 to 64 random octets in base64.
import { hash } from 'node:crypto'
import { type EventName, eventNames } from '../audit/event.ts'
import { isHttpsUrl } from '../core/https-url.ts'
import { isInternalHost } from './internal-address.ts'

export interface Receiver {
  /** Identifies its stored notifications: they belong to this address and client, also after a change of secrets. */
  readonly key: string
  readonly url: URL
  /** The client whose events it receives; undefined: all clients. */
  readonly clientId: string | undefined
  readonly events: ReadonlySet<EventName>
  /** Each one signs, so that secrets can be rotated. */
  readonly secrets: readonly Buffer[]
  readonly caFile: string | undefined
  readonly allowInternal: boolean
}

const known = ['url', 'secret', 'secrets', 'client_id', 'events', 'ca_file', 'allow_internal']

/** All events except the failure of a notification, which would cause another notification. */
const notifiable: readonly EventName[] = eventNames.filter(name => name !== 'notification.failed')

const mostReceivers = 100

/** Parses the list of webhooks. `problems` receives a sentence, without any secret, for each error. */
export function parseReceivers(list: unknown, problems: string[]): Receiver[] {
  if (!Array.isArray(list) || list.length > mostReceivers) {
    problems.push(`the list of webhooks must be a JSON array of at most ${mostReceivers}`)
    return []
  }
  const receivers = list.flatMap((entry: unknown, index) => parseReceiver(entry, index + 1, problems) ?? [])
  receivers.forEach(({ key }, index) => {
    if (receivers.findIndex(other => other.key === key) < index)
      problems.push(`webhook listed twice for the same client: ${receivers[index]?.url.host}`)
  })
  return receivers
}

function parseReceiver(value: unknown, number: number, problems: string[]): Receiver | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    problems.push(`webhook number ${number}: must be a JSON object`)
    return undefined
  }
  const entry = value as Record<string, unknown>
  const {
    secret,
    secrets = [secret],
    client_id: clientId,
    ca_file: caFile,
    allow_internal: allowInternal = false,
  } = entry
  const { events = ['theft.suspected', 'proxy.suspected', 'token.leaked', 'refresh.reused'] } = entry
  const url = parseUrl(entry.url)
  const wrong = [
    ...Object.keys(entry)
      .filter(name => !known.includes(name))
      .map(name => `unknown member ${name}`),
    url === undefined && 'url must be an https URL without user and fragment',
    url !== undefined &&
      allowInternal !== true &&
      isInternalHost(url) &&
      'url is an internal address: set allow_internal to true to permit it',
    secret !== undefined && entry.secrets !== undefined && 'secret and secrets cannot both be given',
    !isListOf(secrets, 3, isSecret) &&
      'secret must be whsec_ and 24 to 64 octets in base64, secrets a list of at most 3',
    clientId !== undefined && !isText(clientId) && 'client_id must be a non-empty string',
    !isListOf(events, notifiable.length, isNotifiable) && `events must be a list of ${notifiable.join(', ')}`,
    caFile !== undefined && !isText(caFile) && 'ca_file must be a path',
    typeof allowInternal !== 'boolean' && 'allow_internal must be true or false',
  ].filter(sentence => sentence !== false)
  problems.push(...wrong.map(sentence => `webhook number ${number}: ${sentence}`))
  if (url === undefined || wrong.length > 0) return undefined
  return {
    key: hash('sha256', JSON.stringify([url.href, clientId ?? null]), 'base64url'),
    url,
    clientId: clientId as string | undefined,
    events: new Set(events as EventName[]),
    secrets: (secrets as string[]).map(text => Buffer.from(text.slice('whsec_'.length), 'base64')),
    caFile: caFile as string | undefined,
    allowInternal: allowInternal as boolean,
  }
}

function parseUrl(value: unknown): URL | undefined {
  return isHttpsUrl(value) ? new URL(value) : undefined
}

function isSecret(value: unknown): boolean {
  const [, digits = ''] = typeof value === 'string' ? (/^whsec_(.*)$/.exec(value) ?? []) : []
  const octets = Buffer.from(digits, 'base64')
  return octets.toString('base64') === digits && octets.length >= 24 && octets.length <= 64
}

function isNotifiable(value: unknown): boolean {
  return notifiable.includes(value as EventName)
}

function isText(value: unknown): boolean {
  return typeof value === 'string' && value !== ''
}

function isListOf(value: unknown, most: number, isOne: (entry: unknown) => boolean): boolean {
  return Array.isArray(value) && value.length > 0 && value.length <= most && value.every(isOne)
}
