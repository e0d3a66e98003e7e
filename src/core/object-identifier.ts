/**
 * Reads the content of an OBJECT IDENTIFIER (X.690 §8.19): base 128, most significant group first; the first holds two arcs.
 * @throws RangeError when it is cut short, or a number is not the shortest form.
 */
export function readObjectIdentifier(content: Buffer): string {
  const numbers: bigint[] = [] // a number can have any length, as that of a UUID has
  let number = 0n
  let isInside = false
  for (const octet of content) {
    if (!isInside && octet === 0x80) throw new RangeError('a number of an object identifier is not the shortest form')
    number = (number << 7n) | BigInt(octet & 0x7f)
    isInside = octet >= 0x80
    if (isInside) continue
    numbers.push(number)
    number = 0n
  }
  const [first, ...others] = numbers
  if (first === undefined || isInside) throw new RangeError('an object identifier is cut short')
  const root = first < 80n ? first / 40n : 2n
  return [root, first - root * 40n, ...others].join('.')
}
