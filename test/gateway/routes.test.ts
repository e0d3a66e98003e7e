// The list of routes, and the one form of a path that a route is selected by.
import t from 'tap'
import { normalizePath } from '../../src/gateway/path.ts'
import { createRouteTable, parseRoutes } from '../../src/gateway/routes.ts'

const levels = ['certificate', 'proof', 'connection'] as const
const upstream = 'http://127.0.0.1:9000'

/** The routes of a list without problems. */
function parse(...list: readonly object[]) {
  const problems: string[] = []
  const routes = parseRoutes(list, problems, { levels })
  if (problems.length > 0) throw new Error(problems.join('\n'))
  return routes
}

t.test('a path has one normal form', t => {
  const forms = {
    '/': '',
    '/a': '/a',
    '/a/': '/a',
    '/a/b.c/...': '/a/b.c/...',
    "/~u/(x)!$&'*+,=:@-_.": "/~u/(x)!$&'*+,=:@-_.",
    '/%61%2Db/%C3%A9/%20x%3F%23': '/a-b/é/ x?#',
    '/100%25': '/100%',
    '/.well-known/x': '/.well-known/x',
    '/..a/.b/c..': '/..a/.b/c..',
  }
  for (const [path, normal] of Object.entries(forms)) t.equal(normalizePath(path), normal, path)
  t.end()
})

t.test('refuses a path that gateway and upstream could read differently (GW03)', t => {
  const wrong = {
    'an empty segment': ['//', '//evil', '/a//b', '/a//', '///'],
    'an encoded slash or backslash': ['/a%2fb', '/a%2Fb', '/%2f', '/a%5cb', '/a%5C..%5cb', '/%2e%2e%2fb'],
    'a dot segment': ['/.', '/..', '/a/..', '/a/../b', '/./a', '/%2e', '/%2E%2e/a', '/.%2e/a', '/a/%2e./', '/a/.%2E'],
    'a character that must be percent-encoded, or a semicolon': [
      '/a\\b',
      '/a;b',
      '/a;/b',
      '/..;/b',
      '/a[b',
      '/a"b',
      '/a|b',
      '/a^',
      '/a`',
      '/{a}',
      '/é',
      '/a\0',
      '/a b',
      '/a#b',
      '/a?b',
    ],
    'an encoded control character or semicolon': ['/a%00', '/%0d%0aX:y', '/%7f', '/a%3bb', '/%C2%85'],
    'a percent-encoding that is encoded again': ['/%2561', '/%252e%252e/a', '/a%252fb', '/%25%36%31'],
    'a percent sign that begins no code of UTF-8': [
      '/%',
      '/%2',
      '/%zz',
      '/%ff',
      '/%c0%af',
      '/%c0%ae%c0%ae',
      '/%ed%a0%80',
    ],
  }
  for (const [found, paths] of Object.entries(wrong))
    for (const path of paths)
      t.throws(
        () => normalizePath(path),
        { message: new RegExp(`The path can be read in several ways: it has ${found}`) },
        path,
      )
  t.end()
})

t.test('selects the longest path at the boundary of a segment, and the host before none', t => {
  const table = createRouteTable(
    parse(
      { path: '/', upstream },
      { path: '/a/', upstream },
      { path: '/a/b', upstream },
      { path: '/a/b', host: 'one.example', upstream },
      { path: '/caf%C3%A9', upstream, strip_path: true },
      { path: '/q%3F%23%5B', upstream },
      { path: '/', host: '[::1]', upstream },
    ),
  )
  const rows = [
    ['x', '/', '/', '/'],
    ['x', '/ab', '/', '/ab'],
    ['x', '/a', '/a/', '/a'],
    ['x', '/a/', '/a/', '/a/'],
    ['x', '/a/%63', '/a/', '/a/%63'],
    ['x', '/%61b', '/', '/%61b'],
    ['x', '/q%3f%23%5b/%40', '/q%3F%23%5B', '/q%3f%23%5b/%40'],
    ['x', '/a/bc', '/a/', '/a/bc'],
    ['x', '/a/b/c', '/a/b', '/a/b/c'],
    ['ONE.example.:8443', '/a/b/c', 'one.example/a/b', '/a/b/c'],
    ['one.example', '/a/c', '/a/', '/a/c'],
    ['[0:0::1]:1', '/x', '[::1]/', '/x'],
    ['x', '/caf%c3%A9/%C3%A9', '/caf%C3%A9', '/%C3%A9'],
  ] as const
  for (const [host, path, name, rest] of rows)
    t.match(table.find(host, path), { route: { name }, rest }, `${host} ${path}`)
  for (const path of ['/A', '/A/b', '/a/B/c', '/CAF%C3%89'])
    t.throws(() => table.find('x', path), { message: /upper or lower case/ }, `${path} in another case`)
  for (const path of ['/%61', '/%61/c', '/a/%62', '/a/%62/c', '/caf%C3%A9'.replace('c', '%63')])
    t.throws(() => table.find('x', path), { message: /needlessly percent-encoded/ }, `${path}, encoded`)
  t.match(table.find('x', '/a/C'), { route: { name: '/a/' } }, 'control')
  t.equal(createRouteTable(parse({ path: '/a', upstream })).find('x', '/b'), undefined)
  t.end()
})

