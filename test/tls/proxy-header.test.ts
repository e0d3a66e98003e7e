// Headers of the PROXY protocol, versions 1 and 2: which client they name, where they end, and which are invalid.
import fc from 'fast-check'
import t from 'tap'
import { type HeaderFinding, longestHeader, parseProxyHeader } from '../../src/tls/proxy-header.ts'
import { addresses4, addresses6, buildHeader } from '../helpers/tls/proxy-header.ts'

const client4 = { address: '192.0.2.1', port: 56_324 }
const client6 = { address: '2001:db8::1', port: 56_324 }
const line = (rest: string) => Buffer.from(`PROXY ${rest}\r\n`, 'latin1')
const hello = Buffer.from('160301', 'hex')

const valid: readonly [name: string, header: Buffer, client: object | undefined][] = [
  ['TCP4', line('TCP4 192.0.2.1 198.51.100.1 56324 443'), client4],
  ['TCP6', line('TCP6 2001:DB8:0:0:0:0:0:1 2001:db8::2 56324 443'), client6],
  ['TCP6 with mapped addresses', line('TCP6 ::ffff:192.0.2.1 ::ffff:198.51.100.1 56324 443'), client4],
  ['UNKNOWN', line('UNKNOWN'), undefined],
  ['UNKNOWN with anything behind it', line('UNKNOWN ffff:f::1 any thing 0'), undefined],
  ['the smallest ports', line('TCP4 192.0.2.1 198.51.100.1 0 0'), { ...client4, port: 0 }],
  ['IPv4', buildHeader(0x21, 0x11, addresses4), client4],
  ['IPv6', buildHeader(0x21, 0x21, addresses6), client6],
  [
    'IPv6 with mapped addresses',
    buildHeader(0x21, 0x21, addresses6, Buffer.alloc(0), '00000000000000000000ffffc0000201'),
    client4,
  ],
  ['unknown fields', buildHeader(0x21, 0x11, addresses4, Buffer.from('e00003010203040000', 'hex')), client4],
  ['a field without a value', buildHeader(0x21, 0x11, addresses4, Buffer.from('e00000', 'hex')), client4],
  ['LOCAL', buildHeader(0x20, 0x00), undefined],
  ['LOCAL with addresses, which are ignored', buildHeader(0x20, 0x11, addresses4), undefined],
  ['LOCAL with a family that does not exist', buildHeader(0x20, 0xff, Buffer.alloc(7)), undefined],
  ['PROXY without addresses', buildHeader(0x21, 0x00), undefined],
  ['a Unix socket', buildHeader(0x21, 0x31, Buffer.alloc(216)), undefined],
  ['the longest header', buildHeader(0x21, 0x11, addresses4, field(0xe0, longestHeader - 16 - 12 - 3)), client4],
]

const invalid: readonly [name: string, octets: Buffer, problem: RegExp][] = [
  ['another protocol', line('UDP4 192.0.2.1 198.51.100.1 1 2'), /protocol/],
  ['no protocol', Buffer.from('PROXY \r\n'), /protocol/],
  ['an IPv6 address for TCP4', line('TCP4 2001:db8::1 198.51.100.1 1 2'), /address/],
  ['an IPv4 address for TCP6', line('TCP6 192.0.2.1 2001:db8::1 1 2'), /address/],
  ['an octal address', line('TCP4 192.0.2.010 198.51.100.1 1 2'), /address/],
  ['an address with a zone', line('TCP6 fe80::1%eth0 fe80::2 1 2'), /address/],
  ['two spaces', line('TCP4  192.0.2.1 198.51.100.1 1 2'), /address/],
  ['a space at the end', line('TCP4 192.0.2.1 198.51.100.1 1 2 '), /ports/],
  ['a port that is too large', line('TCP4 192.0.2.1 198.51.100.1 65536 2'), /ports/],
  ['a port with a leading zero', line('TCP4 192.0.2.1 198.51.100.1 01 2'), /ports/],
  ['a port in hexadecimal', line('TCP4 192.0.2.1 198.51.100.1 0x1 2'), /ports/],
  ['one port', line('TCP4 192.0.2.1 198.51.100.1 1'), /ports/],
  ['LF alone', Buffer.from('PROXY TCP4 192.0.2.1 198.51.100.1 1 2\n'), /CR LF/],
  ['a line without end', Buffer.alloc(107, 'PROXY UNKNOWN '), /longer than 107/],
  ['version 1 in version 2', buildHeader(0x11, 0x11, addresses4), /version/],
  ['an unknown command', buildHeader(0x22, 0x11, addresses4), /command/],
  ['UDP', buildHeader(0x21, 0x12, addresses4), /transport/],
  ['an unknown family', buildHeader(0x21, 0x41, addresses4), /family/],
  ['too few addresses', buildHeader(0x21, 0x11, addresses4.subarray(1)), /too short/],
  ['IPv6 with the addresses of IPv4', buildHeader(0x21, 0x21, addresses4), /too short/],
  ['a field that is cut off', buildHeader(0x21, 0x11, addresses4, Buffer.from('e000', 'hex')), /cut off/],
  ['a field longer than the header', buildHeader(0x21, 0x11, addresses4, Buffer.from('e0ffff01', 'hex')), /longer/],
  ['a wrong checksum', buildHeader(0x21, 0x11, addresses4, Buffer.from('03000400000000', 'hex')), /checksum is wrong/],
  ['a short checksum', buildHeader(0x21, 0x11, addresses4, Buffer.from('030003000000', 'hex')), /four octets/],
  ['two checksums', buildHeader(0x21, 0x11, addresses4, Buffer.concat([checksumFor(), checksumFor()])), /checksum/],
  ['a header that is too long', buildHeader(0x21, 0x11, addresses4, field(0xe0, longestHeader)), /longer than 4096/],
]

