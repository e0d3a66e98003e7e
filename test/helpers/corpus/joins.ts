// The forms in which files of PEM blocks reach a server: line ends, encodings, text between, cuts, and files that are not
// PEM.
import { gzipSync } from 'node:zlib'
import { element } from './der.ts'
import type { LoadVerdict } from './entry.ts'

/** A file with the expected result: undefined if both are allowed, as long as no block is ignored silently. */
export type Join = readonly [content: string | Buffer, load?: LoadVerdict]

/** Writes two or more blocks into one file, in every form. `ders` are their contents. */
export function joinBlocks(blocks: readonly string[], ders: readonly Buffer[]): Readonly<Record<string, Join>> {
  const [first = '', ...others] = blocks
  const plain = blocks.join('')
  const rest = others.join('')
  const lines = first.trimEnd().split('\n')
  const [begin = '', end = ''] = [lines[0], lines.at(-1)]
  const inBlock = (change: (base64: string[]) => string) => `${begin}\n${change(lines.slice(1, -1))}\n${end}\n`
  const unbroken = inBlock(base64 => base64.join(''))
  return {
    plain: [plain, 'loaded'],
    CRLF: [plain.replaceAll('\n', '\r\n'), 'loaded'],
    CR: [plain.replaceAll('\n', '\r')],
    'no line end at the end': [plain.trimEnd(), 'loaded'],
    'no line end between blocks': [blocks.map(block => block.trimEnd()).join('')],
    'a space between blocks': [blocks.map(block => block.trimEnd()).join(' ')],
    'empty lines between blocks': [blocks.join('\n\n\n'), 'loaded'],
    'spaces behind each line': [plain.replaceAll('\n', '  \n'), 'loaded'],
    'spaces before each line': [plain.replace(/^/gm, '  ')],
    'text between blocks': [blocks.map((block, at) => `subject=number ${at}\nissuer: x\n${block}`).join(''), 'loaded'],
    'comments between blocks': [`# all of ours\n${blocks.join('# and\n')}`, 'loaded'],
    'a commented block': [`${plain}${first.replace(/^/gm, '# ')}`],
    'a block before which there is text in its line': [`${rest}root: ${first}`],
    'byte order mark of UTF-8': [`\ufeff${plain}`],
    'byte order mark between blocks': [blocks.join('\ufeff')],
    'UTF-16, little endian': [Buffer.from(`\ufeff${plain}`, 'utf16le'), 'refused'],
    'UTF-16, big endian': [Buffer.from(`\ufeff${plain}`, 'utf16le').swap16(), 'refused'],
    'UTF-16 without byte order mark': [Buffer.from(plain, 'utf16le'), 'refused'],
    'base64 in one line': [unbroken + rest],
    'base64 in lines of 76': [inBlock(base64 => base64.join('').replace(/.{76}(?=.)/g, '$&\n')) + rest],
    'base64 in lines of one character': [inBlock(base64 => base64.join('').replace(/.(?=.)/g, '$&\n')) + rest],
    'empty lines in a block': [inBlock(base64 => base64.join('\n\n')) + rest],
    'spaces in a block': [inBlock(base64 => base64.join('\n').replace(/.{8}/g, '$& ')) + rest],
    'headers in a block': [first.replace('\n', '\nComment: mine\n\n') + rest],
    'a character that is no base64': [first.replace(/\n(.{9})./, '\n$1*') + rest, 'refused'],
    base64url: [(first + rest).replace(/^(?!-).+$/gm, line => line.replaceAll('+', '-').replaceAll('/', '_'))],
    'a line is missing': [inBlock(base64 => base64.toSpliced(1, 1).join('\n')) + rest, 'refused'],
    'a line twice': [inBlock(base64 => base64.toSpliced(1, 0, base64[1] as string).join('\n')) + rest, 'refused'],
    'the last character of a block is missing': [inBlock(base64 => base64.join('\n').slice(0, -1)) + rest, 'refused'],
    'a block without END': [`${lines.slice(0, -1).join('\n')}\n${rest}`, 'refused'],
    'the last block without END': [plain.slice(0, plain.lastIndexOf('-----END')), 'refused'],
    'a block without BEGIN': [`${lines.slice(1).join('\n')}\n${rest}`, 'refused'],
    'cut in the last block': [plain.slice(0, -200), 'refused'],
    'END with four hyphens': [first.replace(/-\n$/, '\n') + rest],
    'BEGIN with four hyphens': [first.slice(1) + rest],
    'BEGIN with dashes of a word processor': [first.replaceAll('-----', '——–') + rest],
    'BEGIN in lower case': [rest + first.replace(/(BEGIN|END)/g, word => word.toLowerCase())],
    'label in lower case': [rest + first.replace(/(BEGIN|END) (.*?)-----/g, text => text.toLowerCase())],
    'another label at END': [first.replace(/END .*?-----/, 'END SOMETHING-----') + rest, 'refused'],
    'a block in a block': [`${begin}\n${first}${end}\n${rest}`, 'refused'],
    'a block under a label that nobody knows': [first.replaceAll(/(BEGIN|END) .*?-----/g, '$1 SOMETHING-----') + rest],
    'line ends written out': [plain.replaceAll('\n', '\\n')],
    'quotation marks around': [`"${plain}"`],
    'NUL octets between blocks': [blocks.join('\0\0\0')],
    'a NUL in a block': [first.replace(/\n(.{9})/, '\n$1\0') + rest, 'refused'],
    'an empty block first': [`${begin}\n${end}\n${rest}`, 'refused'],
    DER: [ders[0] as Buffer, 'refused'],
    'DER, one behind the other': [Buffer.concat(ders), 'refused'],
    'base64 of DER without a frame': [`${ders[0]?.toString('base64')}\n`, 'refused'],
    PKCS7: [frame('PKCS7', pkcs7(ders)), 'refused'],
    'PKCS#7 in DER': [pkcs7(ders), 'refused'],
    'beside a private key': [plain + frame('PRIVATE KEY', Buffer.from('no key, and nobody looks'))],
    'beside a request': [plain + frame('CERTIFICATE REQUEST', Buffer.from('no request'))],
    'beside parameters': [plain + frame('EC PARAMETERS', Buffer.from('06082a8648ce3d030107', 'hex'))],
    'the other kind of block between': [
      first + frame(begin.includes('CRL') ? 'CERTIFICATE' : 'X509 CRL', Buffer.from('nothing')) + rest,
    ],
    'rubbish under the right label between': [`${first}${begin}\nAAAA\n${end}\n${rest}`, 'refused'],
    empty: ['', 'refused'],
    'line ends only': ['\r\n\r\n \t', 'refused'],
    'a web page': ['<!DOCTYPE html><title>Sign in</title>', 'refused'],
    JSON: ['{"certificate": "-----BEGIN"}', 'refused'],
    gzip: [gzipSync(plain), 'refused'],
    '1 MiB of hyphens': ['-'.repeat(1_048_576), 'refused'],
    '1 MiB of BEGIN': [`${begin}\n`.repeat(Math.floor(1_048_576 / begin.length))],
    '1 MiB of spaces before a block': [' '.repeat(1_048_000) + plain],
    '300 000 lines before a block': [`${'#\n'.repeat(300_000)}${plain}`],
    'a block of 1 MiB of base64': [`${begin}\n${`${'A'.repeat(64)}\n`.repeat(16_000)}${end}\n`, 'refused'],
  }
}

const frame = (label: string, der: Buffer) =>
  `-----BEGIN ${label}-----\n${der.toString('base64').replace(/.{64}(?=.)/g, '$&\n')}\n-----END ${label}-----\n`

/** Certificates or lists in a SignedData without signatures (RFC 2315 §9.1). */
function pkcs7(ders: readonly Buffer[]): Buffer {
  const sequence = (...parts: Buffer[]) => element(0x30, parts)
  const data = Buffer.from('06092a864886f70d010701', 'hex')
  const signedData = sequence(
    element(0x02, Buffer.from([1])),
    element(0x31, []),
    sequence(data),
    element(0xa0, ders),
    element(0x31, []),
  )
  return sequence(Buffer.from('06092a864886f70d010702', 'hex'), element(0xa0, [signedData]))
}
