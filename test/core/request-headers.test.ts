// Hosts and media types in requests: all spellings of one compare as equal, and malformed ones are rejected. RFC 3986 §3.2.2,
// §3.2.3; RFC 9110 §4.2.3, §5.6.6, §8.3.1.
import fc from 'fast-check'
import t from 'tap'
import { isSameHost, parseAuthority } from '../../src/core/authority.ts'
import { isAsciiOrUtf8, parseMediaType } from '../../src/core/media-type.ts'

t.test('parses every spelling of a host into one form', async t => {
  for (const [text, host, port] of [
    ['localhost', 'localhost', undefined],
    ['LocalHost.', 'localhost', undefined],
    ['localhost:', 'localhost', undefined],
    ['localhost.:8443', 'localhost', 8443],
    ['localhost:00443', 'localhost', 443],
    ['local%68ost%2E', 'localhost', undefined],
    ['a%C3%A9.test', 'a%c3%a9.test', undefined],
    ['xn--bcher-kva.example:65535', 'xn--bcher-kva.example', 65_535],
    ["a_b~c!$&'()*+,;=.test", "a_b~c!$&'()*+,;=.test", undefined],
    ['127.0.0.1:1', '127.0.0.1', 1],
    ['[::1]', '[::1]', undefined],
    ['[0:0:0:0:0:0:0:1]:443', '[::1]', 443],
    ['[2001:DB8::A]', '[2001:db8::a]', undefined],
    ['[::ffff:127.0.0.1]', '[::ffff:7f00:1]', undefined],
    ['[fe80::1%25eth0]:1', '[fe80::1]', 1],
  ] as const)
    t.same(parseAuthority(text), { host, port }, text)
})

t.test('rejects malformed hosts and ports', async t => {
  const texts = [
    '',
    '.',
    '..',
    'a..b',
    '.a',
    'a..',
    ':',
    ':443',
    'a:b',
    'a:1:2',
    'a:65536',
    'a:-1',
    'a:+1',
    'a b',
    'a/b',
    'a?',
  ]
  const more = [
    'u@a',
    'a#',
    'a%',
    'a%2',
    'a%zz',
    '[',
    '[]',
    '[::1',
    '::1',
    '[::g]',
    '[::1]a',
    '[v1.x]',
    '[1.2.3.4]',
    'é',
    'a\0',
    'a\n',
  ]
  for (const text of [...texts, ...more, `${'a'.repeat(600)}`, '[fe80::1%25]', '[fe80::1%eth0]'])
    t.equal(parseAuthority(text), undefined, JSON.stringify(text))
})

t.test('matches a host with itself in any case and with any port, and with no other host', async t => {
  const name = fc.domain()
  const port = fc.oneof(
    fc.constant(''),
    fc.constant(':'),
    fc.integer({ min: 0, max: 65_535 }).map(number => `:${number}`),
  )
  fc.assert(
    fc.property(name, port, fc.boolean(), (host, end, isAbsolute) =>
      isSameHost(`${host.toUpperCase()}${isAbsolute ? '.' : ''}${end}`, host),
    ),
  )
  fc.assert(
    fc.property(name, name, (one, other) => isSameHost(one, other) === (one.toLowerCase() === other.toLowerCase())),
  )
  fc.assert(
    fc.property(fc.string({ maxLength: 600 }), fc.string({ maxLength: 600 }), (one, other) => {
      isSameHost(one, other)
    }),
  )
  for (const [one, other] of [
    ['a.test', 'b.test'],
    ['a.test', 'a.test.b.test'],
    ['[::1]', '127.0.0.1'],
    ['', ''],
    ['a@b', 'a@b'],
  ] as const)
    t.notOk(isSameHost(one, other), `${one} and ${other}`)
})

t.test('parses the essence of a media type, and finds every charset', async t => {
  for (const [text, essence, charsets] of [
    ['text/plain', 'text/plain', []],
    [' Text/PLAIN\t', 'text/plain', []],
    ['a/b;c=d', 'a/b', []],
    ['a/b ; charset=UTF-8', 'a/b', ['utf-8']],
    ['a/b;charset="utf\\-8";x="; charset=utf-7";CHARSET=utf-16', 'a/b', ['utf-8', 'utf-16']],
    ['a/b;', 'a/b', []],
    ['a/b; ;;', 'a/b', []],
    ['a/b;c=""', 'a/b', []],
  ] as const)
    t.same(parseMediaType(text), { essence, charsets }, text)
  for (const text of [
    '',
    'a',
    'a/',
    '/b',
    'a /b',
    'a/ b',
    'a/b c',
    'a/b, c/d',
    'a/b;c',
    'a/b;c=',
    'a/b;c =d',
    'a/b;c= d',
    'a/b;="d"',
    'a/b;c="d',
    'a/b;c="\n"',
    'a/b;c=d e',
    'a/b/c',
  ])
    t.equal(parseMediaType(text), undefined, text)
  for (const charset of ['utf-8', 'utf8', 'us-ascii']) t.ok(isAsciiOrUtf8(charset))
  for (const charset of ['', 'utf-7', 'utf-16', 'utf-16le', 'iso-8859-1', 'windows-1252', 'utf-8 ', 'x'])
    t.notOk(isAsciiOrUtf8(charset))
})
