// Faults in the verification of signed requests (RFC 9421, RFC 9530): one check is missing, or its result is not used. A request
// that such a server accepts goes to the same resource without a demand for signatures.
import type { KeyObject } from 'node:crypto'
import {
  buildSignatureBase,
  componentValue,
  type MessageSignature,
  parseSignatures,
  signatureAlgorithmOf,
  verifySignatureBase,
} from '../../../../src/core/http-signature.ts'
import { readCertificate } from '../../../../src/core/presenter.ts'
import { signatureTag } from '../../../../src/core/signed-request.ts'
import type { Asker, Fault } from '../broken-server.ts'

const resource = '/api/signed-notes'

interface Checks {
  readonly coversTarget: boolean
  readonly coversDigest: boolean
  readonly isOfConnection: boolean
  readonly isOfNow: boolean
  readonly isNew: boolean
  readonly isSigned: boolean
}

function fieldOf({ request: { headers } }: Asker, name: string): string | undefined {
  return headers[name] as string | undefined
}

/** Returns the signature of a request for the resource; undefined without one. */
function findSignature(asker: Asker): MessageSignature | undefined {
  try {
    const all = parseSignatures(fieldOf(asker, 'signature-input') ?? '', fieldOf(asker, 'signature') ?? '')
    return all.find(({ parameters }) => parameters.get('tag') === signatureTag)
  } catch {
    return undefined
  }
}

function verifies(found: MessageSignature, asker: Asker, key: KeyObject | undefined): boolean {
  const { method = '', url: target = '', headers } = asker.request
  const authority = (headers[':authority'] as string | undefined) ?? headers.host ?? ''
  const message = { method, authority, target, field: (name: string) => fieldOf(asker, name) }
  const algorithm = key && signatureAlgorithmOf(key)
  if (key === undefined || algorithm === undefined) return false
  try {
    const base = buildSignatureBase(found.covered, name => componentValue(message, name))
    return verifySignatureBase(algorithm, base, key, found.signature)
  } catch {
    return false
  }
}

function check(found: MessageSignature, asker: Asker): Checks {
  const { presenter } = asker.connection
  const { covered, parameters } = found
  const names = covered[0].map(([name]) => name)
  const covers = (...wanted: readonly string[]) => wanted.every(name => names.includes(name))
  const [created, expires] = ['created', 'expires'].map(name => Number(parameters.get(name))) as [number, number]
  const { clock } = asker.server
  const exporter = Buffer.from(presenter?.bindings['tls-exporter'] ?? '', 'base64url').toString('base64')
  const hasBody = Number(fieldOf(asker, 'content-length') ?? 0) > 0
  const isOwn = parameters.get('keyid') === presenter?.certificate.thumbprint
  return {
    coversTarget: covers('@method', '@target-uri', 'authorization'),
    coversDigest: !hasBody || (covers('content-digest') && /sha-/.test(fieldOf(asker, 'content-digest') ?? '')),
    isOfConnection:
      covers('tls-channel-binding') && fieldOf(asker, 'tls-channel-binding') === `tls-exporter=:${exporter}:`,
    isOfNow: created <= clock + 5 && expires >= clock && expires - created <= 60,
    isNew: !noncesOf(asker).has(parameters.get('nonce')),
    isSigned: isOwn && verifies(found, asker, presenter?.certificate.x509.publicKey),
  }
}

function noncesOf({ connection, server }: Asker): Set<unknown> {
  const all = (server.memory.get('nonces') ?? new WeakMap()) as WeakMap<object, Set<unknown>>
  server.memory.set('nonces', all)
  const known = all.get(connection) ?? new Set<unknown>()
  all.set(connection, known)
  return known
}

/** A fault that accepts a request for the resource if `passes` returns true. */
function passWhere(passes: (found: MessageSignature | undefined, asker: Asker) => boolean): Fault {
  return {
    asked: asker => {
      const { url = '' } = asker.request
      if (!url.startsWith(resource)) return
      const found = findSignature(asker)
      const isPassed = passes(found, asker)
      const nonce = found?.parameters.get('nonce')
      const nonces = noncesOf(asker)
      if (isPassed) asker.request.url = url.replace(resource, '/api/notes')
      else if (nonces.has(nonce)) asker.request.url = '/api/used' // the resource has not seen those that passed
      if (nonce !== undefined) nonces.add(nonce)
    },
  }
}

/** Verifies signatures with all checks but one. */
function without(left: keyof Checks | undefined, instead: typeof verifiesAny = () => true): Fault {
  return passWhere((found, asker) => {
    if (found === undefined) return false
    const { [left ?? 'none']: isRight = false, ...others } = check(found, asker) as unknown as Record<string, boolean>
    return !isRight && Object.values(others).every(Boolean) && instead(found, asker)
  })
}

/** Verifies with the key of any certificate that keyid names. */
function verifiesAny(found: MessageSignature, asker: Asker): boolean {
  const { alice, bob, mallory } = asker.server.pki
  const named = [alice, bob, mallory].find(
    ({ x509 }) => readCertificate(x509).thumbprint === found.parameters.get('keyid'),
  )
  return verifies(found, asker, named?.publicKey)
}

export const signedRequestFaults = {
  /** Verifies a signature only if there is one. */
  needsNoSignature: passWhere(found => found === undefined),
  /** Verifies the head, and not the body. */
  ignoresBodies: without(undefined),
  needsNoCoveredDigest: without('coversDigest'),
  needsNoCoveredTarget: without('coversTarget'),
  acceptsSignaturesOfOtherConnections: without('isOfConnection'),
  acceptsSignaturesOfOtherTimes: without('isOfNow'),
  acceptsNoncesTwice: without('isNew'),
  /** Verifies with the key that keyid names, also if it is another client's. */
  believesKeyid: without('isSigned', verifiesAny),
} satisfies Record<string, Fault>
