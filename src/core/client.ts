// Clients as they are registered: a JSON list, checked whole before anything listens.
// Names of RFC 7591 §2 and RFC 8705 §2.1.2; token_bindings is ours, its first entry the client's default.
import { isIP } from 'node:net'
import { isScope, readScope } from './access-token.ts'
import { type TokenBinding, tokenBindings } from './confirmation.ts'
import { parseName } from './distinguished-name.ts'

/** The five ways to say whose certificate it must be; a registration has exactly one (RFC 8705 §2.1.2). */
export const subjectRules = ['subject_dn', 'san_dns', 'san_uri', 'san_ip', 'san_email'] as const

export type SubjectRule = { readonly type: (typeof subjectRules)[number]; readonly value: string }

export interface Client {
  readonly id: string
  readonly subject: SubjectRule
  readonly scope: ReadonlySet<string>
  readonly grantTypes: ReadonlySet<string>
  readonly bindings: readonly TokenBinding[]
}

export type Clients = ReadonlyMap<string, Client>

/** Reads a list of registrations; `problems` receives a sentence for each thing that is wrong with it. */
export function readClients(list: unknown, problems: string[]): Clients {
  const clients = new Map<string, Client>()
  const subjects = new Map<string, string>()
  if (!Array.isArray(list)) {
    problems.push('the list of clients must be a JSON array')
    return clients
  }
  list.forEach((registration: unknown, index) => {
    const client = readClient(registration, sentence =>
      problems.push(`client ${nameOf(registration, index)}: ${sentence}`),
    )
    if (client === undefined) return
    const subject = JSON.stringify(client.subject)
    if (clients.has(client.id)) problems.push(`client ${client.id}: registered twice`)
    const other = subjects.get(subject)
    if (other !== undefined) problems.push(`client ${client.id}: one certificate would match ${other} as well`)
    clients.set(client.id, client)
    subjects.set(subject, client.id)
  })
  return clients
}

const known = new Set([
  'client_id',
  'client_name',
  'token_endpoint_auth_method',
  ...subjectRules.map(type => `tls_client_auth_${type}`),
  'scope',
  'grant_types',
  'token_bindings',
])

function readClient(registration: unknown, problem: (sentence: string) => void): Client | undefined {
  if (typeof registration !== 'object' || registration === null || Array.isArray(registration)) {
    problem('must be a JSON object')
    return undefined
  }
  const entry = registration as Record<string, unknown>
  const { client_id: id, scope = '', grant_types: grantTypes = ['client_credentials'] } = entry
  const bindings = entry.token_bindings ?? ['connection']
  const wrong = [
    ...Object.keys(entry)
      .filter(name => !known.has(name))
      .map(name => `${name} is not known`),
    (typeof id !== 'string' || !/^[\x20-\x7e]{1,128}$/.test(id)) && 'client_id must have 1 to 128 printable characters',
    entry.token_endpoint_auth_method !== 'tls_client_auth' && 'token_endpoint_auth_method must be tls_client_auth',
    !isScope(scope) && 'scope must be words with single spaces between them, each once',
    !isListOf(grantTypes, ['client_credentials']) && 'grant_types must be a list of client_credentials',
    !isListOf(bindings, tokenBindings) && `token_bindings must be a list of ${tokenBindings.join(', ')}`,
  ].filter(sentence => sentence !== false)
  wrong.forEach(problem)
  const subject = readSubjectRule(entry, problem)
  if (wrong.length > 0 || subject === undefined) return undefined
  return Object.freeze({
    id: id as string,
    subject,
    scope: new Set(readScope(scope as string)),
    grantTypes: new Set(grantTypes as string[]),
    bindings: bindings as TokenBinding[],
  })
}

function readSubjectRule(entry: Record<string, unknown>, problem: (sentence: string) => void): SubjectRule | undefined {
  const given = subjectRules.filter(type => entry[`tls_client_auth_${type}`] !== undefined)
  const [type] = given
  if (type === undefined || given.length > 1) {
    problem(`exactly one of ${subjectRules.map(name => `tls_client_auth_${name}`).join(', ')} must be given`)
    return undefined
  }
  const name = `tls_client_auth_${type}`
  const value = entry[name]
  try {
    const normal = typeof value === 'string' ? forms[type](value) : undefined
    if (normal !== undefined) return { type, value: normal }
  } catch {
    // a name that parseName cannot read
  }
  problem(`${name} is not a ${type === 'subject_dn' ? 'distinguished name (RFC 4514)' : type.replace('san_', '')}`)
  return undefined
}

/** Gives a name the one spelling that it is compared in; undefined when it is not of its form. */
const forms: Readonly<Record<SubjectRule['type'], (value: string) => string | undefined>> = {
  subject_dn: parseName,
  // OpenSSL would take a leading dot as "any subdomain", so the form is checked to the letter.
  san_dns: value =>
    /^(?!-)[A-Za-z0-9-]{1,63}(\.(?!-)[A-Za-z0-9-]{1,63})*$/.test(value) ? value.toLowerCase() : undefined,
  san_uri: value => (URL.canParse(value) ? value : undefined),
  san_ip: value => {
    if (isIP(value) === 0 || value.includes('%')) return undefined // a zone is no part of a name
    return isIP(value) === 4 ? value : new URL(`https://[${value}]`).hostname.slice(1, -1)
  },
  san_email: value => {
    const [, person, domain] = /^([^\s@\p{Cc}]+)@([A-Za-z0-9.-]+)$/u.exec(value) ?? []
    return person && domain && `${person}@${domain.toLowerCase()}`
  },
}

function isListOf(value: unknown, allowed: readonly string[]): boolean {
  return (
    Array.isArray(value) &&
    value.length > 0 &&
    value.every(entry => allowed.includes(entry)) &&
    new Set(value).size === value.length
  )
}

function nameOf(registration: unknown, index: number): string {
  const id = (registration as { client_id?: unknown } | null)?.client_id
  return typeof id === 'string' ? JSON.stringify(id) : `number ${index + 1}`
}
