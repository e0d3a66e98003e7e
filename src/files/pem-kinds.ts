// Describes the content of a file or block that is not of the required kind, recognized by its first octets or its label, with a
// command that converts it. Used only for the messages of rejected files.
import { X509Certificate } from 'node:crypto'
import { readElements } from '../core/der.ts'
import { type Finding, quoteForShell } from './file-problem.ts'

/** The required content of a PEM file. */
export type Wanted = 'certificates' | 'private key' | 'revocation lists'

type Kind =
  | 'certificate'
  | 'revocation list'
  | 'private key'
  | 'encrypted private key'
  | 'certificate request'
  | 'public key'
  | 'PKCS#12 store'
  | 'PKCS#7 bundle'

const needs: Readonly<Record<Wanted, string>> = {
  certificates: 'a CERTIFICATE block is needed here',
  'private key': 'a PRIVATE KEY block is needed here',
  'revocation lists': 'an X509 CRL block is needed here',
}

/** Describes a block of the wrong kind by its label. */
export function describeLabel(label: string, wanted: Wanted, file: string, position: string): Finding {
  const { thing, remedies } = labels.get(label) ?? { thing: `a block of the type ${label}` }
  return {
    position,
    found: `this is ${thing}, ${needs[wanted]}`,
    remedy: remedies?.[wanted]?.(quoteForShell(file)),
  }
}

/** Describes a file without any PEM block. */
export function describeContent(content: Buffer, wanted: Wanted, file: string): Finding {
  const name = quoteForShell(file)
  const need = needs[wanted]
  const kind = recognizeDer(content)
  if (kind !== undefined) {
    const command = fromDer[kind]?.[wanted]?.(`-in ${name} `)
    const found = `this is ${withArticle(kind)} in DER, ${need.replace('block', 'block in PEM')}`
    return { found, remedy: command && `convert it: ${command}` }
  }
  const start = content.toString('latin1', 0, 4096).replace(byteOrderMark, '')
  if (start.trim() === '' && content.length <= 4096) return { found: `the file is empty, ${need}` }
  const [, text] = texts.find(([pattern]) => pattern.test(start)) ?? []
  if (text !== undefined) return { found: `this is ${text.thing}, ${need}`, remedy: text.remedies?.[wanted]?.(name) }
  const bare = recognizeDer(decodeBase64(content))
  if (bare === undefined) return { found: `there is no PEM block in this file, ${need}` }
  const command = fromDer[bare]?.[wanted]?.('')
  return {
    found: `this is ${withArticle(bare)} in base64 without BEGIN and END lines, ${need}`,
    remedy: command && `convert it: openssl base64 -d -A -in ${name} | ${command}`,
  }
}

/** The byte-order mark of UTF-8, decoded as Latin-1. */
export const byteOrderMark = /^\xef\xbb\xbf/

/** Remedies by the required content; `name` is the quoted file name for a command. */
type Remedies = Readonly<Partial<Record<Wanted, (name: string) => string>>>

interface Thing {
  readonly thing: string
  readonly remedies?: Remedies
}

const keepApart = () => 'store a private key in a separate file with mode 0600'
const privateKey: Thing = {
  thing: 'a private key',
  remedies: { certificates: keepApart, 'revocation lists': keepApart },
}
const publicKey: Remedies = { 'private key': () => 'use the private key that belongs to it' }
const request: Thing = {
  thing: 'a certificate request',
  remedies: { certificates: () => 'use the certificate that an authority issues for it' },
}
const outOfPkcs7 = (name: string) => `convert it: openssl pkcs7 -print_certs -in ${name} -out NEW.pem`
const pkcs7: Thing = {
  thing: 'a PKCS#7 bundle',
  remedies: { certificates: outOfPkcs7, 'revocation lists': outOfPkcs7 },
}

/** Descriptions by the label of a block, without BEGIN and END. */
const labels: ReadonlyMap<string, Thing> = new Map([
  ['CERTIFICATE', { thing: 'a certificate' }],
  ['X509 CERTIFICATE', { thing: 'a certificate' }],
  [
    'TRUSTED CERTIFICATE',
    {
      thing: "a certificate with OpenSSL's own trust settings (TRUSTED CERTIFICATE)",
      remedies: { certificates: name => `convert it: openssl x509 -in ${name} -out NEW.pem` },
    },
  ],
  ['CERTIFICATE REQUEST', request],
  ['NEW CERTIFICATE REQUEST', request],
  [
    'X509 CRL',
    { thing: 'a revocation list', remedies: { certificates: () => 'store revocation lists in a separate file' } },
  ],
  ['PRIVATE KEY', privateKey],
  ['EC PRIVATE KEY', privateKey],
  ['RSA PRIVATE KEY', privateKey],
  ['DSA PRIVATE KEY', privateKey],
  ['ENCRYPTED PRIVATE KEY', { ...privateKey, thing: 'an encrypted private key' }],
  [
    'OPENSSH PRIVATE KEY',
    {
      thing: 'an OpenSSH private key',
      remedies: {
        'private key': name => `convert a copy of it, if it is RSA or ECDSA: ssh-keygen -p -m PKCS8 -f ${name}`,
      },
    },
  ],
  ['PUBLIC KEY', { thing: 'a public key', remedies: publicKey }],
  ['RSA PUBLIC KEY', { thing: 'a public key', remedies: publicKey }],
  ['PKCS7', pkcs7],
  ['PKCS #7 SIGNED DATA', pkcs7],
  ['CMS', pkcs7],
])

