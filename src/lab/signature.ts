// Requests with HTTP message signatures, valid and forged, with everything else valid. RFC 9421, RFC 9530.
import { createPrivateKey, type KeyObject, randomBytes, X509Certificate } from 'node:crypto'
import { readChannelBindings } from '../core/channel-binding.ts'
import { buildContentDigest } from '../core/content-digest.ts'
import {
  buildSignatureBase,
  componentValue,
  formatSignature,
  signatureAlgorithmOf,
  signSignatureBase,
} from '../core/http-signature.ts'
import { readCertificate } from '../core/presenter.ts'
import { channelBindingField, signatureTag } from '../core/signed-request.ts'
import { type BareItem, type Item, serializeDictionary } from '../core/structured-fields.ts'
import { type Attempt, attempt, NotTried } from './attempt.ts'
import type { Identity } from './cast.ts'
import type { Call } from './connection.ts'
import type { Evidence } from './scenario.ts'
import { playSeries } from './series.ts'
import type { Stage } from './stage.ts'
import type { Client } from './thief.ts'

/** A request for the signed resource. */
export interface SignedCall extends Call {
  readonly path: string
}

/** What differs from a valid signature. */
export interface Changes {
  /** Fields that replace valid ones; undefined omits one. */
  readonly fields?: Readonly<Record<string, string | undefined>>
  /** Parameters that replace valid ones. */
  readonly parameters?: Readonly<Record<string, BareItem>>
  /** Components that are not covered. */
  readonly uncovered?: readonly string[]
  /** The signing key. */
  readonly key?: KeyObject
}

/** The body of the requests that have one. */
export const note = '{"text":"signed by the replay lab"}'

/** Returns the resource that requires signed requests. @throws NotTried without one. */
export function requireSignedResource({ options: { profile } }: Stage): URL {
  if (profile.signedResource === undefined)
    throw new NotTried('no resource that requires signed requests is known; set --signed-resource')
  return profile.signedResource
}

/** Builds a GET of the signed resource, or a POST with a body. `connection` carries it; its client signs it. */
export function signCall(
  stage: Stage,
  { connection, token }: Client,
  { body, method = body === undefined ? 'GET' : 'POST', path }: Partial<SignedCall> = {},
  changes: Changes = {},
): SignedCall {
  const { host, pathname, search } = requireSignedResource(stage)
  const who = connection.who as Identity
  const target = path ?? pathname + search
  const content =
    body === undefined ? {} : { 'content-type': 'application/json', 'content-digest': buildContentDigest(body) }
  const fields: Record<string, string | undefined> = {
    authorization: `Bearer ${token}`,
    [channelBindingField]: formatBinding(readChannelBindings(connection.socket, 'client')['tls-exporter'] ?? ''),
    ...content,
    ...changes.fields,
  }
  const now = Math.floor(Date.now() / 1000)
  const parameters = {
    created: now,
    expires: now + 60,
    nonce: randomBytes(16).toString('base64url'),
    keyid: thumbprintOf(who),
    tag: signatureTag,
    ...changes.parameters,
  }
  const names = ['@method', '@target-uri', ...Object.keys(fields).filter(name => fields[name] !== undefined)]
  const covered = names
    .filter(name => changes.uncovered?.includes(name) !== true)
    .map((name): Item => [name, new Map()])
  const components: [Item[], Map<string, BareItem>] = [covered, new Map(Object.entries(parameters))]
  const message = { method, authority: host, target, field: (name: string) => fields[name] }
  const base = buildSignatureBase(components, name => componentValue(message, name))
  const key = changes.key ?? createPrivateKey(who.key)
  const algorithm = signatureAlgorithmOf(key)
  if (algorithm === undefined) throw new NotTried('the key of the client cannot sign requests')
  const { input, signature } = formatSignature('sig', components, signSignatureBase(algorithm, base, key))
  const sent = Object.entries({ ...fields, 'signature-input': input, signature }).filter(
    ([, value]) => value !== undefined,
  )
  return {
    ...{ method, path: target, headers: Object.fromEntries(sent) as Record<string, string> },
    ...(body !== undefined && { body }),
    ...(stage.level === 'proof' && { proof: connection.prove(token) }),
  }
}

function formatBinding(thumbprint: string): string {
  return serializeDictionary(new Map([['tls-exporter', [Buffer.from(thumbprint, 'base64url'), new Map()]]]))
}

/** Returns the value of `keyid` for an identity. */
export function thumbprintOf({ certificate }: Identity): string {
  return readCertificate(new X509Certificate(certificate)).thumbprint
}

/** Sends a request for the signed resource. */
export function send({ connection }: Pick<Client, 'connection'>, { path, ...call }: SignedCall) {
  return connection.call(path, call)
}

/** Builds what is sent instead of a valid request. */
export type SignedForgery = (client: Client) => SignedCall | Promise<SignedCall>

/** Sends each forgery on the connection of the client that it is made for, between two honest requests of each kind. */
export async function presentSigned(
  stage: Stage,
  forgeries: Readonly<Record<string, SignedForgery>>,
): Promise<Evidence> {
  requireSignedResource(stage)
  const honest = await stage.victim()
  const controls = await presentHonest(stage, honest)
  const thefts = await playSeries(
    () => stage.victim(),
    forgeries,
    async (client, forge) => send(client, await forge(client)),
  )
  return { controls: [...controls, ...(await presentHonest(stage, honest))], thefts }
}

/** Sends a GET and a POST with valid signatures. */
export async function presentHonest(stage: Stage, client: Client): Promise<Attempt[]> {
  return [
    await attempt('a signed GET', () => send(client, signCall(stage, client))),
    await attempt('a signed POST', () => send(client, signCall(stage, client, { body: note }))),
  ]
}

/** Returns a request with other fields; undefined removes one. */
export function withFields(call: SignedCall, fields: Readonly<Record<string, string | undefined>>): SignedCall {
  const all = Object.entries({ ...call.headers, ...fields }).filter(([, value]) => value !== undefined)
  return { ...call, headers: Object.fromEntries(all) as Record<string, string> }
}
