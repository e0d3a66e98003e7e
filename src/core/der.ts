// A strict reader of DER (X.690 §10), for structures that OpenSSL has already accepted or written.
// Not a certificate parser: it does not verify, and it never reads the bytes of a peer before OpenSSL does.

/** An element. `content` shares memory with the input. */
export interface Element {
  readonly tag: number
  readonly content: Buffer
}

/**
 * Reads the sibling elements in `der`, at most the first `most`.
 * @throws RangeError if one of these is truncated or not DER.
 */
export function readElements(der: Buffer, most = Number.POSITIVE_INFINITY): Element[] {
  const elements: Element[] = []
  const walker = new ElementWalker(der)
  while (elements.length < most) {
    const tag = walker.next()
    if (tag === undefined) break
    elements.push({ tag, content: walker.content })
  }
  return elements
}

/** Encodes an element with the shortest form of the length (X.690 §10.1). */
export function encodeElement({ tag, content }: Element): Buffer {
  const { length } = content
  if (length < 0x80) return Buffer.concat([Buffer.from([tag, length]), content])
  const hex = length.toString(16)
  const size = Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex')
  return Buffer.concat([Buffer.from([tag, 0x80 | size.length]), size, content])
}

/** Reads the elements inside the single element that `der` must consist of. @throws RangeError as above. */
export function readSequence(der: Buffer, tag = 0x30): Element[] {
  const [element, ...rest] = readElements(der)
  if (element?.tag !== tag || rest.length > 0) throw new RangeError('not one element with the expected tag')
  return readElements(element.content)
}

/** Iterates over sibling elements without allocating an object for each; a revocation list has hundreds of thousands. */
export class ElementWalker {
  /** The start and end of the content of the current element in `der`. */
  start = 0
  end = 0
  readonly #der: Buffer
  #limit: number

  /** Iterates over the elements between two positions in `der`. */
  constructor(der: Buffer, from = 0, to = der.length) {
    this.#der = der
    this.end = from
    this.#limit = to
  }

  /** Continues between two other positions, so that one walker can be reused for nested elements. */
  moveTo(from: number, to: number): void {
    this.end = from
    this.#limit = to
  }

  /** Advances to the next element and returns its tag, or undefined at the end. @throws RangeError as above. */
  next(): number | undefined {
    const der = this.#der
    let at = this.end
    if (at >= this.#limit) return undefined
    if (at + 2 > this.#limit) throw new RangeError('an element is truncated')
    const tag = der[at] as number
    if ((tag & 0x1f) === 0x1f) throw new RangeError('tag numbers above 30 are not supported')
    let length = der[at + 1] as number
    at += 2
    if (length >= 0x80) {
      const size = length & 0x7f
      if (size === 0 || size > 4) throw new RangeError('a length is indefinite or too large')
      if (at + size > this.#limit) throw new RangeError('an element is truncated')
      length = der.readUIntBE(at, size)
      at += size
      if (length < 0x80 || length < 2 ** (8 * (size - 1))) throw new RangeError('a length is not in the shortest form')
    }
    if (length > this.#limit - at) throw new RangeError('an element is truncated')
    this.start = at
    this.end = at + length
    return tag
  }

  /** The content of the current element; shares memory with `der`. */
  get content(): Buffer {
    return this.#der.subarray(this.start, this.end)
  }
}
