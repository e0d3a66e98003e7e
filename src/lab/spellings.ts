// Other spellings of a token that a lenient parser accepts: the same octets in base64url, an equivalent ECDSA
// signature. A server that identifies tokens by their text does not recognize them. RFC 7515 §2, RFC 4648 §3.5.

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'

/** Returns the spellings that this token has, by name. */
export function spellings(token: string): Readonly<Record<string, string>> {
  const at = token.lastIndexOf('.') + 1
  const [input, signature] = [token.slice(0, at), token.slice(at)]
  const octets = Buffer.from(signature, 'base64url')
  const other = {
    'with padding': `${token}=`,
    'with more padding': `${token}==`,
    'with a trailing dot': `${token}.`,
    'in the base64 alphabet': input + signature.replaceAll('-', '+').replaceAll('_', '/'),
    'with trailing bits set': input + withStrayBits(signature, octets),
    'with the equivalent s': octets.length === 64 ? input + withOtherS(octets).toString('base64url') : token,
  }
  return Object.fromEntries(Object.entries(other).filter(([, text]) => text !== token))
}

/** Returns another last digit that decodes to the same octets, if there is one. */
function withStrayBits(text: string, octets: Buffer): string {
  const others = [...alphabet].map(digit => text.slice(0, -1) + digit).filter(other => other !== text)
  return others.find(other => Buffer.from(other, 'base64url').equals(octets)) ?? text
}

/** The order of P-256 (SEC 2 §2.4.2). */
const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n

/** Converts (r, s) to (r, n − s), which is valid for the same text. */
function withOtherS(signature: Buffer): Buffer {
  const s = order - BigInt(`0x${signature.toString('hex', 32)}`)
  return s < 0n
    ? signature
    : Buffer.concat([signature.subarray(0, 32), Buffer.from(s.toString(16).padStart(64, '0'), 'hex')])
}
