/** Reads the content of an OBJECT IDENTIFIER (X.690 §8.19): base 128, most significant group first; the first holds two arcs. */
export function readObjectIdentifier(content: Buffer): string {
  const numbers: number[] = []
  let number = 0
  for (const octet of content) {
    number = number * 128 + (octet & 0x7f)
    if (octet < 0x80) {
      numbers.push(number)
      number = 0
    }
  }
  const [first = 0, ...others] = numbers
  const root = Math.min(Math.floor(first / 40), 2)
  return [root, first - root * 40, ...others].join('.')
}
