// The cast of tlsbound lab and its authentication: file names, secrets besides certificates, self-signed certificates,
// all by options or environment; and --strict.
import { cpSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { UsageError, type Values } from '../../src/cli/command.ts'
import { readLabOptions } from '../../src/cli/lab/options.ts'
import { command } from '../../src/cli/lab.ts'
import { clientVariables } from '../../src/cli/variables.ts'
import type { DemoPki } from '../../src/pki/demo.ts'
import { parseSettings } from '../../src/settings/settings.ts'
import { issueCertificate, startTestServer } from '../../src/testing/server.ts'
import { foreignSecret, startForeignServer } from '../helpers/lab/foreign-server.ts'
import { type Environment, runTlsbound } from '../helpers/process/process.ts'
import { register } from '../helpers/tokens/grants.ts'

t.setTimeout(120_000)

/** Creates a folder for --pki. */
function writePki({ ca, server: _, ...others }: DemoPki, more: Readonly<Record<string, string>> = {}): string {
  const files = Object.entries(others).flatMap(([name, { certificate, key }]) => [
    [`${name}.crt`, certificate],
    [`${name}.key`, key],
  ])
  return t.testdir({ ...Object.fromEntries(files), 'ca.crt': ca.certificate, ...more })
}

async function play(args: readonly string[], env?: Environment) {
  const { code, stdout, stderr } = await runTlsbound(['lab', ...args, '--json'], process.cwd(), env)
  const report = stdout === '' ? undefined : JSON.parse(stdout)
  const outcomes = report?.runs.flatMap(({ findings }: { findings: { id: string; outcome: string }[] }) =>
    findings.map(({ id, outcome }) => `${id} ${outcome}`),
  )
  return { code, stdout, stderr, report, outcomes: new Set<string>(outcomes) }
}

for (const authentication of ['client_secret_basic', 'client_secret_post'] as const)
  t.test(`plays with ${authentication} in addition to certificates, against a third-party server`, async t => {
    const server = await startForeignServer({ authentication })
    t.teardown(() => server.close())
    const secrets = {
      'alice.secret': `${foreignSecret('alice')}\n`,
      'bob.secret': foreignSecret('bob'),
      wrong: 'wrong',
    }
    const pki = writePki(server.pki, secrets)
    const where = [server.origin, '--pki', pki, '--resource', server.resource, '--scope', 'notes:read']
    const what = [...where, '--only', 'no-certificate,other-certificate,downgrade,token-elsewhere,other-connection']
    const { code, stdout, outcomes } = await play([...what, '--client-auth', authentication])
    t.equal(code, 0)
    const refused = ['no-certificate', 'other-certificate', 'downgrade', 'token-elsewhere'].map(id => `${id} passed`)
    t.same(outcomes, new Set([...refused, 'other-connection accepted, not promised']))
    t.notOk(stdout.includes('a+secret'), 'the report contains no secret')

    const without = await play([...where, '--only', 'other-certificate', '--client-auth', 'tls_client_auth'])
    t.match(without, { code: 1, outcomes: new Set(['other-certificate not tried']) })
    const wrong = ['--client-auth', authentication, '--client-secret-file', join(pki, 'wrong')]
    t.match(await play([...where, '--only', 'other-certificate', ...wrong]), { code: 1, outcomes: without.outcomes })
  })

t.test('plays with self-signed certificates and custom file names', async t => {
  const anna = issueCertificate({ subject: [['CN', 'anna']] })
  const { tls_client_auth_subject_dn: _, ...rest } = register('anna')
  const jwks = { keys: [{ x5c: [anna.x509.raw.toString('base64')] }] }
  const self = { ...rest, token_endpoint_auth_method: 'self_signed_tls_client_auth', jwks }
  const server = await startTestServer({ clients: [self, register('bob')] })
  t.teardown(() => server.close())
  const key = (identity: { privateKey: { export(form: object): string | Buffer } }) =>
    String(identity.privateKey.export({ type: 'pkcs8', format: 'pem' }))
  const pki = writePki(server.pki, {
    'anna.crt': anna.certificate,
    'anna.key': anna.key,
    'ca.key': key(server.pki.ca),
  })
  for (const [from, to] of ['bob third', 'mallory passer-by', 'stranger other-end'].map(pair => pair.split(' ')))
    for (const kind of ['crt', 'key']) cpSync(join(pki, `${from}.${kind}`), join(pki, `${to}.${kind}`))
  const names = ['--victim', 'anna', '--thief', 'third', '--nobody', 'passer-by', '--stranger', 'other-end']
  const only = ['--only', 'other-certificate,same-subject', '--level', 'certificate', '--http', '1.1']
  const method = ['--client-auth', 'self_signed_tls_client_auth']
  const { code, report, outcomes } = await play([server.origin, '--pki', pki, ...names, ...method, ...only])
  t.equal(code, 0)
  t.same(
    report.identities.map(({ name, client_id }: Record<string, string>) => `${name} ${client_id}`),
    ['anna anna', 'third bob', 'passer-by mallory', 'other-end stranger'],
  )
  const expected = new Set(['other-certificate passed', 'same-subject not tried'])
  t.same(outcomes, expected, 'no authority can issue a second certificate')

  const env = Object.fromEntries(
    Object.entries({
      PKI: pki,
      VICTIM: 'anna',
      CLIENT_AUTH: 'self_signed_tls_client_auth',
      ONLY: 'other-certificate',
    }).map(([name, value]) => [`TLSBOUND_LAB_${name}`, value]),
  )
  t.match(await play([server.origin], { ...env, TLSBOUND_LAB_LEVEL: 'connection', TLSBOUND_LAB_HTTP: '2' }), {
    code: 0,
    report: { identities: [{ name: 'anna' }, { name: 'bob' }, {}, {}], runs: [{ level: 'connection', http: 'h2' }] },
  })

  const strict = [server.origin, '--strict', '--level', 'certificate', '--http', '1.1']
  t.match(await play(strict, env), { code: 0 }, 'control: every scenario could run')
  t.match(await play([...strict, '--only', 'other-certificate,same-subject'], env), {
    code: 1,
    stderr: /1 not tried, which --strict counts as a failure/,
    report: { sums: { failed: 0, passed: 1 } },
  })
})

t.test('reports missing files and unknown methods in one line', async t => {
  const server = await startTestServer()
  t.teardown(() => server.close())
  const pki = writePki(server.pki)
  writeFileSync(join(pki, 'empty'), '\n')
  const post = { 'client-auth': 'client_secret_post' }
  const empty = { 'client-secret-file': join(pki, 'empty') }
  const problems: readonly (readonly [RegExp, Values, boolean?])[] = [
    [/anna.crt: there is no such file \(ENOENT\)/, { victim: 'anna' }],
    [/anna.crt: there is no such file \(ENOENT\)/, { thief: 'anna' }],
    [/alice.secret: there is no such file/, post],
    [/the first line is empty/, { ...post, ...empty }],
    [/--client-secret-file requires --client-auth/, empty, true],
    [/--client-auth must be one of/, { 'client-auth': 'private_key_jwt' }, true],
  ]
  for (const [words, values, isUsage = false] of problems) {
    const play = async () => command.run({ pki, ...values }, [server.origin])
    const error = await play().catch(error => error)
    t.match(error.message, words)
    t.equal(error instanceof UsageError, isUsage, String(words))
  }
})

t.test('each option has a variable, which a server accepts in its environment', async t => {
  const env = { TLSBOUND_LAB_LEVEL: 'connection', TLSBOUND_LAB_STRICT: 'on', TLSBOUND_LAB_GENTLE: 'off' }
  t.match(readLabOptions({}, env), { level: 'connection', strict: true, gentle: false })
  t.match(readLabOptions({ level: 'proof' }, env), { level: 'proof' }, 'an option takes precedence over its variable')
  t.throws(() => readLabOptions({}, { TLSBOUND_LAB_STRICT: 'yes' }), /TLSBOUND_LAB_STRICT must be on or off/)
  const variables = command.options.flatMap(({ name, variable }) => (variable === undefined ? [] : [[name, variable]]))
  t.equal(variables.length, command.options.length - 2, 'every option except --list and --explain has a variable')
  t.ok(variables.every(([, variable = '']) => clientVariables.includes(variable)))
  const server = Object.fromEntries(variables.map(([, variable]) => [variable, 'x']))
  t.doesNotThrow(() => parseSettings(server, clientVariables))
  t.throws(() => parseSettings({ TLSBOUND_LAB_NONSENSE: 'x' }, clientVariables), /NONSENSE is not a setting/, 'control')
})
