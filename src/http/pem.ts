// The blocks of PEM bundles, and how they are written for OpenSSL.

/** Cuts a bundle into its blocks, in DER. @throws Error when there is none, or something else among them. */
export function splitPem(bundle: string, label: 'CERTIFICATE' | 'X509 CRL'): Buffer[] {
  const blocks = [...bundle.matchAll(new RegExp(`-----BEGIN ${label}-----([^-]+)-----END ${label}-----`, 'g'))]
  if (blocks.length === 0 || blocks.length !== bundle.split('-----BEGIN').length - 1)
    throw new Error(`there must be PEM blocks of ${label}, and no others`)
  return blocks.map(([, body = '']) => Buffer.from(body, 'base64'))
}

/** Writes a block with lines of 64 characters. */
export function renderPem(label: 'CERTIFICATE' | 'X509 CRL', der: Buffer): string {
  const text = Buffer.from(der.toString('base64'), 'latin1')
  const lines = Buffer.alloc(text.length + Math.ceil(text.length / 64), '\n')
  for (let from = 0, to = 0; from < text.length; from += 64, to += 65) text.copy(lines, to, from, from + 64)
  return `-----BEGIN ${label}-----\n${lines.toString('latin1')}-----END ${label}-----\n`
}
