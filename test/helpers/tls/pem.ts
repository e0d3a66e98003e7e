// PEM blocks of arbitrary octets, including those that the server's parser refuses.
import { parseRevocationLists } from '../../../src/files/pem.ts'

/** Renders octets as a block, with lines of 64 characters. */
export function renderPem(label: string, der: Buffer): string {
  return `-----BEGIN ${label}-----\n${der.toString('base64').replace(/.{1,64}/g, '$&\n')}-----END ${label}-----\n`
}

/** Returns the revocation lists of a text, in DER. */
export function listsOf(pem: string): Buffer[] {
  return parseRevocationLists(pem, 'crl').map(({ der }) => der)
}
