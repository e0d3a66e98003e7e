// Builds requests that each carry a proof of their own: a binding proof for one request, or a signature. Both are made with the
// key of the certificate, so the load works as a client does.
import { type KeyObject, randomBytes } from 'node:crypto'
import { buildBindingProof, hashToken } from '../../src/core/binding-proof.ts'
import { readChannelBindings, readKeyingMaterial } from '../../src/core/channel-binding.ts'
import { buildContentDigest } from '../../src/core/content-digest.ts'
import { signRequest } from '../../src/core/signed-request.ts'
import type { Connection } from './connection.ts'
import { buildGet } from './get.ts'

/** What a request carries beside its token. `none`: nothing. */
export type Proving = Readonly<{ proof: 'none' | 'per-request' | 'signed-request'; method: 'GET' | 'POST' }>

/** A head, and the body of a POST. */
export type Provable = readonly [head: Buffer, body?: Buffer]

/** Octets of the body of a POST. */
export const uploadSize = 1_048_576
const body = Buffer.alloc(uploadSize, 'x')

interface Prover {
  readonly connection: Connection
  readonly token: string
  readonly port: number
  readonly key: KeyObject
  readonly thumbprint: string
}

export function createProver({ proof, method }: Proving, prover: Prover): () => Provable {
  const { connection, token, port, key, thumbprint } = prover
  const path = proof === 'none' ? '/api/whoami' : `/api/${proof}`
  const content = {
    'content-type': 'application/octet-stream',
    'content-length': String(uploadSize),
    'content-digest': buildContentDigest(body), // the same body each time: the server computes it anew
  }
  const fields: Record<string, string> = { authorization: `Bearer ${token}`, ...(method === 'POST' && content) }
  const write = (more: object): Provable => {
    const head = buildGet(port, { ...fields, ...more }, path)
    if (method === 'GET') return [head]
    return [Buffer.from(head.toString().replace('GET', 'POST')), body]
  }
  if (proof === 'none') {
    const same = write({})
    return () => same
  }
  const socket = connection.tls()
  if (proof === 'per-request') {
    const claims = { ath: hashToken(token), ekm: readKeyingMaterial(socket) ?? '', htm: method, htu: path }
    return () => {
      const iat = Math.floor(Date.now() / 1000)
      const jti = randomBytes(16).toString('base64url')
      return write({ 'session-binding-proof': buildBindingProof({ ...claims, iat, jti }, key, thumbprint) })
    }
  }
  const channelBinding = readChannelBindings(socket, 'client')['tls-exporter'] ?? ''
  const hasBody = method === 'POST'
  const message = {
    method,
    authority: `localhost:${port}`,
    target: path,
    hasBody,
    field: (name: string) => fields[name],
  }
  return () => write(signRequest(message, { key, thumbprint, channelBinding, now: Date.now() / 1000 }))
}