function field(type: number, length: number): Buffer {
  const head = Buffer.from([type, length >> 8, length & 0xff])
  return Buffer.concat([head, Buffer.alloc(length)])
}

function checksumFor(): Buffer {
  return Buffer.from('03000400000000', 'hex')
}

/** Parses octet by octet, as they may arrive. */
function parseInPieces(octets: Buffer): HeaderFinding {
  for (let length = 1; ; length++) {
    const finding = parseProxyHeader(octets.subarray(0, length))
    if (finding.kind !== 'incomplete' || length >= octets.length) return finding
  }
}

t.test('finds the client and the end of each valid header, whatever follows', t => {
  for (const [name, header, client] of valid) {
    const expected = { kind: 'complete', length: header.length, client }
    t.same(parseProxyHeader(header), expected, name)
    t.same(parseProxyHeader(Buffer.concat([header, hello])), expected, `${name}, with octets behind it`)
    t.same(parseProxyHeader(Buffer.concat([header, header])), expected, `${name}, twice`)
    t.same(parseInPieces(header), expected, `${name}, in pieces`)
  }
  t.end()
})

t.test('says what is wrong with an invalid header, however it arrives', t => {
  for (const [name, octets, problem] of invalid) {
    t.match(parseProxyHeader(octets), { kind: 'invalid', problem }, name)
    t.match(parseInPieces(octets), { kind: 'invalid', problem }, `${name}, in pieces`)
  }
  t.end()
})

t.test('verifies the checksum over the whole header', t => {
  // Written by HAProxy 2.6 with proxy-v2-options crc32c,unique-id, for a connection from 127.0.0.1, port 55562.
  const header = Buffer.from('0d0a0d0a000d0a515549540a211100167f0000017f000001d90a426903000488b910a8050000', 'hex')
  t.match(parseProxyHeader(header), { kind: 'complete', client: { address: '127.0.0.1', port: 55_562 } })
  const isField = (at: number) => at === 28 // its type: then it is an unknown field
  for (let at = 12; at < header.length; at++) {
    const changed = Buffer.from(header)
    changed[at] = (changed[at] ?? 0) ^ 1
    const { kind } = parseProxyHeader(changed)
    if (!isField(at)) t.match(kind, /^in/, `octet ${at} was changed`)
  }
  t.end()
})

t.test('never takes other octets for a header', t => {
  for (const text of ['GET / HTTP/1.1\r\n', 'proxy TCP4 ', 'PROXYTCP4', ' PROXY', '\r\n\r\nGET', '\x16\x03\x01', '\0'])
    t.same(parseProxyHeader(Buffer.from(text, 'latin1')), { kind: 'missing' }, JSON.stringify(text))
  t.same(parseProxyHeader(Buffer.from('PROX')), { kind: 'incomplete' })
  t.same(parseProxyHeader(Buffer.from('\r\n\r\n')), { kind: 'incomplete' })
  t.end()
})

t.test('decides about any octets behind a signature without an exception', t => {
  const starts = fc.constantFrom('PROXY ', 'PROXY TCP4 ', '\r\n\r\n\0\r\nQUIT\n', '\r\n\r\n\0\r\nQUIT\n\x21\x11')
  fc.assert(
    fc.property(starts, fc.uint8Array({ maxLength: 300 }), (start, rest) => {
      const octets = Buffer.concat([Buffer.from(start, 'latin1'), rest])
      const finding = parseProxyHeader(octets)
      return finding.kind !== 'complete' || finding.length <= octets.length
    }),
    { numRuns: 500 },
  )
  t.end()
})
