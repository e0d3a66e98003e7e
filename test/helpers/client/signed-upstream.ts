// An upstream that asks for signed requests, and verifies them with another implementation of RFC 9421 than tlsbound's.
import { createHash, constants as crypto, hash, type KeyObject, verify } from 'node:crypto'
import type { TLSSocket } from 'node:tls'
import { httpbis } from 'http-message-signatures'
import { readChannelBindings } from '../../../src/core/channel-binding.ts'
import { json, type Seen, type Serve } from './fake-upstream.ts'

export const acceptSignature =
  'sig=("@method" "@target-uri" "authorization" "tls-channel-binding" "content-type" "content-digest");created;expires;nonce;keyid;tag="tlsbound-request"'

/** Refuses a request as a route does that asks for signed requests. */
export const askForSignature: Serve = (_request, response) =>
  json(
    response,
    401,
    { error: 'use_signed_request' },
    {
      'www-authenticate': 'Bearer error="use_signed_request"',
      'accept-signature': acceptSignature,
    },
  )

const algorithms: Readonly<Record<string, (key: KeyObject, data: Buffer, signature: Buffer) => boolean>> = {
  rsa: (key, data, signature) =>
    verify('sha512', data, { key, padding: crypto.RSA_PKCS1_PSS_PADDING, saltLength: 64 }, signature),
  prime256v1: (key, data, signature) => verify('sha256', data, { key, dsaEncoding: 'ieee-p1363' }, signature),
  secp384r1: (key, data, signature) => verify('sha384', data, { key, dsaEncoding: 'ieee-p1363' }, signature),
  ed25519: (key, data, signature) => verify(null, data, key, signature),
}

/** What is wrong with the signature of a request whose body was read; undefined: nothing. */
export async function findFault(
  request: Parameters<Serve>[0],
  { headers, method, path, body }: Seen,
): Promise<string | undefined> {
  const socket = request.socket as TLSSocket
  const x509 = socket.getPeerX509Certificate()
  if (x509 === undefined) return 'no certificate'
  const { publicKey } = x509
  const { asymmetricKeyType = '', asymmetricKeyDetails } = publicKey
  const holds = algorithms[asymmetricKeyDetails?.namedCurve ?? asymmetricKeyType]
  const authority = headers[':authority'] ?? headers.host
  const required = ['@method', '@target-uri', 'authorization', 'tls-channel-binding']
  if (headers['content-type'] !== undefined) required.push('content-type')
  if (body !== '') required.push('content-digest')
  const isSigned = await httpbis
    .verifyMessage(
      {
        keyLookup: async ({ keyid, tag, nonce }) =>
          keyid === hash('sha256', x509.raw, 'base64url') && tag === 'tlsbound-request' && (nonce?.length ?? 0) > 10
            ? { verify: async (data, signature) => holds?.(publicKey, data, signature) === true }
            : null,
        requiredFields: required,
        requiredParams: ['created', 'expires', 'nonce', 'keyid', 'tag'],
        tolerance: 5,
        maxAge: 65,
      },
      { method, url: `https://${authority}${path}`, headers: headers as Record<string, string> },
    )
    .catch((error: Error) => error.message)
  if (isSigned !== true) return `signature: ${isSigned}`
  const exporter = Buffer.from(readChannelBindings(socket)['tls-exporter'] ?? '', 'base64url').toString('base64')
  if (headers['tls-channel-binding'] !== `tls-exporter=:${exporter}:`) return 'another connection'
  const digest = `sha-256=:${createHash('sha256').update(body).digest('base64')}:`
  return body !== '' && headers['content-digest'] !== digest ? 'another body' : undefined
}
