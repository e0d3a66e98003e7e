// Ranges of IP addresses, and the normal spelling of an address.
import t from 'tap'
import { normalizeAddress, parseRanges } from '../../src/core/cidr.ts'

t.test('contains exactly the addresses of its ranges', t => {
  const ranges = parseRanges('10.0.0.0/8, 192.0.2.7,2001:db8::/32')
  for (const inside of ['10.0.0.0', '10.255.255.255', '192.0.2.7', '2001:db8::1', '2001:DB8:ffff::', '::ffff:10.1.2.3'])
    t.equal(ranges?.includes(inside), true, inside)
  for (const outside of ['9.255.255.255', '11.0.0.0', '192.0.2.6', '2001:db9::1', '::10.1.2.3', '::ffff:11.0.0.0'])
    t.equal(ranges?.includes(outside), false, outside)
  for (const wrong of [undefined, '', 'unknown', '10.0.0', '10.0.0.1:80'])
    t.equal(ranges?.includes(wrong), false, `${wrong}`)
  t.equal(parseRanges('fe80::/10')?.includes('fe80::1%eth0'), true, 'the zone of a peer is ignored')
  t.end()
})

t.test('writes each address in one spelling', t => {
  const spellings = {
    '2001:DB8:0:0::1': '2001:db8::1',
    '::FFFF:192.0.2.1': '192.0.2.1',
    '::ffff:c000:201': '192.0.2.1',
  }
  for (const [text, normal] of Object.entries(spellings)) t.equal(normalizeAddress(text), normal, text)
  for (const wrong of ['', '192.0.2', '192.0.2.01', 'fe80::1%eth0', 'localhost', '::g'])
    t.equal(normalizeAddress(wrong), undefined, wrong)
  t.end()
})
