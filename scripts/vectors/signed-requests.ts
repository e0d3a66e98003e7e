// Builds the vectors of signed requests from the tables in signed-tables.ts. ECDSA and RSASSA-PSS signatures are random: a
// vector in the file with the same signature base stays unchanged.
import {
  buildSignatureBase,
  componentValue,
  formatSignature,
  joinFieldValues,
  signatureAlgorithmOf,
  signSignatureBase,
} from '../../src/core/http-signature.ts'
import { type BareItem, type Item, serializeDictionary } from '../../src/core/structured-fields.ts'
import type { KeySet, SignedMessage, SignedVector, SignedVectors, TestKey } from '../../test/helpers/vectors.ts'
import { kidOf, privateKeyOf } from './keys.ts'
import { bindingOf, connections, get, now, type SignedCase } from './signed-case.ts'
import { badRequests, goodRequests } from './signed-tables.ts'

const about =
  'Signed requests (RFC 9421, RFC 9530): is the signature of this request valid on this connection, and its body that of the digest? See README.md. All keys are PUBLIC TEST KEYS of keys.json.'

export function buildSignedVectors({ keys }: KeySet, file: SignedVectors | undefined): SignedVectors {
  const find = (name: string) => keys.find(({ kid }) => kid === kidOf(name)) as TestKey
  const kept = new Map(file?.vectors.map(vector => [vector.name, vector]))
  const vectors = [...goodRequests, ...badRequests].map(one => {
    const vector = buildVector(one, find)
    const old = kept.get(vector.name)
    const { signature = '' } = vector.request.fields
    // A signature that was changed on purpose is not kept.
    if (old?.base !== vector.base || !signature.startsWith(`${one.label ?? 'sig'}=:`) || signature.endsWith('::'))
      return vector
    const fields = { ...vector.request.fields, signature: old.request.fields.signature ?? signature }
    return { ...vector, request: { ...vector.request, fields } }
  })
  const described = Object.entries(connections).map(([name, key]) => {
    return [name, { kid: kidOf(key), tls_exporter: bindingOf(name) }] as const
  })
  return { about, connections: Object.fromEntries(described), vectors }
}

function buildVector(one: SignedCase, find: (name: string) => TestKey): SignedVector {
  const { name, wrong, connection = 'p256', madeOn = connection, signed = get, clock = 0, label = 'sig' } = one
  const { certificate = connections[connection] as string, sent = (request: SignedMessage) => request } = one
  const { key = certificate, order = ['created', 'expires', 'nonce', 'keyid', 'alg', 'tag', 'more'] } = one
  const binding = new Uint8Array(Buffer.from(bindingOf(madeOn), 'base64url'))
  const fields: Record<string, string> = {
    ...signed.fields,
    'tls-channel-binding': serializeDictionary(new Map([['tls-exporter', [binding, new Map()]]])),
  }
  const usual = ['@method', '@target-uri', 'authorization', 'tls-channel-binding', 'content-type', 'content-digest']
  const names =
    one.components ?? usual.filter(component => component.startsWith('@') || fields[component] !== undefined)
  const keyid = find(certificate)['x5t#S256'] as string
  const right = { created: now, expires: now + 60, nonce: 'b3k2pp5k7z-50gnwp.yemd', keyid, tag: 'tlsbound-request' }
  const parameters: Record<string, BareItem | undefined> = { ...right, ...one.parameters }
  const covered: [Item[], Map<string, BareItem>] = [
    names.map((component): Item => [component, new Map()]),
    new Map(
      order.flatMap(parameter => (parameters[parameter] === undefined ? [] : [[parameter, parameters[parameter]]])),
    ),
  ]
  const { method, authority, target } = signed
  const message = { method, authority, target, field: (field: string) => joinFieldValues([fields[field] ?? []].flat()) }
  const base = buildBase(covered, component => componentValue(message, component))
  const privateKey = privateKeyOf(find(key))
  const algorithm = signatureAlgorithmOf(privateKey) ?? 'ed25519'
  const written = formatSignature(label, covered, signSignatureBase(algorithm, base, privateKey))
  const request = sent({
    ...signed,
    fields: { ...fields, 'signature-input': written.input, signature: written.signature },
  })
  const outcome = one.outcome ?? (wrong === undefined ? 'accepted' : 'signature_invalid')
  return {
    name,
    ...(wrong !== undefined && { wrong }),
    connection,
    now: now + clock,
    request,
    base: base.toString(),
    outcome,
  }
}

/** A component that is covered twice makes no signature base; such a signature is made over the one of the first. */
function buildBase(covered: [Item[], Map<string, BareItem>], find: (name: string) => string | undefined): Buffer {
  const [components, parameters] = covered
  const once = components.filter(([name], at) => components.findIndex(([other]) => other === name) === at)
  return buildSignatureBase([once, parameters], find)
}
