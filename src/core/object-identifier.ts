/**
 * Parses the content of an OBJECT IDENTIFIER (X.690 §8.19): base 128, most significant group first. The first number encodes
 * two arcs. @throws RangeError if it is truncated, or a number is not in the shortest form.
 */
export function readObjectIdentifier(content: Buffer): string {
  const numbers: bigint[] = [] // bigint, because a number can have any length, such as that of a UUID
  let number = 0n
  let isInside = false
  for (const octet of content) {
    if (!isInside && octet === 0x80)
      throw new RangeError('a number in an object identifier is not in the shortest form')
    number = (number << 7n) | BigInt(octet & 0x7f)
    isInside = octet >= 0x80
    if (isInside) continue
    numbers.push(number)
    number = 0n
  }
  const [first, ...others] = numbers
  if (first === undefined || isInside) throw new RangeError('an object identifier is truncated')
  const root = first < 80n ? first / 40n : 2n
  return [root, first - root * 40n, ...others].join('.')
}
