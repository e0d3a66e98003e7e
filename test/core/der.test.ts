// The reader of DER: it reads what DER allows and throws RangeError, and nothing else, on everything beside.
import fc from 'fast-check'
import t from 'tap'
import { type Element, readElements, readSequence } from '../../src/core/der.ts'
import { makeDemoPki } from '../../src/pki/demo.ts'

const hex = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex')

/** An element with the shortest form of its length (X.690 §10.1). */
function write({ tag, content }: Element): Buffer {
  const { length } = content
  const digits = length.toString(16)
  const bytes =
    length < 0x80 ? hex(digits.padStart(2, '0')) : hex(digits.padStart(digits.length + (digits.length % 2), '0'))
  const prefix = length < 0x80 ? [tag] : [tag, 0x80 | bytes.length]
  return Buffer.concat([Buffer.from(prefix), bytes, content])
}

t.test('elements side by side are read in their order, with tag and content', async t => {
  t.same(readElements(hex('')), [])
  t.same(readElements(hex('05 00')), [{ tag: 5, content: hex('') }])
  t.same(readElements(hex('02 01 2a 0c 02 68 69')), [
    { tag: 2, content: hex('2a') },
    { tag: 12, content: hex('6869') },
  ])
  t.same(readElements(hex('a0 03 02 01 02')), [{ tag: 0xa0, content: hex('020102') }], 'what stands inside is content')
})

t.test('lengths are read in every form that is the shortest one', async t => {
  for (const length of [0, 1, 0x7f, 0x80, 0xff, 0x100, 0xffff, 0x10000, 0x0100_0000]) {
    const element = { tag: 0x04, content: Buffer.alloc(length, 7) }
    const [read, ...others] = readElements(write(element))
    t.ok(read?.tag === 4 && read.content.equals(element.content) && others.length === 0, String(length))
  }
})

t.test('what DER does not allow, and what is cut short, is a RangeError', async t => {
  const wrong: Record<string, string> = {
    'a tag alone': '30',
    'a length without content': '04 01',
    'less content than its length says': '04 03 01 02',
    'an indefinite length': '30 80 02 01 2a 00 00',
    'a length of lengths that is missing': '04 81',
    'half a length': '04 82 01',
    'a long form where the short one would do': '04 81 01 2a',
    'a long form of 127': `04 81 7f ${'00'.repeat(127)}`,
    'a long form of zero': '04 81 00',
    'a length with a zero before': `04 82 00 80 ${'00'.repeat(128)}`,
    'a length with three octets for two': `04 83 00 01 00 ${'00'.repeat(256)}`,
    'a length of five octets': '04 85 00 00 00 00 01 2a',
    'a length of 127 octets': `04 ff ${'00'.repeat(127)}`,
    'four gigabytes': '04 84 ff ff ff ff 00',
    'an indefinite length before 128 octets': `04 80 ${'00'.repeat(128)}`,
    'a tag number over 30': '1f 81 01 00',
    'a tag number over 30 before what could be a length': '1f 01 00',
    'a constructed tag number over 30': 'bf 20 00',
    'a good element and half of another': '05 00 02 01',
  }
  for (const [name, text] of Object.entries(wrong)) t.throws(() => readElements(hex(text)), RangeError, name)
})

t.test('a sequence is one element with the expected tag, and nothing beside it', async t => {
  t.same(readSequence(hex('30 03 02 01 2a')), [{ tag: 2, content: hex('2a') }])
  t.same(readSequence(hex('30 00')), [])
  t.same(readSequence(hex('31 03 02 01 2a'), 0x31), [{ tag: 2, content: hex('2a') }])
  for (const wrong of ['', '31 00', '02 01 2a', '30 00 30 00', '30 00 00 00', '30 02 02 01', '30 01'])
    t.throws(() => readSequence(hex(wrong)), RangeError, wrong)
  t.throws(() => readSequence(hex('30 00'), 0x31), RangeError, 'another tag than the expected one')
})

t.test('whatever is written as DER is read back, and shares memory with what was read', async t => {
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

t.test('no octets whatever make it do anything but read or throw RangeError, and it reads them in one way', async t => {
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
    if (!Buffer.concat(elements.map(write)).equals(der)) throw new Error('it can be written in another way')
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
