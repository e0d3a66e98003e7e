// `tlsbound token` and `tlsbound call` as processes against a real server: results, streams and exit codes.
// CF02, GW07, GW08, GW11, LK14.
import { join } from 'node:path'
import t from 'tap'
import { command as call } from '../../src/cli/call.ts'
import { type Command, UsageError, type Values } from '../../src/cli/command.ts'
import { command as inspect } from '../../src/cli/inspect.ts'
import { command as token } from '../../src/cli/token.ts'
import { findFreePort } from '../../src/testing/free-port.ts'
import { as, runCommand } from '../helpers/client/client-command.ts'
import { startTlsbound } from '../helpers/process/process.ts'

t.setTimeout(120_000) // each call is a process
const folder = t.testdir({ elsewhere: {} })
// A shell for clients may also start a server, so the variables of clients are valid there.
const server = await startTlsbound(t, folder, { TLSBOUND_CLIENT_ID: 'alice', TLSBOUND_CERT_FILE: 'none.crt' })
const origin = `https://localhost:${server.port}`
const elsewhere = join(folder, 'elsewhere')
const demoLine = /^Using certs\/ca\.crt, certs\/alice\.crt and certs\/alice\.key of the demo\.\n/

t.test('token prints only a token on stdout, and on stderr correctly where it can be used', async t => {
  const alice = await server.connect('alice')
  const bob = await server.connect('bob')
  const again = await server.connect('alice')
  const get = async (level: string, ...more: string[]) => {
    const { code, stdout, stderr } = await runCommand(t, ['token', origin, '--binding', level, ...more], {
      cwd: folder,
    })
    t.match({ code, stdout, stderr }, { code: 0, stdout: /^eyJ[\w-]+\.[\w-]+\.[\w-]+\n$/, stderr: demoLine }, level)
    t.match(stderr, new RegExp(`\\nLevel ${level}: valid (?:only )?on `), level)
    return { value: stdout.trim(), stderr }
  }
  const mine = await get('certificate', '--scope', 'notes:read')
  t.match(mine.stderr, /certs\/alice\.crt/)
  for (const connection of [alice, again]) t.match(await connection.get('/api/whoami', mine.value), { status: 200 })
  t.match(await bob.get('/api/whoami', mine.value), { status: 401, body: { reason: 'certificate_mismatch' } })
  t.match((await alice.get('/api/whoami', mine.value)).body, { scope: 'notes:read', token_binding: 'certificate' })

  const bound = await get('connection')
  t.match(bound.stderr, /is closed.* tlsbound call .* tlsbound sidecar /)
  t.match(await alice.get('/api/whoami', bound.value), { status: 401, body: { reason: 'connection_mismatch' } })

  const proven = await get('proof')
  t.match(await alice.get('/api/whoami', proven.value), { status: 401, body: { reason: 'proof_missing' } })
  t.match(await alice.get('/api/whoami', proven.value, alice.prove(proven.value)), { status: 200 })
})

t.test('token --json prints the whole response, with the identity from options or environment', async t => {
  const env = {
    TLSBOUND_CA_FILE: '../certs/ca.crt',
    TLSBOUND_CERT_FILE: '../certs/bob.crt',
    TLSBOUND_KEY_FILE: '../certs/bob.key',
    TLSBOUND_BINDING: 'certificate',
  }
  const { code, stdout, stderr } = await runCommand(t, ['token', origin, '--json'], { cwd: elsewhere, env })
  t.match(
    { code, stderr },
    { code: 0, stderr: /^Level certificate: .*\nThe certificate is / },
    'no message about the demo',
  )
  const answer = JSON.parse(stdout)
  const expected = {
    token_type: 'Bearer',
    expires_in: 300,
    scope: 'notes:read notes:write',
    token_binding: 'certificate',
  }
  t.match(answer, expected)
  const bob = await server.connect('bob')
  t.match(await bob.get('/api/whoami', answer.access_token), { status: 200, body: { client_id: 'bob' } })
})

