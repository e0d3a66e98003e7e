// A strict reader of DER (X.690 §10): enough to walk a structure that OpenSSL has already accepted or written.
// Not a certificate parser: it verifies nothing, and it reads no peer's bytes before OpenSSL has.

/** One element: its tag octet and its content octets, which share memory with what was read. */
export interface Element {
  readonly tag: number
  readonly content: Buffer
}

/**
 * Reads the elements that stand side by side in `der`, the first `most` of them.
 * @throws RangeError when one of these is cut short or not DER.
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

/** Writes an element with the shortest length (X.690 §10.1). */
export function encodeElement({ tag, content }: Element): Buffer {
  const { length } = content
  if (length < 0x80) return Buffer.concat([Buffer.from([tag, length]), content])
  const hex = length.toString(16)
  const size = Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex')
  return Buffer.concat([Buffer.from([tag, 0x80 | size.length]), size, content])
}

/** Reads the one element that `der` must consist of, and what stands inside. @throws RangeError as above. */
export function readSequence(der: Buffer, tag = 0x30): Element[] {
  const [element, ...rest] = readElements(der)
  if (element?.tag !== tag || rest.length > 0) throw new RangeError('not one element with the expected tag')
  return readElements(element.content)
}

/** Walks over elements side by side without making an object of each: a revocation list has hundreds of thousands. */
export class ElementWalker {
  /** Where the content of the current element starts and ends in `der`. */
  start = 0
  end = 0
  readonly #der: Buffer
  #limit: number

  /** Walks over the elements between two positions of `der`. */
  constructor(der: Buffer, from = 0, to = der.length) {
    this.#der = der
    this.end = from
    this.#limit = to
  }

  /** Goes on at other positions of the same octets, so that one walker serves for many elements inside others. */
  moveTo(from: number, to: number): void {
    this.end = from
    this.#limit = to
  }

  /** Goes to the next element and returns its tag; undefined: there is none. @throws RangeError as above. */
  next(): number | undefined {
    const der = this.#der
    let at = this.end
    if (at >= this.#limit) return undefined
    if (at + 2 > this.#limit) throw new RangeError('an element is cut short')
    const tag = der[at] as number
    if ((tag & 0x1f) === 0x1f) throw new RangeError('tag numbers over 30 do not occur here')
    let length = der[at + 1] as number
    at += 2
    if (length >= 0x80) {
      const size = length & 0x7f
      if (size === 0 || size > 4) throw new RangeError('a length is indefinite or too large')
      if (at + size > this.#limit) throw new RangeError('an element is cut short')
      length = der.readUIntBE(at, size)
      at += size
      if (length < 0x80 || length < 2 ** (8 * (size - 1))) throw new RangeError('a length is not the shortest form')
    }
    if (length > this.#limit - at) throw new RangeError('an element is cut short')
    this.start = at
    this.end = at + length
    return tag
  }

  /** Content of the current element; it shares memory with `der`. */
  get content(): Buffer {
    return this.#der.subarray(this.start, this.end)
  }
}
