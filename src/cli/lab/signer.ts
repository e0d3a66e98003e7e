// Signs tokens with the server's own key, for a test server whose key can be configured: the server must then reject a
// token for its claims or its form, and not only for its signature.
import { createPrivateKey, type JsonWebKey, type KeyObject, sign } from 'node:crypto'
import { withLowS } from '../../core/compact-jws.ts'
import { pasetoVersion } from '../../core/paseto.ts'
import { proofAlgorithmsOf, signProof } from '../../core/proof-algorithm.ts'
import { FileProblem } from '../../files/file-problem.ts'
import { NotTried } from '../../lab/attempt.ts'
import type { Cast } from '../../lab/cast.ts'
import { readJsonFile } from '../../process/files.ts'

/** Loads a private JSON Web Key, or a set of them (RFC 7517). @throws Error that names the file. */
export function readSigner(file: string): NonNullable<Cast['signClaims']> {
  const keys = readKeys(file)
  return (header, claims) => {
    const { alg, kid } = header as { alg?: unknown; kid?: unknown }
    const key = keys.find(candidate => candidate.kid === kid) ?? (keys.length === 1 ? keys[0] : undefined)
    const algorithm = key && proofAlgorithmsOf(key.key).find(known => known === alg)
    if (key === undefined || algorithm === undefined) throw new NotTried('the signing key is not a key of the server')
    const input = [header, claims].map(part => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.')
    const signature = signProof(algorithm, Buffer.from(input), key.key)
    return `${input}.${(algorithm === 'ES256' ? withLowS(signature) : signature).toString('base64url')}`
  }
}

/** Loads the keys for PASETO and for JWTs with Ed25519 from the same file. @throws Error that names the file. */
export function readPasetoSigner(file: string): NonNullable<Cast['signPaseto']> {
  const keys = readKeys(file)
  return kind => {
    const alg = kind === 'paseto' ? pasetoVersion : 'EdDSA'
    const found = keys.find(key => key.alg === alg)
    if (found === undefined) throw new NotTried(`no signing key with alg ${alg} is available`)
    return { kid: String(found.kid), sign: octets => sign(null, octets, found.key) }
  }
}

interface NamedKey {
  readonly kid: unknown
  readonly alg: unknown
  readonly key: KeyObject
}

function readKeys(file: string): NamedKey[] {
  const content = readJsonFile(file, 'object') as JsonWebKey | { readonly keys: unknown }
  const keys = 'keys' in content ? content.keys : [content]
  if (!Array.isArray(keys)) throw new FileProblem(file, { found: 'keys must be a list of JSON Web Keys' })
  return keys.map((jwk: JsonWebKey, index) => {
    try {
      return { kid: jwk.kid, alg: jwk.alg, key: createPrivateKey({ key: jwk, format: 'jwk' }) }
    } catch {
      throw new FileProblem(file, {
        position: `key number ${index + 1}`,
        found: 'this is not a private JSON Web Key that OpenSSL can read',
      })
    }
  })
}
