// Signature base, algorithms and fields of HTTP Message Signatures: the examples of RFC 9421 Appendix B.2, and two other
// implementations, in both directions.
import {
  constants,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
  verify,
} from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createSignature, verifySignature, webcrypto } from 'http-message-sig'
import { createSigner, createVerifier, httpbis } from 'http-message-signatures'
import t from 'tap'
import { buildContentDigest, createDigestCheck, parseContentDigest } from '../../src/core/content-digest.ts'
import {
  buildSignatureBase,
  componentValue,
  formatSignature,
  joinFieldValues,
  parseSignatures,
  type SignatureAlgorithm,
  type SignedMessage,
  signatureAlgorithmOf,
  signSignatureBase,
  verifySignatureBase,
} from '../../src/core/http-signature.ts'

interface Message {
  readonly status?: number
  readonly method: string
  readonly authority: string
  readonly target: string
  readonly fields: Readonly<Record<string, string>>
  readonly body: string
}
interface Vectors {
  readonly about: string
  readonly keys: readonly { readonly kid: string; readonly pem: string }[]
  readonly request: Message
  readonly response: Message
  readonly vectors: readonly {
    readonly section: string
    readonly label: string
    readonly key: string
    readonly alg: SignatureAlgorithm
    readonly message: 'request' | 'response'
    readonly signature_input: string
    readonly signature: string
    readonly base: string
  }[]
}
const vectors: Vectors = JSON.parse(readFileSync('test/vectors/http-signatures.json', 'utf8'))
const keyOf = (kid: string) => createPrivateKey(vectors.keys.find(key => key.kid === kid)?.pem as string)
const toSigned = ({ fields, ...message }: Message): SignedMessage => ({ ...message, field: name => fields[name] })

/** The value of a component, with those that requests to this server do not use. */
function valueIn(message: Message, name: string, parameters: ReadonlyMap<string, unknown>): string | undefined {
  if (name === '@status') return String(message.status)
  if (name === '@query-param')
    return new URL(message.target, 'https://a').searchParams.get(parameters.get('name') as string) ?? undefined
  return componentValue(toSigned(message), name)
}

t.test('builds the signature base of each example of RFC 9421 B.2, and verifies its signature (N-67)', async t => {
  t.match(vectors.about, /PUBLIC TEST KEYS/)
  for (const { section, key, alg, message, signature_input, signature, base } of vectors.vectors) {
    const [parsed] = parseSignatures(signature_input, signature)
    if (parsed === undefined) throw new Error(section)
    const built = buildSignatureBase(parsed.covered, (...component) => valueIn(vectors[message], ...component))
    t.equal(built.toString(), base, section)
    const privateKey = keyOf(key)
    const publicKey = createPublicKey(privateKey)
    t.equal(signatureAlgorithmOf(publicKey), alg)
    t.equal(signatureAlgorithmOf(privateKey), alg)
    t.ok(verifySignatureBase(alg, built, publicKey, parsed.signature), section)
    const changed = Buffer.from(`${base} `)
    t.notOk(verifySignatureBase(alg, changed, publicKey, parsed.signature), `${section}: another base`)
    const own = signSignatureBase(alg, built, privateKey)
    t.ok(verifySignatureBase(alg, built, publicKey, own), `${section}: signed here`)
    if (alg === 'ed25519') t.equal(own.toString('base64'), parsed.signature.toString('base64'), 'deterministic')
    t.same(formatSignature(parsed.label, parsed.covered, parsed.signature), { input: signature_input, signature })
  }
  t.equal(vectors.vectors.length, 5)
})

t.test('computes the digests of the examples (N-70)', async t => {
  for (const { fields, body } of [vectors.request, vectors.response]) {
    const field = fields['content-digest'] as string
    t.equal(buildContentDigest(body, 'sha-512'), field)
    const check = createDigestCheck(parseContentDigest(field))
    for (const octet of Buffer.from(body)) check.update(Buffer.from([octet]))
    t.equal(check.findMismatch(), undefined, 'in pieces of one octet')
    const other = createDigestCheck(parseContentDigest(field))
    other.update(Buffer.from(body.slice(1)))
    t.equal(other.findMismatch(), 'sha-512')
  }
})

