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
  let at = 0
  while (at < der.length && elements.length < most) {
    const tag = der.readUInt8(at)
    if ((tag & 0x1f) === 0x1f) throw new RangeError('tag numbers over 30 do not occur here')
    let length = der.readUInt8(at + 1)
    at += 2
    if (length >= 0x80) {
      const size = length & 0x7f
      if (size === 0 || size > 4) throw new RangeError('a length is indefinite or too large')
      length = der.readUIntBE(at, size)
      at += size
      if (length < 0x80 || length < 2 ** (8 * (size - 1))) throw new RangeError('a length is not the shortest form')
    }
    if (length > der.length - at) throw new RangeError('an element is cut short')
    elements.push({ tag, content: der.subarray(at, at + length) })
    at += length
  }
  return elements
}

/** Reads the one element that `der` must consist of, and what stands inside. @throws RangeError as above. */
export function readSequence(der: Buffer, tag = 0x30): Element[] {
  const [element, ...rest] = readElements(der)
  if (element?.tag !== tag || rest.length > 0) throw new RangeError('not one element with the expected tag')
  return readElements(element.content)
}
