// Writes DER octet by octet, and BER where DER forbids it: a library would correct the faults of the corpus.

/** The length octets of an element, by default in the shortest form. */
type Length = 'shortest' | 'one octet too many' | 'four octets' | 'indefinite'

/** An element of any tag. */
export function element(tag: number, contents: readonly (Buffer | undefined)[] | Buffer, length: Length = 'shortest') {
  const content = Buffer.isBuffer(contents) ? contents : Buffer.concat(contents.filter(part => part !== undefined))
  const end = length === 'indefinite' ? Buffer.alloc(2) : Buffer.alloc(0)
  return Buffer.concat([Buffer.from([tag]), lengthOctets(content.length, length), content, end])
}

function lengthOctets(size: number, form: Length): Buffer {
  if (form === 'indefinite') return Buffer.from([0x80])
  if (form === 'shortest' && size < 0x80) return Buffer.from([size])
  const octets = Buffer.alloc(4)
  octets.writeUInt32BE(size)
  const shortest = Math.max(
    octets.findIndex(octet => octet !== 0),
    0,
  )
  const from = form === 'shortest' ? shortest : form === 'four octets' ? 0 : size < 0x80 ? 3 : shortest - 1
  return Buffer.concat([Buffer.from([0x80 + 4 - from]), octets.subarray(from)])
}

export const sequence = (...parts: (Buffer | undefined)[]) => element(0x30, parts)
export const set = (...parts: Buffer[]) => element(0x31, parts)
/** A constructed element with a context-specific tag. */
export const context = (tag: number, ...parts: Buffer[]) => element(0xa0 + tag, parts)
/** A primitive element with a context-specific tag. */
export const implicit = (tag: number, content: Buffer | string) => element(0x80 + tag, Buffer.from(content))
export const octets = (content: Buffer) => element(0x04, content)
export const bits = (content: Buffer, unused = 0) => element(0x03, [Buffer.from([unused]), content])
export const boolean = (value = true) => element(0x01, Buffer.from([value ? 0xff : 0]))
export const nothing = element(0x05, Buffer.alloc(0))

/** An INTEGER: a non-negative number in the shortest form, or exactly these octets. */
export function integer(value: number | bigint | Buffer): Buffer {
  if (Buffer.isBuffer(value)) return element(0x02, value)
  const hex = value.toString(16)
  const even = Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex')
  return element(0x02, (even[0] as number) < 0x80 ? even : Buffer.concat([Buffer.alloc(1), even]))
}

export function oid(dotted: string): Buffer {
  const [first = 0, second = 0, ...others] = dotted.split('.').map(Number)
  return element(0x06, Buffer.concat([first * 40 + second, ...others].map(base128)))
}

function base128(number: number): Buffer {
  const groups = [number % 128]
  for (let rest = Math.floor(number / 128); rest > 0; rest = Math.floor(rest / 128)) groups.unshift(0x80 + (rest % 128))
  return Buffer.from(groups)
}

/** Tags of the string types that occur in names. */
export const stringTags = {
  UTF8String: 0x0c,
  NumericString: 0x12,
  PrintableString: 0x13,
  TeletexString: 0x14,
  VideotexString: 0x15,
  IA5String: 0x16,
  GraphicString: 0x19,
  VisibleString: 0x1a,
  GeneralString: 0x1b,
  UniversalString: 0x1c,
  BMPString: 0x1e,
} as const

export type StringType = keyof typeof stringTags

/** A string of any type; a text is encoded for the type, octets are used unchanged. */
export function string(type: StringType, value: string | Buffer): Buffer {
  return element(stringTags[type], Buffer.isBuffer(value) ? value : encodeString(type, value))
}

function encodeString(type: StringType, text: string): Buffer {
  if (type === 'BMPString') return Buffer.from(text, 'utf16le').swap16()
  if (type === 'UniversalString')
    return Buffer.concat(
      Array.from(text, character => {
        const octets = Buffer.alloc(4)
        octets.writeUInt32BE(character.codePointAt(0) as number)
        return octets
      }),
    )
  return Buffer.from(text, type === 'UTF8String' ? 'utf8' : 'latin1')
}

export const utcTime = (text: string) => element(0x17, Buffer.from(text))
export const generalizedTime = (text: string) => element(0x18, Buffer.from(text))

/** A Time in the form of RFC 5280 §4.1.2.5. */
export function time(date: Date): Buffer {
  const text = date.toISOString().replace(/[-:T]|\.\d+/g, '')
  const year = date.getUTCFullYear()
  return year >= 1950 && year < 2050 ? utcTime(text.slice(2)) : generalizedTime(text)
}

const attributeTypes = {
  CN: '2.5.4.3',
  serialNumber: '2.5.4.5',
  C: '2.5.4.6',
  O: '2.5.4.10',
  OU: '2.5.4.11',
  organizationIdentifier: '2.5.4.97',
  DC: '0.9.2342.19200300.100.1.25',
} as const

/** One attribute of a name: `type` by name or as OID; a text becomes a UTF8String, octets are an element of any type. */
export function attribute(type: keyof typeof attributeTypes | Buffer, value: string | Buffer): Buffer {
  return sequence(
    Buffer.isBuffer(type) ? type : oid(attributeTypes[type]),
    typeof value === 'string' ? string('UTF8String', value) : value,
  )
}

/** A name of one attribute. */
export const commonName = (value: string | Buffer) => sequence(set(attribute('CN', value)))

/** A block of PEM; the lines have 64 characters and end in LF. */
export function pem(label: string, der: Buffer): string {
  const lines = der.toString('base64').replace(/.{64}(?=.)/g, '$&\n')
  return `-----BEGIN ${label}-----\n${lines}\n-----END ${label}-----\n`
}