const pairs: readonly (readonly [SignatureAlgorithm, ReturnType<typeof generateKeyPairSync>])[] = [
  ['ecdsa-p256-sha256', generateKeyPairSync('ec', { namedCurve: 'P-256' })],
  ['ecdsa-p384-sha384', generateKeyPairSync('ec', { namedCurve: 'P-384' })],
  ['ed25519', generateKeyPairSync('ed25519')],
  ['rsa-pss-sha512', generateKeyPairSync('rsa', { modulusLength: 2048 })],
]
const request = vectors.request
const url = `https://${request.authority}${request.target}`
const names = ['@method', '@target-uri', '@authority', '@path', '@query', 'content-type', 'content-digest']
const created = 1_618_884_473

t.test(
  'http-message-signatures verifies signatures made here, and the reverse, with each algorithm (N-67)',
  async t => {
    for (const [alg, { privateKey, publicKey }] of pairs) {
      const message = { method: request.method, url, headers: { ...request.fields } }
      const made = signHere(alg, privateKey)
      // It has no P-384, and its salt for RSA is as long as the key allows; its callbacks sign and verify octets.
      const isOwn = alg === 'ecdsa-p256-sha256' || alg === 'ed25519'
      const other = isOwn
        ? { verify: createVerifier(publicKey, alg), signer: createSigner(privateKey, alg, 'k') }
        : byCallback(alg, privateKey, publicKey)
      const keyLookup = async () => ({ id: 'k', algs: [alg], verify: other.verify })
      const config = { keyLookup, tolerance: 1e10, requiredFields: names }
      const verified = await httpbis.verifyMessage(config, { ...message, headers: { ...message.headers, ...made } })
      t.equal(verified, true, alg)
      const altered = { ...message.headers, ...made, 'content-type': 'text/plain' }
      t.not(await httpbis.verifyMessage(config, { ...message, headers: altered }).catch(() => false), true)

      const signer = { fields: names, key: other.signer, params: ['created', 'keyid'], name: 'their-label' }
      const { headers } = await httpbis.signMessage(signer, message)
      t.ok(
        verifyHere(alg, publicKey, headers['Signature-Input'] as string, headers.Signature as string),
        `${alg}: theirs`,
      )
    }
  },
)

t.test('rejects an RSA signature with a salt of another length than 64 octets (N-67)', async t => {
  const [, { privateKey, publicKey }] = pairs[3] as (typeof pairs)[number]
  const data = Buffer.from('base')
  for (const saltLength of [0, 20, 32, 63, 65, constants.RSA_PSS_SALTLEN_MAX_SIGN, 64]) {
    const octets = sign('sha512', data, { key: privateKey, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength })
    t.equal(verifySignatureBase('rsa-pss-sha512', data, publicKey, octets), saltLength === 64, `${saltLength}`)
  }
})

/** A key that may sign with one hash only. */
function limitedTo(
  hash: string,
  saltLength: number,
): { readonly privateKey: KeyObject; readonly publicKey: KeyObject } {
  const options = { modulusLength: 2048, hashAlgorithm: hash, mgf1HashAlgorithm: hash, saltLength }
  const generate = generateKeyPairSync as unknown as (type: string, options: object) => ReturnType<typeof limitedTo>
  return generate('rsa-pss', options)
}

t.test('has no algorithm for other keys', async t => {
  const keys = [
    generateKeyPairSync('ec', { namedCurve: 'P-521' }),
    generateKeyPairSync('ec', { namedCurve: 'secp256k1' }),
    generateKeyPairSync('ed448'),
    generateKeyPairSync('x25519'),
    generateKeyPairSync('rsa', { modulusLength: 1024 }),
    limitedTo('sha256', 32), // OpenSSL throws when such a key signs with SHA-512
  ]
  for (const { publicKey, privateKey } of keys)
    for (const key of [publicKey, privateKey])
      t.equal(signatureAlgorithmOf(key), undefined, `${key.asymmetricKeyType} ${key.asymmetricKeyDetails?.namedCurve}`)
  const limited = limitedTo('sha512', 64)
  const octets = signSignatureBase('rsa-pss-sha512', Buffer.from('base'), limited.privateKey)
  t.equal(signatureAlgorithmOf(limited.publicKey), 'rsa-pss-sha512', 'control')
  t.ok(verifySignatureBase('rsa-pss-sha512', Buffer.from('base'), limited.publicKey, octets))
})