t.test('accepts every member', t => {
  const [whole] = parse({
    ...{ path: '/a', host: 'a.example', upstream: 'https://127.0.0.1:1', scope: 'a b', binding: 'proof', timeout: 1 },
    ...{ proof: 'per-request', methods: ['GET'], strip_path: true, keep_authorization: true, identity_fields: true },
    ...{ client_cert: true, ca_file: 'a', cert_file: 'b', key_file: 'c' },
  })
  t.match(whole, {
    ...{ name: 'a.example/a', host: 'a.example', path: '/a', timeout: 1, stripPath: true, keepAuthorization: true },
    ...{ identityFields: true, clientCert: true, caFile: 'a', certFile: 'b', keyFile: 'c' },
    demand: { scope: 'a b', binding: 'proof', proof: 'per-request' },
    upstream: { text: 'https://127.0.0.1:1', isTls: true, at: { host: '127.0.0.1', port: 1 } },
  })
  const [least] = parse({ path: '/', upstream: 'unix:/run/a.sock' })
  t.match(least, { path: '', demand: {}, upstream: { at: { path: '/run/a.sock' } }, stripPath: false, timeout: 60 })
  t.match(parse({ path: '/', upstream, public: true }), [{ demand: undefined }])
  t.match(parse({ path: '/', upstream: 'http://[::1]' }), [{ upstream: { at: { host: '::1', port: 80 } } }])
  t.end()
})

t.test('names each problem of a list with the number of its route', t => {
  const rows: readonly (readonly [unknown, RegExp])[] = [
    [{}, /number 1: path must.*\n.*number 1: upstream must/],
    [null, /number 1: must be a JSON object/],
    ...['a', '', '/a//b', '/../a', '/%2f', 1].map(path => [{ path, upstream }, /path must/] as const),
    ...['A.example', 'a.example:1', '', 'a..b', 'a/b', 1].map(
      host => [{ path: '/', host, upstream }, /host must/] as const,
    ),
    ...[
      'ftp://a',
      'http://a/b',
      'http://a?b',
      'http://u@a',
      'http://a#b',
      'unix:a',
      'http://',
      'a',
      'http://a\n',
      1,
    ].map(wrong => [{ path: '/', upstream: wrong }, /upstream must/] as const),
    ...[['get'], ['CONNECT'], ['TRACE'], [], 'GET', ['A B']].map(
      methods => [{ path: '/', upstream, methods }, /methods must/] as const,
    ),
    ...['public', 'strip_path', 'keep_authorization', 'identity_fields', 'client_cert'].map(
      name => [{ path: '/', upstream, [name]: 'true' }, new RegExp(`${name} must be true or false`)] as const,
    ),
    [{ path: '/', upstream, scope: 'a  b' }, /scope must/],
    [{ path: '/', upstream, binding: 'bearer' }, /binding must/],
    [{ path: '/', upstream, proof: true }, /proof must/],
    [{ path: '/', upstream, public: true, scope: 'a' }, /public route verifies no token/],
    ...[0, 1.5, '1', 86_401].map(timeout => [{ path: '/', upstream, timeout }, /timeout must/] as const),
    [{ path: '/', upstream, ca_file: 'a' }, /only an https upstream/],
    [{ path: '/', upstream: 'https://a', cert_file: 'a' }, /belong together/],
    [{ path: '/', upstream, scopes: 'a' }, /unknown member "scopes"; did you mean scope\?/],
  ]
  for (const [entry, expected] of rows)
    t.throws(() => parse(entry as object), { message: expected }, JSON.stringify(entry))
  const certificate = { levels: ['certificate', 'proof'] as const }
  const problems: string[] = []
  parseRoutes([{ path: '/', upstream, binding: 'connection' }], problems, certificate)
  t.match(problems, [/only on the listener of the issuer: set TLSBOUND_GATEWAY_FILE/])
  t.throws(
    () => parse({ path: '/a', upstream }, { path: '/A/', upstream }),
    /have the same host and path, apart from case/,
  )
  for (const list of [{}, [], 'x', new Array(1001).fill({ path: '/', upstream })]) {
    const found: string[] = []
    parseRoutes(list, found, { levels })
    t.match(found, [/must be a JSON array/])
  }
  t.end()
})