t.test('exits with 1 and one line with the issuer’s reason when it refuses (OA01, GW08)', async t => {
  const args = ['token', origin, '--scope', 'admin', ...as('alice')]
  const { code, stdout, stderr } = await runCommand(t, args, { cwd: folder })
  t.match({ code, stdout, stderr }, { code: 1, stdout: '', stderr: /^tlsbound: [^\n]+ scope_denied\.[^\n]+\n$/ })

  const path = (name: string) => join(folder, 'certs', name)
  const files = (who: string) => ({ ca: path('ca.crt'), cert: path(`${who}.crt`), key: path(`${who}.key`) })
  const alice = files('alice')
  const url = `${origin}/api/whoami`
  const nobody = `https://localhost:${await findFreePort()}`
  const rows: [Command, Values, string, RegExp][] = [
    [token, files('mallory'), origin, /unknown_client/],
    [token, { ...alice, 'client-id': 'bob' }, origin, /client_mismatch/],
    [token, { ...alice, resource: 'https://other.example' }, origin, /target_unknown/],
    [token, alice, `${origin}/`, /issuer/],
    [token, { ...alice, ca: path('stranger.crt') }, origin, /certificate/],
    [token, { ...alice, key: path('bob.key') }, origin, /private key/],
    [token, { ...alice, key: path('none.key') }, origin, /ENOENT/],
    [token, alice, nobody, /ECONNREFUSED/],
    [call, { ...alice, scope: 'admin' }, url, /scope_denied/],
    [call, { ...alice, ca: path('stranger.crt') }, url, /certificate/],
    [call, { ...alice, issuer: nobody }, url, /ECONNREFUSED/],
    [call, alice, nobody, /ECONNREFUSED/],
  ]
  for (const [command, values, word, says] of rows)
    await t.rejects(async () => command.run(values, [word]), { message: says }, `${word} ${says}`)
})

t.test('no environment variable makes an untrusted server accepted (CF02, GW08)', async t => {
  const env = { NODE_TLS_REJECT_UNAUTHORIZED: '0' }
  const get = (...args: string[]) => runCommand(t, ['token', origin, ...as('alice'), ...args], { cwd: folder, env })
  t.match(await get(), { code: 0 }, 'control')
  t.match(await get('--ca', 'certs/stranger.crt'), { code: 1, stdout: '', stderr: /certificate/ })
})

t.test('exits with 2 for wrong usage, names what is missing, and sends nothing', async t => {
  const url = `${origin}/api/whoami`
  const here = process.cwd()
  t.teardown(() => process.chdir(here))
  process.chdir(elsewhere)
  const files = { ca: 'a', cert: 'b', key: 'c' }
  const rows: [Command, Values, string[], RegExp][] = [
    [token, files, [], /issuer/],
    [token, files, [origin, origin], /issuer/],
    [token, files, ['http://localhost:8443'], /issuer/],
    [token, { ...files, binding: 'strong' }, [origin], /--binding/],
    [token, {}, [origin], /--ca \(TLSBOUND_CA_FILE\).*--cert \(TLSBOUND_CERT_FILE\).*--key \(TLSBOUND_KEY_FILE\)/],
    [token, { ca: 'a', key: 'c' }, [origin], /^--cert \(TLSBOUND_CERT_FILE\) is missing$/],
    [call, files, [], /https URL/],
    [call, files, ['localhost:8443/api'], /https URL/],
    [call, files, ['http://localhost/'], /https URL/],
    [call, files, ['https://alice:secret@localhost/'], /https URL/],
    [call, { ...files, issuer: 'http://localhost' }, [url], /--issuer/],
    [call, { ...files, request: 'CONNECT' }, [url], /-X/],
    [call, { ...files, request: 'GET /' }, [url], /-X/],
    [call, list(files, { header: ['Authorization: Bearer x'] }), [url], /Authorization/],
    [call, list(files, { header: ['session-binding-proof: x'] }), [url], /session-binding-proof/],
    [call, list(files, { header: ['Host: evil.example'] }), [url], /Host/],
    [call, list(files, { header: ['no header'] }), [url], /-H/],
    [call, list(files, { header: ['b ad: 1'] }), [url], /-H/],
    [call, list(files, { data: ['a'], json: ['{}'] }), [url], /--data and --json/],
    [inspect, files, [], /token/],
    [inspect, files, ['a.b.c', 'd'], /token/],
    [inspect, { cert: 'b' }, ['e30.e30.e30'], /--ca.*--key/],
    [inspect, { issuer: 'localhost' }, ['e30.e30.e30'], /--issuer/],
  ]
  for (const [command, values, words, says] of rows) {
    const name = `${JSON.stringify(values)} ${words}`
    await t.rejects(async () => command.run(values, words), { constructor: UsageError, message: says }, name)
  }
  const { code, stdout, stderr } = await runCommand(t, ['call', url, '-H', 'Authorization: Bearer x'], { cwd: folder })
  t.match(
    { code, stdout, stderr },
    { code: 2, stdout: '', stderr: /^tlsbound: -H Authorization.*\nsee tlsbound call --help\n$/ },
  )
})

/** Builds repeatable options as util.parseArgs returns them. */
function list(values: Values, lists: Readonly<Record<string, readonly string[]>>): Values {
  return { ...values, ...(lists as unknown as Values) }
}
