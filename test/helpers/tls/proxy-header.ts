// Builds headers of the PROXY protocol, version 2.

/** 192.0.2.1:56324 to 198.51.100.1:443. */
export const addresses4 = Buffer.from('c0000201c6336401dc0401bb', 'hex')

/** 2001:db8::1, port 56324, to 2001:db8::2, port 443. */
export const addresses6 = Buffer.from('20010db800000000000000000000000120010db8000000000000000000000002dc0401bb', 'hex')

/** Builds a header. `source`: an address of 16 octets in place of the first one, in hexadecimal. */
export function buildHeader(
  command: number,
  protocol: number,
  addresses: Buffer = Buffer.alloc(0),
  fields: Buffer = Buffer.alloc(0),
  source = '',
): Buffer {
  const replaced = Buffer.concat([Buffer.from(source, 'hex'), addresses.subarray(source.length / 2)])
  const length = Buffer.alloc(2)
  length.writeUInt16BE(replaced.length + fields.length)
  const start = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1')
  return Buffer.concat([start, Buffer.from([command, protocol]), length, replaced, fields])
}
