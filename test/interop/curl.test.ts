// curl as a client. Requests of one invocation share a connection; two invocations never do.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { startTestServer } from '../../src/testing/server.ts'
import { run, writePki } from '../helpers/client/peers.ts'

t.setTimeout(60_000) // many processes, each slow to start on a busy machine
const server = await startTestServer({ env: { TLSBOUND_UNSAFE_TOKEN_COOKIE: 'on' } })
t.teardown(() => server.close())
const folder = writePki(t, server)
const versions = ['--http1.1', '--http2'] as const

/** Runs curl as `who`; returns each response with its status, the number of connections and the HTTP version. */
async function curl(t: Test, who: string | null, ...args: readonly string[]) {
  const identity = who === null ? [] : ['--cert', `${who}.crt`, '--key', `${who}.key`]
  const report = ['--write-out', '\n#%{http_code} %{num_connects} %{http_version}\n']
  const common = ['--silent', '--show-error', '--noproxy', '*', '--cacert', 'ca.crt', ...identity, ...report]
  const all = args.flatMap(argument => (argument === '--next' ? ['--next', ...common] : [argument]))
  const output = await run(t, 'curl', ['--disable', ...common, ...all], { cwd: folder })
  if (output.status !== 0) throw new Error(`curl failed: ${output.all}`)
  return [...output.stdout.matchAll(/(.*)\n#(\d+) (\d+) ([\d.]+)\n/g)].map(([, body = '', status, connects, http]) => ({
    status: Number(status),
    connects: Number(connects),
    http,
    body: JSON.parse(body),
  }))
}

const url = (path: string) => `${server.origin}${path}`
const tokenForm = ['--data', 'grant_type=client_credentials', '--data', 'client_id=alice']
const bearer = (token: string) => ['--header', `Authorization: Bearer ${token}`]

for (const version of versions) {
  const http = version === '--http2' ? '2' : '1.1'

  t.test(`rejects a connection-bound token in the next invocation of curl ${version} (CB01, CB02)`, async t => {
    const [issued] = await curl(t, 'alice', version, ...tokenForm, url('/oauth/token'))
    t.match(issued, { status: 200, http, body: { token_type: 'Bearer', token_binding: 'connection' } })
    const token = issued?.body.access_token
    for (const [who, reason] of [
      ['alice', 'connection_mismatch'],
      ['bob', 'certificate_mismatch'],
      ['mallory', 'certificate_mismatch'],
      ['stranger', 'certificate_untrusted'],
      [null, 'no_certificate'],
    ] as const)
      t.match(await curl(t, who, version, ...bearer(token), url('/api/whoami')), [
        { status: 401, http, body: { error: 'invalid_token', reason } },
      ])
  })

  t.test(
    `accepts a certificate-bound token in the next invocation of the same client with curl ${version}`,
    async t => {
      const form = [...tokenForm, '--data', 'token_binding=certificate']
      const [issued] = await curl(t, 'alice', version, ...form, url('/oauth/token'))
      t.match(issued, { status: 200, body: { token_binding: 'certificate' } })
      const use = [version, ...bearer(issued?.body.access_token), url('/api/whoami')]
      t.match(await curl(t, 'alice', ...use), [
        { status: 200, body: { client_id: 'alice', token_binding: 'certificate' } },
      ])
      t.match(await curl(t, 'bob', ...use), [{ status: 401, body: { reason: 'certificate_mismatch' } }])
    },
  )

  t.test(`shares a connection and its bindings within one invocation of curl ${version}`, async t => {
    const [first, second] = await curl(t, 'alice', version, url('/binding'), '--next', version, url('/binding'))
    t.match(first, {
      status: 200,
      connects: 1,
      http,
      body: { protocol: 'TLSv1.3', certificate: { subject: 'CN=alice' } },
    })
    t.match(second, { status: 200, connects: 0, http })
    t.same(second?.body, first?.body)
    const [other] = await curl(t, 'alice', version, url('/binding'))
    t.not(other?.body.bindings['tls-exporter'], first?.body.bindings['tls-exporter'])
  })

  t.test(`accepts a connection-bound token as a cookie within one invocation of curl ${version}`, async t => {
    const login = url('/demo/token-cookie?client_id=alice')
    const answers = await curl(t, 'alice', version, '--cookie', '', login, url('/api/whoami'))
    t.match(answers, [
      { status: 200, connects: 1, body: { token_binding: 'connection' } },
      { status: 200, connects: 0, body: { client_id: 'alice', token_binding: 'connection' } },
    ])
    t.equal(answers[0]?.body.access_token, undefined, 'the token is only in the cookie')

    const jar = `jar${http}`
    t.match(await curl(t, 'alice', version, '--cookie-jar', jar, login), [{ status: 200 }])
    t.match(
      readFileSync(join(folder, jar), 'utf8'),
      /^#HttpOnly_localhost\tFALSE\t\/\tTRUE\t\d+\t__Host-tlsbound-token\t/m,
    )
    t.match(await curl(t, 'alice', version, '--cookie', jar, url('/api/whoami')), [
      { status: 401, body: { reason: 'connection_mismatch' } },
    ])
  })
}

t.test(
  'answers 421 to a request for another name than in the handshake with curl --connect-to (TS07, N-48)',
  async t => {
    const there = ['--connect-to', `::127.0.0.1:${server.port}`, '--insecure']
    t.match(await curl(t, 'alice', ...there, 'https://a.test/binding'), [{ status: 200 }])
    for (const version of versions)
      t.match(await curl(t, 'alice', version, ...there, '--header', 'Host: b.test', 'https://a.test/binding'), [
        { status: 421, body: { reason: 'malformed_request' } },
      ])
  },
)

t.test('refuses the lower version in the handshake unless it is set, with curl --tlsv1.2 (CB15)', async t => {
  const refused = run(t, 'curl', ['--disable', '-sS', '--insecure', '--tls-max', '1.2', url('/binding')], {
    cwd: folder,
  })
  t.match(await refused, { status: 35, all: /alert protocol version/ })
})