t.test('http-message-sig verifies signatures made here, and the reverse, with each algorithm (N-67)', async t => {
  for (const [alg, { privateKey, publicKey }] of pairs) {
    const fields = (more: Readonly<Record<string, string>>) =>
      Object.entries({ ...request.fields, ...more }).map(([name, value]) => ({ name, value }))
    const message = { kind: 'request' as const, method: request.method, targetUri: url, fields: fields({}) }
    const { signature, signatureInput } = await createSignature(message, {
      signer: await signerOf(alg, privateKey),
      components: names,
      parameters: { created, keyid: 'k' },
    })
    t.ok(verifyHere(alg, publicKey, signatureInput, signature), `${alg}: theirs`)
    const made = signHere(alg, privateKey)
    const verifying = (more: Readonly<Record<string, string>>) =>
      verifySignature({ ...message, fields: fields({ ...made, ...more }) }, {
        resolveVerifier: async () => verifierOf(alg, publicKey),
        policy: {
          algorithms: [alg],
          requiredComponents: names,
          requiredParameters: ['created', 'keyid'],
          now: created,
        },
      } as unknown as Parameters<typeof verifySignature>[1])
    await t.resolves(verifying({}), alg)
    await t.rejects(verifying({ 'content-type': 'text/plain' }), 'control: a changed field')
  }
})

function signHere(alg: SignatureAlgorithm, key: KeyObject): Record<'signature' | 'signature-input', string> {
  const covered = [
    names.map(name => [name, new Map()]),
    new Map<string, string | number>([
      ['created', created],
      ['keyid', 'k'],
    ]),
  ] as Parameters<typeof buildSignatureBase>[0]
  const base = buildSignatureBase(covered, name => componentValue(toSigned(request), name))
  const { input, signature } = formatSignature('sig', covered, signSignatureBase(alg, base, key))
  return { 'signature-input': input, signature }
}

function verifyHere(alg: SignatureAlgorithm, key: KeyObject, input: string, signature: string): boolean {
  const [parsed] = parseSignatures(input, signature)
  if (parsed === undefined) return false
  const base = buildSignatureBase(parsed.covered, name => componentValue(toSigned(request), name))
  return verifySignatureBase(alg, base, key, parsed.signature)
}

/** Signs and verifies octets with node:crypto alone, for what a library leaves to its caller. */
function byCallback(alg: SignatureAlgorithm, privateKey: KeyObject, publicKey: KeyObject) {
  const form = {
    'ecdsa-p256-sha256': { hash: 'sha256', dsaEncoding: 'ieee-p1363' as const },
    'ecdsa-p384-sha384': { hash: 'sha384', dsaEncoding: 'ieee-p1363' as const },
    'rsa-pss-sha512': { hash: 'sha512', padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 64 },
    ed25519: { hash: undefined },
  }[alg]
  return {
    verify: async (data: Uint8Array, octets: Uint8Array) =>
      verify(form.hash, data, { key: publicKey, ...form }, octets),
    signer: {
      id: 'k',
      alg: alg as string,
      sign: async (data: Uint8Array) => sign(form.hash, data, { key: privateKey, ...form }),
    },
  }
}

/** http-message-sig has no ECDSA of its own. */
const isEcdsa = (alg: SignatureAlgorithm) => alg.startsWith('ecdsa')

async function signerOf(alg: SignatureAlgorithm, key: KeyObject) {
  if (!isEcdsa(alg)) return webcrypto.signer(await toWebCrypto(alg, key))
  return { algorithm: alg, sign: byCallback(alg, key, key).signer.sign }
}

async function verifierOf(alg: SignatureAlgorithm, key: KeyObject) {
  if (!isEcdsa(alg)) return webcrypto.verifier(await toWebCrypto(alg, key))
  return { algorithm: alg, verify: byCallback(alg, key, key).verify }
}

function toWebCrypto(alg: SignatureAlgorithm, key: KeyObject) {
  const parameters = alg === 'ed25519' ? { name: 'Ed25519' } : { name: 'RSA-PSS', hash: 'SHA-512' }
  const usages = [key.type === 'private' ? ('sign' as const) : ('verify' as const)]
  return crypto.subtle.importKey('jwk', key.export({ format: 'jwk' }), parameters, true, usages)
}

t.test('joins the values of a field without white space around them, in linear time', t => {
  t.equal(joinFieldValues([]), undefined)
  t.equal(joinFieldValues(['']), '')
  t.equal(joinFieldValues([' \t', ' a b\t', 'c']), ', a b, c')
  const inside = `a${' '.repeat(1_000_000)}b`
  t.equal(joinFieldValues([inside]), inside) // in quadratic time, this would take an hour
  t.end()
})
