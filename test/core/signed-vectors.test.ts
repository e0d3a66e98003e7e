// The test vectors of signed requests (test/vectors/signed-request.json) with this implementation, with another one in
// JavaScript, and with the Go example. RFC 9421, RFC 9530.
import { spawnSync } from 'node:child_process'
import { constants, type KeyObject, verify, X509Certificate } from 'node:crypto'
import { copyFileSync, readdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { httpbis } from 'http-message-signatures'
import t from 'tap'
import { createDigestCheck } from '../../src/core/content-digest.ts'
import { OAuthError } from '../../src/core/errors.ts'
import { readCertificate } from '../../src/core/presenter.ts'
import { verifySignedRequest } from '../../src/core/signed-request.ts'
import { readVectors, type SignedVector, type TestKey } from '../helpers/vectors.ts'

t.setTimeout(300_000) // Go may have to compile its standard library first
const { keys } = readVectors('keys.json')
const { connections, vectors } = readVectors('signed-request.json')

function certificateOf({ connection }: SignedVector): X509Certificate {
  const { kid } = connections[connection] as { kid: string }
  const { x5c } = keys.find(key => key.kid === kid) as TestKey
  return new X509Certificate(Buffer.from(x5c?.[0] as string, 'base64'))
}

function outcomeOf(vector: SignedVector): string {
  const { fields, body, ...message } = vector.request
  const request = { ...message, hasBody: body !== null, field: (name: string) => fields[name] }
  const exporter = connections[vector.connection]?.tls_exporter as string
  const presenter = { certificate: readCertificate(certificateOf(vector)), bindings: { 'tls-exporter': exporter } }
  try {
    const { digests } = verifySignedRequest(request, presenter, vector.now)
    const check = createDigestCheck(digests ?? new Map())
    check.update(Buffer.from(body ?? ''))
    return check.findMismatch() === undefined ? 'accepted' : 'digest_invalid'
  } catch (error) {
    if (error instanceof OAuthError) return error.reason
    throw error
  }
}

t.test('verifies each signed request with the outcome of its vector', async t => {
  t.ok(vectors.length > 50)
  t.equal(new Set(vectors.map(({ name }) => name)).size, vectors.length, 'names are unique')
  for (const vector of vectors) {
    t.equal(outcomeOf(vector), vector.outcome, `${vector.name}: ${vector.wrong ?? 'valid'}`)
    t.equal(vector.wrong === undefined, vector.outcome === 'accepted', vector.name)
  }
})

const pss = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 64 }
const verifiers: Readonly<Record<string, (key: KeyObject, data: Buffer, signature: Buffer) => boolean>> = {
  prime256v1: (key, data, signature) => verify('sha256', data, { key, dsaEncoding: 'ieee-p1363' }, signature),
  secp384r1: (key, data, signature) => verify('sha384', data, { key, dsaEncoding: 'ieee-p1363' }, signature),
  ed25519: (key, data, signature) => verify(null, data, key, signature),
  rsa: (key, data, signature) => verify('sha512', data, { key, ...pss }, signature),
}

t.test('agrees with another implementation of RFC 9421 about the base and the signature of each valid one', async t => {
  const valid = vectors.filter(({ outcome }) => outcome === 'accepted')
  t.ok(valid.length > 15)
  for (const vector of valid) {
    const { method, authority, target, fields } = vector.request
    const { publicKey } = certificateOf(vector)
    const kind = publicKey.asymmetricKeyDetails?.namedCurve ?? publicKey.asymmetricKeyType ?? ''
    let base = ''
    const isValid = await httpbis.verifyMessage(
      {
        keyLookup: async () => ({
          verify: async (data, signature) => {
            base = data.toString()
            return verifiers[kind]?.(publicKey, data, signature) === true
          },
        }),
        notAfter: new Date(2_000_000_000_000),
        tolerance: 1_000_000_000,
      },
      { method, url: `https://${authority}${target}`, headers: { ...fields } },
    )
    t.equal(isValid, true, vector.name)
    t.equal(base, vector.base, vector.name)
  }
})

t.test('agrees with the Go example about the base of each signature, and the signature of each valid one', async t => {
  const folder = t.testdir()
  for (const name of readdirSync('examples/go')) copyFileSync(join('examples/go', name), join(folder, name))
  copyFileSync('test/helpers/tokens/signed_vectors_test.go', join(folder, 'signed_vectors_test.go'))
  const env = { ...process.env, VECTORS: resolve('test/vectors'), GOFLAGS: '-mod=mod', GOTOOLCHAIN: 'local' }
  const { status, stdout, stderr } = spawnSync('go', ['test', '-v', '.'], { cwd: folder, env, encoding: 'utf8' })
  // The example covers what is required, and no more.
  const covered = ({ outcome, base }: SignedVector) => outcome === 'accepted' && !base.includes('"@path"')
  const count = vectors.filter(covered).length
  t.match({ status, stdout }, { status: 0, stdout: new RegExp(`${count} signatures verified`) }, stdout + stderr)
})
