// The certificate of a client that a proxy forwards in a header field: the forms of known proxies, and the names of such fields. A
// field says nothing about who wrote it: tls/forwarding.ts decides whose is read.
import { hash, X509Certificate } from 'node:crypto'

/** A form of the field. Each text is parsed in exactly one form. */
interface FieldForm {
  /** The name of the field by default. */
  readonly header: string
  /** Returns the DER of the client's own certificate. @throws FormError */
  readonly parse: (value: string) => Buffer
}

/** Why a value is not a certificate in its form; completes "the value is …". */
class FormError extends Error {}

export const certificateForms = {
  /** A byte sequence (RFC 9440 §2.2). */
  'client-cert': {
    header: 'Client-Cert',
    parse(value) {
      const encoded = /^:([A-Za-z0-9+/]*={0,2}):$/.exec(value)?.[1]
      if (encoded === undefined) throw new FormError('no byte sequence between colons')
      return decodeBase64(encoded)
    },
  },
  /** The variable `$ssl_client_escaped_cert`: one certificate in PEM, percent-encoded. nginx has no fixed name for the field. */
  nginx: { header: 'X-SSL-Client-Cert', parse: value => decodePem(decodePercent(value), 'one') },
  /** The member Cert of one element of XFCC. */
  envoy: { header: 'X-Forwarded-Client-Cert', parse: parseXfcc },
  /** Base64 of the DER of each certificate, the client's own first, in older versions percent-encoded. */
  traefik: {
    header: 'X-Forwarded-Tls-Client-Cert',
    parse: value => decodeBase64((value.includes('%') ? decodePercent(value) : value).split(',')[0] as string),
  },
  /** Mode verify of an Application Load Balancer: percent-encoded PEM, with `+`, `=` and `/` as they are. */
  aws: { header: 'X-Amzn-Mtls-Clientcert-Leaf', parse: value => decodePem(decodePercent(value), 'one') },
  /** Its mode passthrough: the client's own certificate first, then the rest of its chain. */
  'aws-passthrough': {
    header: 'X-Amzn-Mtls-Clientcert',
    parse: value => decodePem(decodePercent(value), 'several'),
  },
} as const satisfies Readonly<Record<string, FieldForm>>

export type CertificateForm = keyof typeof certificateForms

/** The longest value that is parsed, in characters. */
export const longestField = 16_384

/** What a value contains: nothing, since the client has no certificate; its certificate; or why it is neither. */
export type ForwardedCertificate =
  | { readonly kind: 'none' }
  | { readonly kind: 'certificate'; readonly x509: X509Certificate }
  | { readonly kind: 'malformed'; readonly found: string }

/** Parses the value of a field in the given form. Never throws. */
export function parseForwardedCertificate(form: CertificateForm, value: string): ForwardedCertificate {
  // An empty text, or an empty byte sequence, is what a proxy sends whose variable is empty.
  if (value === '' || value === '::') return { kind: 'none' }
  if (value.length > longestField) return { kind: 'malformed', found: `more than ${longestField} characters` }
  try {
    return { kind: 'certificate', x509: readDer(certificateForms[form].parse(value)) }
  } catch (error) {
    return { kind: 'malformed', found: error instanceof FormError ? error.message : 'not valid' }
  }
}

function readDer(der: Buffer): X509Certificate {
  let x509: X509Certificate
  try {
    x509 = new X509Certificate(der)
  } catch {
    throw new FormError('no certificate in DER')
  }
  // OpenSSL ignores what follows a certificate.
  if (!x509.raw.equals(der)) throw new FormError('more than one certificate in DER')
  return x509
}

function decodeBase64(text: string): Buffer {
  const decoded = Buffer.from(text, 'base64')
  // Node ignores characters that base64 does not have.
  if (decoded.length === 0 || decoded.toString('base64') !== text) throw new FormError('no base64')
  return decoded
}

function decodePercent(value: string): string {
  try {
    return decodeURIComponent(value)
  } catch {
    throw new FormError('no percent-encoded text')
  }
}

/** `count`: the number of certificates that the form has. */
function decodePem(pem: string, count: 'one' | 'several'): Buffer {
  const block = /-----BEGIN CERTIFICATE-----\r?\n((?:[A-Za-z0-9+/]{1,76}={0,2}\r?\n)+)-----END CERTIFICATE-----\s*/y
  const found = block.exec(pem)
  if (found === null) throw new FormError('no certificate in PEM')
  const isWhole =
    block.lastIndex === pem.length || (count === 'several' && pem.startsWith('-----BEGIN', block.lastIndex))
  if (!isWhole) throw new FormError('more than one certificate in PEM')
  return decodeBase64((found[1] as string).replace(/\s/g, ''))
}

/**
 * An element of XFCC is a list of pairs with semicolons between them; a value with a comma, semicolon or equals sign is in quotes. With
 * several elements, other proxies, or the client itself, have written some of them: the proxy must replace the field.
 */
function parseXfcc(value: string): Buffer {
  const pairs = new Map<string, string>()
  const pair = /([A-Za-z]{1,16})=("(?:[^"\\]|\\.)*"|[^",;=]*)(;|,|$)/y
  for (let end = ''; end !== '$'; ) {
    const found = pair.exec(value)
    if (found === null) throw new FormError('no element of XFCC')
    const [, name = '', text = '', separator] = found
    if (separator === ',') throw new FormError('several elements: the proxy appends to the field of its client')
    const key = name.toLowerCase()
    // A certificate can have several names.
    if (pairs.has(key) && ['cert', 'hash'].includes(key)) throw new FormError(`two members ${name}`)
    pairs.set(key, text.startsWith('"') ? text.slice(1, -1) : text)
    end = separator === '' ? '$' : ';'
  }
  const cert = pairs.get('cert')
  if (cert === undefined) throw new FormError('an element without Cert')
  const der = decodePem(decodePercent(cert), 'one')
  const digest = pairs.get('hash')
  if (digest !== undefined && digest.toLowerCase() !== hash('sha256', der, 'hex'))
    throw new FormError('an element whose Hash is that of another certificate')
  return der
}

/** Names of fields by which proxies forward a certificate, or what they found out about it. */
const knownFields: ReadonlySet<string> = new Set([
  ...Object.values(certificateForms).map(({ header }) => header.toLowerCase()),
  ...[
    'client-cert-chain',
    'x-client-cert',
    'x-client-certificate',
    'ssl-client-cert',
    'ssl-client-verify',
    'x-ssl-cert',
  ],
  ...['x-ssl-client-verify', 'x-ssl-client-s-dn', 'x-ssl-client-dn', 'ssl-client-subject-dn', 'x-arr-clientcert'],
  ...[
    'x-forwarded-tls-client-cert-info',
    'x-amzn-mtls-clientcert-subject',
    'cf-client-cert-der-base64',
    'ssl-clientcert',
  ],
])

/**
 * Returns the first field of a request by which a proxy would forward a certificate, other than `read`; an underscore counts as a
 * hyphen. The result is one of the known names, never a text of the client.
 */
export function findCertificateField(rawHeaders: readonly string[], read?: string): string | undefined {
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] as string
    if (name.length > 40) continue
    const lower = name.toLowerCase()
    const known = lower.replaceAll('_', '-')
    if (knownFields.has(known) && lower !== read) return known
  }
  return undefined
}
