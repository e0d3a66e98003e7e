// Signs the requests of one connection with the key of its certificate (RFC 9421).
import type { KeyObject } from 'node:crypto'
import { signatureAlgorithmOf } from '../../core/http-signature.ts'
import type { Presenter } from '../../core/presenter.ts'
import { type SignatureFields, signRequest } from '../../core/signed-request.ts'
import { ClientError } from '../errors.ts'

/** What is signed, as it is sent. */
export interface SignedParts {
  readonly method: string
  /** The path with its query. */
  readonly target: string
  /** `authorization`, and `content-type` and `content-digest` if they are sent. */
  readonly fields: Readonly<Record<string, string | undefined>>
  /** Default `sig`; another where the request has a signature already. */
  readonly label?: string
}

export interface ChannelSigner {
  /** Whether key and connection can sign requests. */
  readonly canSign: boolean
  /**
   * Signs a request. `now` is in seconds since 1970 by the server's clock. Returns the header fields to add.
   * @throws ClientError `signature_impossible`.
   */
  sign(request: SignedParts, now: number): SignatureFields
}

/** Creates the signer of a connection to `authority`, the `HOST:PORT` of its requests. */
export function createChannelSigner(authority: string, presenter: Presenter, key: KeyObject): ChannelSigner {
  const { certificate, bindings } = presenter
  const channelBinding = bindings['tls-exporter']
  return {
    canSign: signatureAlgorithmOf(key) !== undefined && channelBinding !== undefined,
    sign({ method, target, fields, label = 'sig' }, now) {
      try {
        if (channelBinding === undefined) throw new TypeError('the connection has no channel binding')
        const hasBody = fields['content-digest'] !== undefined
        const signed = signRequest(
          { method, authority, target, hasBody, field: name => fields[name] },
          { key, thumbprint: certificate.thumbprint, channelBinding, now },
        )
        const named = (value: string) => value.replace(/^sig=/, `${label}=`) // a signature does not cover its label
        return { ...signed, 'signature-input': named(signed['signature-input']), signature: named(signed.signature) }
      } catch (cause) {
        throw new ClientError('signature_impossible', { cause })
      }
    },
  }
}
