// Parses PEM files (RFC 7468): certificates, one private key, or revocation lists. The result is rendered again, block by block,
// before it is passed to Node, because the parser of OpenSSL silently stops at the first invalid line. Unexpected blocks are
// rejected, with their line.
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { FileProblem, type Finding, findUtf16, quoteForShell } from './file-problem.ts'
import {
  byteOrderMark,
  describeContent,
  describeLabel,
  isRevocationList,
  recognizeDer,
  type Wanted,
} from './pem-kinds.ts'

export interface CertificateBlock {
  /** The line of BEGIN, from 1. */
  readonly line: number
  readonly x509: X509Certificate
}

/** At least one. */
export type CertificateBlocks = readonly [CertificateBlock, ...CertificateBlock[]]

export interface RevocationListBlock {
  readonly line: number
  readonly der: Buffer
}

/** The maximum size of a file with certificates or a key, in octets: 50 times a chain, 4 times the roots of a browser. */
export const mostPemOctets = 1_048_576

/** The maximum size of a file with revocation lists, in octets. 300 000 entries have 14 MB; OpenSSL loads them in 0.4 s (measured). */
export const mostListOctets = 67_108_864

/** Parses at least one certificate. `file` is the name for errors. @throws FileProblem */
export function parseCertificates(content: Buffer | string, file: string): CertificateBlocks {
  const certificates = parseBlocks(content, 'certificates', file).map(block => {
    if (!certificateLabels.includes(block.label)) throw otherBlock(block, 'certificates', file)
    const der = decodeBody(block, file)
    try {
      const x509 = new X509Certificate(der)
      if (x509.raw.equals(der)) return { line: block.line, x509 }
    } catch {} // not a certificate, or a certificate with trailing octets, which would be lost
    throw damaged(block, der, 'certificate', file)
  })
  return certificates as [CertificateBlock, ...CertificateBlock[]] // parseBlocks throws for a file without a block
}

/** Parses at least one revocation list. `file` is the name for errors. @throws FileProblem */
export function parseRevocationLists(content: Buffer | string, file: string): readonly RevocationListBlock[] {
  return parseBlocks(content, 'revocation lists', file).map(block => {
    if (block.label !== 'X509 CRL') throw otherBlock(block, 'revocation lists', file)
    const der = decodeBody(block, file)
    if (!isRevocationList(der)) throw damaged(block, der, 'revocation list', file)
    return { line: block.line, der }
  })
}

export interface KeyOptions {
  /** The passphrase of an encrypted key, and the file that it was read from. */
  readonly passphrase?: { readonly value: Buffer; readonly file: string } | undefined
  /** The name of the setting or option for a passphrase file, for messages; undefined if there is none. */
  readonly passphraseSetting?: string | undefined
}

/**
 * Parses the only private key in a file, and decrypts it. Certificates in the file are ignored.
 * @throws FileProblem, which quotes neither the key nor the passphrase.
 */
export function parsePrivateKey(content: Buffer | string, file: string, options: KeyOptions): KeyObject {
  const blocks = parseBlocks(content, 'private key', file)
  const keys = blocks.filter(({ label }) => keyLabels.includes(label))
  const other = blocks.find(({ label }) => ![...keyLabels, ...certificateLabels, 'EC PARAMETERS'].includes(label))
  const [block, second] = keys
  if (block === undefined) throw otherBlock(other ?? (blocks[0] as Block), 'private key', file)
  if (other !== undefined) throw otherBlock(other, 'private key', file)
  if (second !== undefined)
    throw new FileProblem(file, {
      position: lineOf(second),
      found: `this is a second private key, the first is in line ${block.line}`,
      remedy: 'keep only one key in the file',
    })
  return decryptKey(block, file, options)
}

/** Renders a revocation list as PEM, with lines of 64 characters. For certificates, `X509Certificate#toString` does. */
export function renderRevocationList(der: Buffer): string {
  const text = Buffer.from(der.toString('base64'), 'latin1')
  const lines = Buffer.alloc(text.length + Math.ceil(text.length / 64), 0x0a) // a number: a string is written one by one
  for (let from = 0, to = 0; from < text.length; from += 64, to += 65) text.copy(lines, to, from, from + 64)
  return `-----BEGIN X509 CRL-----\n${lines.toString('latin1')}-----END X509 CRL-----\n`
}

interface Block {
  readonly label: string
  readonly line: number
  /** The text between BEGIN and END. */
  readonly body: string
}

