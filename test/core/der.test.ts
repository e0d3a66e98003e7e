// The DER parser reads valid DER, and throws RangeError, and no other error, for all other input.
import fc from 'fast-check'
import t from 'tap'
import { type Element, readElements, readSequence } from '../../src/core/der.ts'
import { makeDemoPki } from '../../src/pki/demo.ts'

const hex = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex')

/** Returns an element with the shortest form of its length (X.690 §10.1). */
function write({ tag, content }: Element): Buffer {
  const { length } = content
  const digits = length.toString(16)
  const bytes =
    length < 0x80 ? hex(digits.padStart(2, '0')) : hex(digits.padStart(digits.length + (digits.length % 2), '0'))
  const prefix = length < 0x80 ? [tag] : [tag, 0x80 | bytes.length]
  return Buffer.concat([Buffer.from(prefix), bytes, content])
}

t.test('reads consecutive elements in order, with tag and content', async t => {
  t.same(readElements(hex('')), [])
  t.same(readElements(hex('05 00')), [{ tag: 5, content: hex('') }])
  t.same(readElements(hex('02 01 2a 0c 02 68 69')), [
    { tag: 2, content: hex('2a') },
    { tag: 12, content: hex('6869') },
  ])
  t.same(readElements(hex('a0 03 02 01 02')), [{ tag: 0xa0, content: hex('020102') }], 'nested elements are content')
})

t.test('reads every length in its shortest form', async t => {
  for (const length of [0, 1, 0x7f, 0x80, 0xff, 0x100, 0xffff, 0x10000, 0x0100_0000]) {
    const element = { tag: 0x04, content: Buffer.alloc(length, 7) }
    const [read, ...others] = readElements(write(element))
    t.ok(read?.tag === 4 && read.content.equals(element.content) && others.length === 0, String(length))
  }
})

t.test('throws RangeError for truncated input and for encodings that DER forbids', async t => {
  const wrong: Record<string, string> = {
    'a tag alone': '30',
    'a length without content': '04 01',
    'less content than its length says': '04 03 01 02',
    'an indefinite length': '30 80 02 01 2a 00 00',
    'a length of lengths without a length': '04 81',
    'half a length': '04 82 01',
    'a long form where the short one suffices': '04 81 01 2a',
    'a long form of 127': `04 81 7f ${'00'.repeat(127)}`,
    'a long form of zero': '04 81 00',
    'a length with a leading zero': `04 82 00 80 ${'00'.repeat(128)}`,
    'a length with three octets instead of two': `04 83 00 01 00 ${'00'.repeat(256)}`,
    'a length of five octets': '04 85 00 00 00 00 01 2a',
    'a length of 127 octets': `04 ff ${'00'.repeat(127)}`,
    'four gigabytes': '04 84 ff ff ff ff 00',
    'an indefinite length before 128 octets': `04 80 ${'00'.repeat(128)}`,
    'a tag number over 30': '1f 81 01 00',
    'a tag number over 30 before octets that look like a length': '1f 01 00',
    'a constructed tag number over 30': 'bf 20 00',
    'a valid element and half of another': '05 00 02 01',
  }
  for (const [name, text] of Object.entries(wrong)) t.throws(() => readElements(hex(text)), RangeError, name)
})

t.test('reads a sequence only as a single element with the expected tag', async t => {
  t.same(readSequence(hex('30 03 02 01 2a')), [{ tag: 2, content: hex('2a') }])
  t.same(readSequence(hex('30 00')), [])
  t.same(readSequence(hex('31 03 02 01 2a'), 0x31), [{ tag: 2, content: hex('2a') }])
  for (const wrong of ['', '31 00', '02 01 2a', '30 00 30 00', '30 00 00 00', '30 02 02 01', '30 01'])
    t.throws(() => readSequence(hex(wrong)), RangeError, wrong)
  t.throws(() => readSequence(hex('30 00'), 0x31), RangeError, 'an unexpected tag')
})

t.test('reads back every element that is written as DER, without copying its content', async t => {
  const element = fc.record({
    tag: fc.nat({ max: 255 }).filter(tag => (tag & 0x1f) !== 0x1f),
    content: fc.uint8Array({ maxLength: 300 }).map(bytes => Buffer.from(bytes)),
  })
  fc.assert(
    fc.property(fc.array(element, { maxLength: 6 }), elements => {
      const der = Buffer.concat(elements.map(write))
      const read = readElements(der)
      const same = (one: Element, two: Element | undefined) => one.tag === two?.tag && one.content.equals(two.content)
      return read.length === elements.length && elements.every((one, index) => same(one, read[index]))
    }),
  )
  const der = hex('04 02 01 02')
  const [read] = readElements(der)
  der[2] = 9
  t.same(read?.content, hex('09 02'))
})

t.test('either reads arbitrary octets, in one way only, or throws RangeError', async t => {
  const certificate = makeDemoPki().alice.x509.raw
  const octets = fc.oneof(
    fc.uint8Array({ maxLength: 80 }).map(bytes => Buffer.from(bytes)),
    fc.tuple(fc.nat({ max: certificate.length - 1 }), fc.nat({ max: 255 })).map(([position, value]) => {
      const changed = Buffer.from(certificate)
      changed[position] = value
      return changed
    }),
    fc.nat({ max: certificate.length }).map(length => certificate.subarray(0, length)),
  )
  const walk = (der: Buffer, depth: number): void => {
    const elements = readElements(der)
    if (!Buffer.concat(elements.map(write)).equals(der)) throw new Error('a second encoding exists')
    if (depth > 0) for (const { tag, content } of elements) if ((tag & 0x20) !== 0) walk(content, depth - 1)
  }
  fc.assert(
    fc.property(octets, der => {
      try {
        walk(der, 8)
      } catch (error) {
        if (!(error instanceof RangeError)) throw error
      }
    }),
    { numRuns: 2000 },
  )
  t.doesNotThrow(() => walk(certificate, 3))
})