/** Descriptions by the beginning of a text. Each pattern is applied to 4096 characters. */
const texts: readonly (readonly [pattern: RegExp, thing: Thing])[] = [
  [/^\s*<(?:!doctype|html|head|\?xml)/i, { thing: 'a web page (HTML or XML)' }],
  [/^\s*(?:ssh-|ecdsa-sha2-|sk-)[\w@.-]{1,64} AAAA/, { thing: 'an SSH public key', remedies: publicKey }],
  [
    /^PuTTY-User-Key-File/,
    {
      thing: 'a PuTTY key',
      remedies: {
        'private key': name =>
          `convert it: puttygen ${name} -O private-openssh -o NEW.pem && ssh-keygen -p -m PKCS8 -f NEW.pem`,
      },
    },
  ],
  [
    /^\s*\{(?=.*"kty")/s,
    {
      thing: 'a JSON Web Key',
      remedies: {
        'private key': name =>
          `convert it: node -p "crypto.createPrivateKey({ format: 'jwk', key: JSON.parse(fs.readFileSync(0)) })` +
          `.export({ type: 'pkcs8', format: 'pem' })" < ${name} > NEW.pem`,
      },
    },
  ],
  [/^\s*[[{]/, { thing: 'JSON' }],
  [/^(?:\xfe\xed\xfe\xed|\xce\xce\xce\xce)/, { thing: 'a Java keystore', remedies: everything(fromJavaKeystore) }],
]

function fromJavaKeystore(name: string): string {
  return `convert it to PKCS#12 first: keytool -importkeystore -srckeystore ${name} -destkeystore NEW.p12 -deststoretype pkcs12`
}

function everything(remedy: (name: string) => string): Remedies {
  return { certificates: remedy, 'private key': remedy, 'revocation lists': remedy }
}

/** The commands that convert DER to PEM; `from` is empty or `-in FILE `. */
const fromDer: Readonly<Partial<Record<Kind, Remedies>>> = {
  certificate: { certificates: from => `openssl x509 -inform DER ${from}-out NEW.pem` },
  'revocation list': { 'revocation lists': from => `openssl crl -inform DER ${from}-out NEW.pem` },
  'private key': { 'private key': from => `openssl pkey -inform DER ${from}-out NEW.pem` },
  'encrypted private key': { 'private key': from => `openssl pkey -inform DER ${from}-out NEW.pem` },
  'PKCS#12 store': {
    certificates: from => `openssl pkcs12 ${from}-nokeys -out NEW.pem`,
    'private key': from => `openssl pkcs12 ${from}-nocerts -nodes -out NEW.pem`,
  },
  'PKCS#7 bundle': {
    certificates: from => `openssl pkcs7 -inform DER -print_certs ${from}-out NEW.pem`,
    'revocation lists': from => `openssl pkcs7 -inform DER -print_certs ${from}-out NEW.pem`,
  },
}

/** Recognizes DER, and BER with indefinite lengths, by structure. Does not verify anything. */
export function recognizeDer(octets: Buffer): Kind | undefined {
  const outer = skipHeader(octets)
  if (octets[0] !== 0x30 || outer === undefined) return undefined
  if (beginsWith(outer, '02010330')) return 'PKCS#12 store'
  if (beginsWith(outer, '06092a864886f70d0107')) return 'PKCS#7 bundle'
  if (['02010030', '02010002', '02010104', '02010130'].some(start => beginsWith(outer, start))) return 'private key'
  if (isCertificate(octets)) return 'certificate'
  if (isRevocationList(octets)) return 'revocation list'
  const inner = outer[0] === 0x30 ? skipHeader(outer) : undefined
  if (inner === undefined) return undefined
  if (beginsWith(inner, '02010030')) return 'certificate request'
  if (beginsWith(inner, '06092a864886f70d0105') || beginsWith(inner, '060a2a864886f70d010c01'))
    return 'encrypted private key'
  return inner[0] === 0x06 ? 'public key' : undefined
}

function isCertificate(der: Buffer): boolean {
  try {
    return new X509Certificate(der) !== undefined
  } catch {
    return false
  }
}

/** Returns whether DER has the structure of a certificate revocation list (RFC 5280 §5.1), including its dates. */
export function isRevocationList(der: Buffer): boolean {
  try {
    const [list, behind] = readElements(der, 2)
    const [signed, algorithm, signature, more] = readElements(list?.content ?? der, 4)
    if (list?.tag !== 0x30 || behind !== undefined || more !== undefined) return false
    if (signed?.tag !== 0x30 || algorithm?.tag !== 0x30 || signature?.tag !== 0x03) return false
    const fields = readElements(signed.content, 4)
    const [inner, issuer, thisUpdate] = fields[0]?.tag === 0x02 ? fields.slice(1) : fields // version
    return inner?.tag === 0x30 && issuer?.tag === 0x30 && (thisUpdate?.tag === 0x17 || thisUpdate?.tag === 0x18)
  } catch {
    return false
  }
}

/** Returns the octets after the tag and length of the first element. */
function skipHeader(octets: Buffer): Buffer | undefined {
  const [tag, length] = octets
  if (tag === undefined || length === undefined) return undefined
  return octets.subarray(2 + (length > 0x80 ? length & 0x7f : 0))
}

function beginsWith(octets: Buffer, hex: string): boolean {
  return octets.toString('hex', 0, hex.length / 2) === hex
}

/** Decodes base64 if the text contains nothing else. */
function decodeBase64(content: Buffer): Buffer {
  const text = content.toString('latin1')
  return /[^A-Za-z0-9+/=\s]/.test(text) ? Buffer.alloc(0) : Buffer.from(text, 'base64')
}

function withArticle(kind: Kind): string {
  return `${/^[aeiou]/.test(kind) ? 'an' : 'a'} ${kind}`
}