const certificateLabels = ['CERTIFICATE', 'X509 CERTIFICATE']
const keyLabels = ['PRIVATE KEY', 'EC PRIVATE KEY', 'RSA PRIVATE KEY', 'DSA PRIVATE KEY', 'ENCRYPTED PRIVATE KEY']

/** Splits a file into blocks, in linear time. Skips text between blocks, as OpenSSL does. */
function parseBlocks(content: Buffer | string, wanted: Wanted, file: string): Block[] {
  const octets = typeof content === 'string' ? Buffer.from(content) : content
  const utf16 = findUtf16(octets, file)
  if (utf16 !== undefined) throw new FileProblem(file, utf16)
  const text = octets.toString('latin1') // one character per octet, for any encoding of the text between blocks
  const blocks: Block[] = []
  const lineAt = createLineCounter(text)
  let open: { label: string; line: number; start: number } | undefined
  let last = 0
  let isComment = false
  for (const { 0: marker, 1: kind, 2: label = '', index } of text.matchAll(/-----(BEGIN|END) ([ -,.-~]{0,64})-----/g)) {
    const { line, start } = lineAt(index)
    const fail = (finding: Finding) => new FileProblem(file, { position: `line ${line}`, ...finding })
    if (open !== undefined) {
      if (kind === 'BEGIN')
        throw fail({ found: `a block begins before the one of line ${open.line} has its END line`, remedy: cut })
      if (label !== open.label)
        throw fail({ found: `END ${label} closes the ${open.label} block of line ${open.line}`, remedy: cut })
      blocks.push({ label, line: open.line, body: text.slice(open.start, index) })
      open = undefined
    } else {
      const before = text.slice(Math.max(start, last), index).replace(byteOrderMark, '').trim()
      if (start >= last) isComment = before.startsWith('#')
      checkBetween(text, last, index, file)
      if (!isComment) {
        if (kind === 'END') throw fail({ found: `END ${label} has no BEGIN line before it`, remedy: cut })
        if (before !== '')
          throw fail({
            found: 'there is text before BEGIN',
            remedy: 'start the line with -----BEGIN, or remove the block',
          })
        open = { label, line, start: index + marker.length }
      }
    }
    last = index + marker.length
  }
  if (open !== undefined)
    throw new FileProblem(file, {
      position: lineOf(open),
      found: `the ${open.label} block has no END line`,
      remedy: cut,
    })
  checkBetween(text, last, text.length, file)
  if (blocks.length === 0) throw new FileProblem(file, describeContent(octets, wanted, file))
  return blocks
}

const cut = 'the file was truncated or edited: copy it again'

/** Rejects lines that look like the beginning of a block, but are not one for OpenSSL. */
function checkBetween(text: string, from: number, to: number, file: string): void {
  const found = almostBegin.exec(text.slice(from, to))
  if (found === null) return
  throw new FileProblem(file, {
    position: `line ${createLineCounter(text)(from + found.index).line}`,
    found: 'this looks like the first line of a block, but is not',
    remedy:
      'a block begins with five hyphens, BEGIN and its type in upper case, and five hyphens, as -----BEGIN CERTIFICATE-----',
  })
}

