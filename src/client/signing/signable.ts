// The signature of one request of a caller: whether it gets one, and what it is made over. Each attempt is signed anew,
// because a server accepts a signature once, on one connection.
import type { Dispatcher } from 'undici'
import { buildContentDigest } from '../../core/content-digest.ts'
import { type HeaderList, readField } from '../headers.ts'
import type { Lease } from '../request/acquire.ts'
import { buildTarget } from '../request/target.ts'
import { type Collection, collectContent, isStream } from './collect.ts'
import type { SignatureDemands } from './signature-demands.ts'

/** The options given to `dispatch`, with normalized headers. */
export type NormalizedRequest = Omit<Dispatcher.DispatchOptions, 'headers'> & { readonly headers: HeaderList }

export class Signable {
  /** The request of the caller. Its body is replaced when it was collected. */
  request: NormalizedRequest
  /** Whether it is signed when it is sent next. */
  isSigned = false
  readonly #demands: SignatureDemands
  #collection: Collection | undefined
  #digest: string | undefined

  constructor(request: NormalizedRequest, demands: SignatureDemands) {
    this.request = request
    this.#demands = demands
  }

  /** Decides whether the request is signed, and collects its body for that. Returns undefined if it is ready. */
  prepare(): Promise<void> | undefined {
    const needsBody = isStream(this.request)
    this.isSigned = this.#demands.isSigned(this.request.path, needsBody)
    if (!this.isSigned || !needsBody) return undefined
    this.#collection = collectContent(this.request)
    return this.#collection.done.then(collected => {
      this.request = { ...this.request, ...collected }
    })
  }

  /** Ends the collection of the body. */
  stop(): void {
    this.#collection?.stop()
  }

  /**
   * Returns the header fields of a signature for the connection and token of a lease; none if the request is sent unsigned.
   * @throws ClientError `signature_impossible`.
   */
  sign({ channel, token }: Lease): string[] {
    if (!this.isSigned) return []
    const { method, headers, body } = this.request
    this.isSigned = channel.canSign || this.#demands.isRequired(this.request.path)
    if (!this.isSigned) return []
    const given = readField(headers, 'content-digest')
    if (given === undefined && (typeof body === 'string' || body instanceof Uint8Array) && body.length > 0)
      this.#digest ??= buildContentDigest(body)
    const fields = {
      authorization: token.authorization,
      'content-type': readField(headers, 'content-type'),
      'content-digest': given ?? this.#digest,
    }
    // A signature of the caller's own may have the usual label.
    const label = readField(headers, 'signature-input') === undefined ? 'sig' : 'tlsbound'
    const signed = channel.sign({ method, target: buildTarget(this.request), fields, label }, token.serverTime())
    const added = given === undefined && this.#digest !== undefined ? { 'content-digest': this.#digest } : {}
    return Object.entries({ ...added, ...signed }).flat()
  }
}
