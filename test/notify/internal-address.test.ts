// Internal addresses in every spelling, and names that resolve to one. SSRF; RFC 6890.
import type { LookupAddress } from 'node:dns'
import type { LookupFunction } from 'node:net'
import t from 'tap'
import { InternalAddress, isInternal, isInternalHost, refuseInternal } from '../../src/notify/internal-address.ts'

const internal = [
  ...['0.0.0.0', '0.1.2.3', '10.1.2.3', '100.64.0.1', '100.127.255.255', '127.0.0.1', '127.255.255.254'],
  ...['169.254.169.254', '172.16.0.1', '172.31.255.255', '192.0.0.8', '192.0.2.1', '192.88.99.1', '192.168.1.1'],
  ...[
    '198.18.0.1',
    '198.19.255.255',
    '198.51.100.1',
    '203.0.113.1',
    '224.0.0.1',
    '239.1.1.1',
    '240.0.0.1',
    '255.255.255.255',
  ],
  ...['::', '::1', '::ffff:127.0.0.1', '::ffff:7f00:1', '::ffff:8.8.8.8', '::127.0.0.1', '::7f00:1', '64:ff9b::7f00:1'],
  ...[
    '64:ff9b::169.254.169.254',
    '64:ff9b:1::1',
    '100::1',
    '2001::1',
    '2001:0:7f00:1::',
    '2001:db8::1',
    '2002:7f00:1::',
  ],
  ...[
    '3fff::1',
    '5f00::1',
    'fc00::1',
    'fd12:3456:789a::1',
    'fd00:ec2::254',
    'fe80::1',
    'fe80::1%lo',
    'fec0::1',
    'ff02::1',
  ],
  ...['', 'localhost', '127.1', '2130706433', '0x7f000001', '1.2.3.4.5'],
]
const reachable = [
  ...[
    '1.1.1.1',
    '8.8.8.8',
    '9.255.255.255',
    '11.0.0.0',
    '100.63.255.255',
    '100.128.0.0',
    '126.255.255.255',
    '128.0.0.0',
  ],
  ...[
    '169.253.255.255',
    '169.255.0.0',
    '172.15.255.255',
    '172.32.0.0',
    '192.167.255.255',
    '192.169.0.0',
    '223.255.255.255',
  ],
  ...['2600::1', '2001:4860:4860::8888', '2606:4700:4700::1111', '2a00:1450:4001:82a::200e', '3ffe::1'],
]

t.test('treats an address as internal unless it is a single globally reachable host', t => {
  for (const address of internal) t.equal(isInternal(address), true, address)
  for (const address of reachable) t.equal(isInternal(address), false, address)
  t.end()
})

t.test('detects an internal address in every spelling of a URL', t => {
  for (const host of [
    ...[
      '127.0.0.1',
      '127.1',
      '2130706433',
      '0x7f000001',
      '0x7f.1',
      '017700000001',
      '127.0.0.1.',
      '①②⑦.⓪.⓪.①',
      '%31%32%37.1',
    ],
    ...[
      '[::1]',
      '[0:0:0:0:0:0:0:1]',
      '[::ffff:127.0.0.1]',
      '[::ffff:7f00:1]',
      '[::127.0.0.1]',
      '169.254.169.254',
      '0xa9fea9fe',
    ],
    ...['[64:ff9b::a9fe:a9fe]', '0', '0.0.0.0', '10.0.0.1'],
  ])
    t.equal(isInternalHost(new URL(`https://${host}/`)), true, host)
  for (const host of ['8.8.8.8', '134744072', '[2600::1]', 'localhost', 'hooks.example', '127.0.0.1.example'])
    t.equal(isInternalHost(new URL(`https://${host}/`)), false, host) // a name is checked when it is resolved
  t.end()
})

t.test('rejects a name if any of its addresses is internal, and resolves others unchanged', t => {
  const ask = (found: string | LookupAddress[]) => {
    const answers: [NodeJS.ErrnoException | null, unknown, unknown][] = []
    const resolver: LookupFunction = (_name, _options, callback) => callback(null, found, 4)
    refuseInternal(resolver)('hooks.example', {}, (error, address, family) => answers.push([error, address, family]))
    return answers
  }
  const all = (...addresses: string[]) => addresses.map(address => ({ address, family: address.includes(':') ? 6 : 4 }))
  t.same(ask('8.8.8.8'), [[null, '8.8.8.8', 4]])
  t.same(ask(all('8.8.8.8', '2600::1')), [[null, all('8.8.8.8', '2600::1'), 4]])
  for (const found of [
    '127.0.0.1',
    '::ffff:127.0.0.1',
    all('8.8.8.8', '127.0.0.1'),
    all('::1', '2600::1'),
    all('fe80::1%lo'),
  ]) {
    const [[error, address] = []] = ask(found)
    t.type(error, InternalAddress)
    t.same(address, [])
  }
  const failing: LookupFunction = (_name, _options, callback) => callback(new Error('ENOTFOUND'), '')
  refuseInternal(failing)('hooks.example', {}, error => t.match(error, { message: 'ENOTFOUND' }))
  t.end()
})