/** Other numbers of hyphens, dashes of word processors (in UTF-8 and in Windows-1252), lower case, a colon before it. */
const almostBegin =
  /^[ \t]{0,32}(?:-|\xe2\x80[\x90-\x95]|[\x96\x97]){2,12}[ \t]{0,4}BEGIN[ \t]{1,4}[A-Z0-9#_ -]{0,32}(?:CERTIFICATE|KEY|CRL|PKCS|CMS)/im

/** Decodes the base64 of a block, which must not contain anything else. */
function decodeBody({ label, line, body }: Block, file: string): Buffer {
  const digits = body.replace(/[ \t\r\n]+/g, '')
  const der = Buffer.from(digits, 'base64')
  if (digits !== '' && der.toString('base64') === digits) return der
  const fail = (at: number, found: string, remedy: string) =>
    new FileProblem(file, { position: `line ${line - 1 + createLineCounter(body)(at).line}`, found, remedy })
  if (digits === '') throw fail(0, `the ${label} block is empty`, cut)
  const stranger = body.search(/[^A-Za-z0-9+/=\s]/)
  if (body.startsWith('\\n', stranger) || body.startsWith('\\r', stranger))
    throw fail(
      stranger,
      'this block contains \\n instead of line ends',
      `convert it: printf '%b' "$(cat ${quoteForShell(file)})" > NEW.pem`,
    )
  if (stranger !== -1) throw fail(stranger, `this line of the ${label} block is not base64`, cut)
  throw fail(body.length, `the base64 of the ${label} block is truncated`, cut)
}

/** Parses a private key with OpenSSL, which decrypts it if necessary. */
function decryptKey(block: Block, file: string, { passphrase, passphraseSetting }: KeyOptions): KeyObject {
  const fail = (found: string, remedy?: string) => new FileProblem(file, { position: lineOf(block), found, remedy })
  const name = quoteForShell(file)
  const [header = '', cipher, vector] = encryptionHeader.exec(block.body) ?? []
  const isEncrypted = header !== '' || block.label === 'ENCRYPTED PRIVATE KEY'
  const der = decodeBody({ ...block, body: header.replace(/[^\r\n]/g, ' ') + block.body.slice(header.length) }, file)
  if (isEncrypted && passphrase === undefined) {
    const decrypt = `decrypt the key: openssl pkey -in ${name} -out NEW.pem`
    const found = 'this private key is encrypted, and its passphrase is missing'
    throw fail(
      found,
      passphraseSetting ? `set ${passphraseSetting} to a file with the passphrase, or ${decrypt}` : decrypt,
    )
  }
  if (!isEncrypted && passphrase !== undefined)
    throw fail(
      `this private key is not encrypted, and ${passphraseSetting} gives a passphrase for it`,
      `omit ${passphraseSetting}, or encrypt the key: openssl pkey -in ${name} -aes256 -out NEW.pem`,
    )
  const head = header === '' ? '' : `Proc-Type: 4,ENCRYPTED\nDEK-Info: ${cipher},${vector}\n\n`
  const lines = der.toString('base64').replace(/.{1,64}/g, '$&\n')
  try {
    const key = `-----BEGIN ${block.label}-----\n${head}${lines}-----END ${block.label}-----\n`
    return createPrivateKey({ key, ...(passphrase !== undefined && { passphrase: passphrase.value }) })
  } catch (error) {
    if (passphrase === undefined || (header === '' && recognizeDer(der) !== 'encrypted private key'))
      throw damaged(block, der, 'private key', file)
    if (/UNSUPPORTED|UNKNOWN/.test(String((error as NodeJS.ErrnoException).code)))
      throw fail(
        'this private key is encrypted with an algorithm that is not supported',
        `encrypt it again: openssl pkey -provider legacy -provider default -in ${name} -aes256 -out NEW.pem`,
      )
    throw fail(
      `the passphrase in ${passphrase.file} does not decrypt this private key`,
      `test the passphrase: openssl pkey -in ${name} -noout`,
    )
  }
}

/** RFC 1421 §4.6.1.1 and §4.6.1.3, as OpenSSL writes it into keys of the traditional format. */
const encryptionHeader = /^\s*Proc-Type: ?4, ?ENCRYPTED\s+DEK-Info: ?([\w-]{1,32}),([0-9A-Fa-f]{1,64})\s/

function otherBlock(block: Block, wanted: Wanted, file: string): FileProblem {
  return new FileProblem(file, describeLabel(block.label, wanted, file, lineOf(block)))
}

/** Returns the error for a block whose content does not match its label. */
function damaged(block: Block, der: Buffer, wanted: string, file: string): FileProblem {
  const kind = recognizeDer(der)
  const found =
    kind === undefined || kind === wanted
      ? `this ${block.label} block does not contain a ${wanted} that OpenSSL can read`
      : `this ${block.label} block contains a ${kind}`
  return new FileProblem(file, { position: lineOf(block), found, remedy: 'create the file again' })
}

function lineOf({ line }: { readonly line: number }): string {
  return `line ${line}`
}

/**
 * Counts lines, which end in LF, CRLF or CR. Returns a function that returns the line of an index, from 1, and the start of that
 * line. Each index must not be before the previous one.
 */
function createLineCounter(text: string): (index: number) => { readonly line: number; readonly start: number } {
  const lineEnd = /\r\n|[\r\n]/g
  let [line, start, next] = [1, 0, lineEnd.exec(text) === null ? Number.POSITIVE_INFINITY : lineEnd.lastIndex]
  return index => {
    while (next <= index) {
      line++
      start = next
      next = lineEnd.exec(text) === null ? Number.POSITIVE_INFINITY : lineEnd.lastIndex
    }
    return { line, start }
  }
}
