// https URLs: RFC 3986 §3.2.1, RFC 8414 §2, RFC 8707 §2.
import t from 'tap'
import { isHttpsUrl, parseHttpsUrl } from '../../src/core/https-url.ts'

t.test('accepts https URLs', t => {
  for (const text of ['https://a.example', 'https://a.example:8443/b?c=d', 'https://[::1]/', 'https://a.example/@b']) {
    t.equal(parseHttpsUrl(text)?.href, new URL(text).href, text)
    t.ok(isHttpsUrl(text), text)
  }
  t.end()
})

t.test('rejects other values, other schemes and user information', t => {
  const others = ['', 'a.example', '//a.example', 'http://a.example', 'urn:https://a.example', 'https://', 7, null, {}]
  const users = ['https://a@b.example', 'https://a:b@c.example', 'https://:a@b.example']
  for (const value of [...others, undefined, new URL('https://a.example'), ...users]) {
    t.equal(parseHttpsUrl(value), undefined, String(value))
    t.notOk(isHttpsUrl(value), String(value))
  }
  t.end()
})

t.test('rejects as an identifier a URL with a fragment or in another spelling of its beginning', t => {
  for (const text of [
    'https://a.example/#b',
    'https://a.example#',
    'HTTPS://a.example',
    ' https://a.example',
    'https:a',
  ]) {
    t.notOk(isHttpsUrl(text), text)
    t.ok(parseHttpsUrl(text), `control: ${text} is a URL`)
  }
  t.end()
})
