// Signs the calls of a test's connection, and what no client would sign.
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { readChannelBindings } from '../../../src/core/channel-binding.ts'
import { buildContentDigest } from '../../../src/core/content-digest.ts'
import { readCertificate } from '../../../src/core/presenter.ts'
import { signRequest } from '../../../src/core/signed-request.ts'
import { type Call, headersOf } from '../../../src/lab/connection.ts'
import type { TestConnection } from '../../../src/testing/connection.ts'

export interface Identity {
  readonly certificate: string
  readonly key: string
}

export interface Signing {
  /** Replaces the body after it was signed. */
  readonly sent?: string
  /** Replaces or adds fields after they were signed; undefined removes one. */
  readonly fields?: Readonly<Record<string, string | string[] | undefined>>
  readonly nonce?: string
  readonly also?: readonly string[]
  /** Seconds by which the clock of the client is ahead. */
  readonly ahead?: number
  /** Signs for another method or target. */
  readonly method?: string
  readonly target?: string
}

/** Returns a call with a signature for this connection. `now`: seconds since 1970. */
export function signCall(
  { socket }: Pick<TestConnection, 'socket'>,
  { certificate, key }: Identity,
  path: string,
  call: Call = {},
  { sent, fields = {}, nonce, also, ahead = 0, method, target }: Signing = {},
  now: number = Date.now() / 1000,
): Call {
  const { body } = call
  const digest = body === undefined ? {} : { 'content-digest': buildContentDigest(body) }
  const headers = { ...headersOf({ ...call, headers: {} }, undefined), ...digest, ...call.headers }
  const hasBody = body !== undefined && (body !== '' || socket.alpnProtocol === 'h2')
  const signature = signRequest(
    {
      ...{
        method: method ?? call.method ?? 'GET',
        authority: `localhost:${socket.remotePort}`,
        target: target ?? path,
        hasBody,
      },
      field: name => [(headers as Record<string, string | string[]>)[name] ?? []].flat().join(', ') || undefined,
    },
    {
      key: createPrivateKey(key),
      thumbprint: readCertificate(new X509Certificate(certificate)).thumbprint,
      channelBinding: readChannelBindings(socket, 'client')['tls-exporter'] as string,
      now: now + ahead,
      ...(nonce !== undefined && { nonce }),
      ...(also !== undefined && { also }),
    },
  )
  const all = Object.entries({ ...digest, ...call.headers, ...signature, ...fields }).filter(
    ([, value]) => value !== undefined,
  )
  return {
    ...call,
    ...(sent !== undefined && { body: sent }),
    headers: Object.fromEntries(all) as Record<string, string>,
  }
}
