// Administration commands as processes against a real server: effects, streams and exit codes.
// CF01, RE02, RE25.
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { chmodSync, existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { connect as connectTcp, createServer } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { command as clients } from '../../src/cli/clients.ts'
import { type Command, UsageError, type Values } from '../../src/cli/command.ts'
import { command as revoke } from '../../src/cli/revoke.ts'
import { type CertificateOrder, type Identity, issueCertificate } from '../../src/pki/certificate.ts'
import { DEMO_MARKER } from '../../src/pki/demo.ts'
import { findFreePort } from '../../src/testing/free-port.ts'
import { type Ended, type RunningServer, runTlsbound, startTlsbound } from '../helpers/process/process.ts'
import { registrationOf } from '../helpers/server/ops.ts'
import { until } from '../helpers/until.ts'

t.setTimeout(240_000) // each call is a process

interface Administered {
  readonly server: RunningServer
  readonly folder: string
  readonly ops: string
  /** Runs `tlsbound …` in the folder of the server. */
  readonly run: (...args: string[]) => Promise<Ended>
}

async function start(t: Pick<Test, 'teardown' | 'testdir'>, files: Record<string, string> = {}): Promise<Administered> {
  const folder = t.testdir(files)
  const TLSBOUND_OPS_PORT = String(await findFreePort())
  const ops = `http://127.0.0.1:${TLSBOUND_OPS_PORT}`
  // An administrator's shell may also start a server, so the variables of commands are valid there.
  const server = await startTlsbound(t, folder, { TLSBOUND_OPS_PORT, TLSBOUND_OPS_URL: ops })
  return { server, folder, ops, run: (...args) => runTlsbound(args, folder, { TLSBOUND_OPS_URL: ops }) }
}

const mallory = JSON.stringify(registrationOf('mallory'))
const alice = registrationOf('alice', { token_endpoint_auth_method: 'client_secret_basic' })
/** One server for the tests that do not change it. */
const shared = await start(t, {
  'mallory.json': mallory,
  'alice.json': JSON.stringify(alice),
  'wrong.json': '{"client_id":"mallory"}',
})

/** Matches `tlsbound: …` in one line. */
const oneLine = /^tlsbound: [^\n]+\n$/
const done = (stdout: RegExp) => ({ code: 0, stdout })
const refusal = (says: RegExp) => ({ code: 1, stdout: '', stderr: says })

t.test('lists, adds, disables, enables and removes clients of the running server', async t => {
  const { server, run } = shared
  const connection = await server.connect('mallory')
  t.match(await connection.requestToken(), { status: 401, body: { reason: 'unknown_client' } })
  const list = await run('clients', 'list')
  t.match(list, { ...done(/^alice +enabled +file +tls_client_auth +0 secrets\nbob [^\n]+\n$/), stderr: '' })

  t.match(await run('clients', 'add', 'mallory.json'), { ...done(/^mallory +enabled +store /), stderr: '' })
  const token = await connection.token({ token_binding: 'certificate' })
  t.match(await connection.get('/api/whoami', token), { status: 200 })
  const shown = JSON.parse((await run('clients', 'show', 'mallory')).stdout)
  t.same(shown, {
    client_id: 'mallory',
    disabled: false,
    origin: 'store',
    secrets: [],
    registration: JSON.parse(mallory),
  })

  t.match(await run('clients', 'disable', 'mallory'), done(/^mallory +disabled /))
  await until(() => !connection.isOpen())
  const again = await server.connect('mallory')
  t.match(await again.get('/api/whoami', token), { status: 401, body: { reason: 'revoked' } })
  t.match(await again.requestToken(), { status: 401, body: { reason: 'client_disabled' } })
  const json = await run('clients', 'enable', 'mallory', '--json')
  t.match(JSON.parse(json.stdout), { client_id: 'mallory', disabled: false }, 'one line of JSON for programs')

  t.match(await run('clients', 'remove', 'mallory'), done(/^removed: mallory\n$/))
  t.match(await again.requestToken(), { status: 401, body: { reason: 'unknown_client' } })
  t.match(await run('clients', 'show', 'mallory'), refusal(/^tlsbound: .*unknown_client\)\n$/))
  t.match(await run('clients', 'remove', 'alice'), refusal(/^tlsbound: alice is registered in the clients file/))
  const wrong = await run('clients', 'add', 'wrong.json')
  t.match(wrong, refusal(/^tlsbound: token_endpoint_auth_method .*\n {2}exactly one of /), 'reports every problem')

  t.match(
    await run('clients', 'add', 'none.json'),
    refusal(/^tlsbound: none\.json: there is no such file \(ENOENT\)\n$/),
  )
  t.match(
    await run('clients', 'add', 'certs/ca.crt'),
    refusal(/^tlsbound: certs\/ca\.crt, line 1, column 1: this is PEM, JSON is needed\n$/),
  )
  t.match((await run('clients', 'list', '--json')).stdout, /^\{"clients":\[\{"client_id":"alice"[^\n]+\n$/)
})

/** Reads the authority of a demo folder, to issue more certificates. */
function readAuthority(folder: string): Identity {
  const [certificate, key] = ['crt', 'key'].map(kind => readFileSync(join(folder, `certs/ca.${kind}`), 'utf8')) as [
    string,
    string,
  ]
  const x509 = new X509Certificate(certificate)
  const subject: Identity['subject'] = [
    ['CN', 'tlsbound demo CA'],
    ['O', DEMO_MARKER],
  ]
  return { subject, certificate, key, x509, privateKey: createPrivateKey(key), publicKey: x509.publicKey }
}

t.test('prints the registration of a certificate, which the server then accepts', async t => {
  const { folder, server, run } = shared
  const file = (name: string) => join(folder, name)
  const self = issueCertificate({
    subject: [
      ['O', 'Example'],
      ['OU', 'Batch'],
      ['CN', 'worker-1'],
    ],
    extendedKeyUsage: ['clientAuth'],
  })
  const issued = issueCertificate({
    issuer: readAuthority(folder),
    subject: [
      ['O', 'Example, Inc.'],
      ['OU', 'Batch'],
      ['CN', 'worker-2'],
    ],
    extendedKeyUsage: ['clientAuth'],
    altNames: [{ dns: 'worker-2.example' }],
  })
  for (const [name, { certificate, key }] of Object.entries({ 'worker-1': self, 'worker-2': issued })) {
    writeFileSync(file(`certs/${name}.crt`), certificate)
    writeFileSync(file(`certs/${name}.key`), key, { mode: 0o600 })
    const before = await run('clients', 'check', `certs/${name}.crt`)
    t.match(before, { code: 1, stdout: /^no registered client matches:\n/ })
    const printed = await run('clients', 'from-cert', `certs/${name}.crt`, '--scope', 'notes:read')
    t.match(printed, { code: 0 })
    writeFileSync(file(`${name}.json`), printed.stdout)
    t.match(await run('clients', 'add', `${name}.json`), done(new RegExp(`^${name} `)))
    t.match(await (await server.connect(name)).requestToken(), { status: 200, body: { scope: 'notes:read' } }, name)
    t.match(await run('clients', 'check', `certs/${name}.crt`), { code: 0, stdout: `${name} matches\n` })
  }
  t.same(JSON.parse(readFileSync(file('worker-2.json'), 'utf8')), {
    client_id: 'worker-2',
    token_endpoint_auth_method: 'tls_client_auth',
    tls_client_auth_subject_dn: 'CN=worker-2,OU=Batch,O=Example\\, Inc.',
    scope: 'notes:read',
  })
  const other = await run('clients', 'from-cert', 'certs/worker-2.crt', '--id', 'other', '--json')
  t.match(other, { code: 0, stdout: /^\{"client_id":"other"[^\n]+\n$/, stderr: /san_dns": "worker-2\.example"\n$/ })
})

t.test('says why a certificate authenticates no client, and which problems it has itself', async t => {
  const { folder, run } = shared
  const write = (name: string, order: Partial<CertificateOrder>) => {
    const { certificate } = issueCertificate({ subject: [['CN', name]], extendedKeyUsage: ['clientAuth'], ...order })
    writeFileSync(join(folder, `${name}.crt`), certificate)
    return `${name}.crt`
  }
  const issuer = readAuthority(folder)
  t.match(await run('clients', 'check', 'certs/bob.crt'), { code: 0, stdout: 'bob matches\n' }, 'control')
  const unlike = JSON.parse((await run('clients', 'check', write('carol', { issuer }), '--json')).stdout)
  const mismatch = { client_id: 'bob', detail: 'other_name', registered: 'CN=bob', presented: 'CN=carol' }
  t.match(unlike, { accepted: false, matches: [], problems: [] })
  t.match(
    unlike.mismatches.find((one: { client_id: string }) => one.client_id === 'bob'),
    mismatch,
  )
  const own = await run('clients', 'check', write('bob', {})) // the right name, but issued by nobody
  t.match(own, { code: 1, stdout: /\n {2}bob: .*no trusted authority issued the certificate\.\n/ })
  const old = write('alice', { issuer, notAfter: new Date(Date.now() - 1000), extendedKeyUsage: ['serverAuth'] })
  const flawed = await run('clients', 'check', old)
  t.match(flawed, {
    code: 1,
    stdout: /^alice matches.*\nthe certificate is not a client certificate .*\n.* expired at /,
  })
  t.match(await run('clients', 'disable', 'bob'), { code: 0 })
  t.match(await run('clients', 'check', 'certs/bob.crt'), { code: 1, stdout: /^bob matches, but is disabled/ })
  t.match(await run('clients', 'enable', 'bob'), { code: 0 })
  const nameless = await run('clients', 'from-cert', write('a b', { issuer }))
  t.match(nameless, refusal(/^tlsbound: the certificate has no name that suits as client_id .*; add --id ID\n$/))
  t.match(
    await run('clients', 'from-cert', 'certs/bob.key'),
    refusal(/^tlsbound: certs\/bob\.key, line 1: .*private key/),
  )
})

t.test('creates secrets, shows them once, and removes them', async t => {
  const { server, run } = shared
  t.match(await run('clients', 'add', 'alice.json'), done(/client_secret_basic/))
  const connection = await server.connect('alice')
  const request = (secret: string) => {
    const authorization = `Basic ${Buffer.from(`alice:${secret}`).toString('base64')}`
    const headers = { authorization, 'content-type': 'application/x-www-form-urlencoded' }
    return connection.call('/oauth/token', { method: 'POST', headers, body: 'grant_type=client_credentials' })
  }
  const first = await run('clients', 'add-secret', 'alice')
  t.match(first, { ...done(/^[\w-]{43}\n$/), stderr: /secret \w+ of alice/ }, 'stdout contains only the secret')
  const second = JSON.parse((await run('clients', 'add-secret', 'alice', '--json')).stdout)
  t.match(await run('clients', 'add-secret', 'alice'), refusal(/^tlsbound: client alice has two secrets/))
  for (const secret of [first.stdout.trim(), second.secret]) t.match(await request(secret), { status: 200 })
  t.match(await run('clients', 'remove-secret', 'alice', second.secret_id), done(/^removed: /))
  t.match(await request(second.secret), { status: 401, body: { reason: 'client_mismatch' } })
  t.match(await run('clients', 'remove-secret', 'alice', second.secret_id), refusal(/no secret with this id/))
  t.notMatch(server.stdout() + server.stderr(), first.stdout.trim(), 'neither log nor events contain it')
})

t.test('revokes the named tokens, but not those issued afterwards', async t => {
  const { server, run } = shared
  let bob = await server.connect('bob')
  const issue = async () => {
    const token = await bob.token({ token_binding: 'certificate' })
    t.match(await bob.get('/api/whoami', token), { status: 200 }, 'control')
    return { token, claims: JSON.parse(Buffer.from(token.split('.')[1] as string, 'base64url').toString()) }
  }
  const dead = { status: 401, body: { reason: 'revoked' } }
  const { token, claims } = await issue()
  for (const [kind, value] of [
    ['grant', 'no-such-grant'],
    ['client', 'nobody'],
    ['token', 'no-such-token'],
  ] as const) {
    const absent = await run('revoke', `--${kind}`, value)
    t.match(absent, refusal(/^tlsbound: [^\n]*; nothing was revoked\. [^\n]*force\n$/), kind)
    const forced = await run('revoke', `--${kind}`, value, '--force')
    t.match(
      forced,
      { ...done(new RegExp(`^revoked: ${kind} ${value}\nended: 0 grants, `)), stderr: /^Not found / },
      kind,
    )
  }
  t.match(await bob.get('/api/whoami', token), { status: 200 })
  const one = await run('revoke', '--token', claims.jti)
  const ended = /^revoked: token [\w-]+\nended: 0 grants, 1 access token in use on open connections, 0 connections\n$/
  t.match(one, { ...done(ended), stderr: '' })
  t.match(await bob.get('/api/whoami', token), dead)
  for (const [kind, ...value] of [['--client', 'bob'], ['--certificate', claims.cnf['x5t#S256']], ['--all']]) {
    const { token } = await issue()
    const ended = await run('revoke', kind as string, ...value)
    const [connections] = kind === '--certificate' ? ['1 connection'] : ['0 connections']
    const stdout = new RegExp(
      `^revoked: (client bob|certificate [\\w-]{43}|all tokens)\nended: \\d+ grants?, [1-9]\\d* access tokens? in use .*, ${connections}\n$`,
    )
    t.match(ended, { ...done(stdout), stderr: '' }, kind)
    if (kind === '--certificate') {
      await until(() => !bob.isOpen())
      bob = await server.connect('bob')
    }
    t.match(await bob.get('/api/whoami', token), dead, kind)
  }
  const unused = await run('revoke', '--certificate', 'A'.repeat(43))
  t.match(unused, {
    ...done(/^revoked: certificate A+\nended: 0 grants, 0 access tokens/),
    stderr: /^Not found .*may exist/,
  })
  const json = await run('revoke', '--client', 'bob', '--json')
  t.match(JSON.parse(json.stdout), { kind: 'client', value: 'bob', not_before: Number, expires: Number })
  t.match(await run('revoke', '--certificate', 'AB:CD'), refusal(/^tlsbound: value must be x5t#S256/))
})

t.test('exits with 2 for wrong usage, without a request', async t => {
  const folder = t.testdir()
  for (const args of [['clients'], ['clients', 'show'], ['revoke'], ['clients', 'list', '--ops', 'http://192.0.2.1']]) {
    const expected = { code: 2, stdout: '', stderr: /^tlsbound: [^\n]+\nsee tlsbound (clients|revoke) --help\n$/ }
    t.match(await runTlsbound(args, folder), expected, args.join(' '))
  }
  for (const command of ['clients', 'revoke'])
    t.match(await runTlsbound([command, '--help'], folder), { code: 0, stdout: /--ops URL/, stderr: '' })

  const wrong: [Command, Values, string[]][] = [
    [clients, {}, ['constructor']],
    [clients, {}, ['list', 'alice']],
    [clients, {}, ['disable', 'alice', 'bob']],
    [clients, {}, ['remove-secret', 'alice']],
    [clients, {}, ['from-cert']],
    [clients, {}, ['check', 'a.crt', 'b.crt']],
    [clients, { id: 'alice' }, ['list']],
    [clients, { scope: 'a' }, ['check', 'a.crt']],
    [revoke, { client: 'alice', all: true }, []],
    [revoke, { token: 'a', grant: 'b' }, []],
  ]
  const elsewhere = ['https://127.0.0.1:1', 'http://192.0.2.1:9443', 'http://127.0.0.1.example', 'http://a@127.0.0.1']
  for (const ops of [...elsewhere, 'http://localhost/x', 'http://127.0.0.1:1@192.0.2.1', 'x'])
    wrong.push([clients, { ops }, ['list']], [revoke, { ops, all: true }, []])
  for (const [command, values, words] of wrong)
    t.ok(await isMisuse(command, values, words), `${JSON.stringify(values)} ${words.join(' ')}`)
})

async function isMisuse(command: Command, values: Values, words: readonly string[]): Promise<boolean> {
  try {
    await command.run(values, words)
    return false
  } catch (error) {
    return error instanceof UsageError
  }
}

t.test('exits with 1 and one line without the right token, or without a server', async t => {
  const { folder, ops, run } = shared
  const file = join(folder, 'data/ops-token')
  t.match(await run('clients', 'list'), { code: 0 }, 'control')
  writeFileSync(join(folder, 'other'), 'A'.repeat(43), { mode: 0o600 })
  t.match(await run('clients', 'list', '--ops-token-file', 'other'), refusal(/^tlsbound: this is not the ops token/))
  const env = { TLSBOUND_OPS_URL: ops, TLSBOUND_OPS_TOKEN_FILE: 'other' }
  t.match(await runTlsbound(['clients', 'list'], folder, env), refusal(/^tlsbound: this is not the ops token/))
  t.match(
    await runTlsbound(['clients', 'list', '--ops-token-file', file], '/', env),
    { code: 0 },
    'the option takes precedence over its variable',
  )
  t.match(await run('clients', 'list', '--ops-token-file', 'none'), refusal(/^tlsbound: none: .*ENOENT/))
  chmodSync(file, 0o640)
  t.match(
    await run('clients', 'list'),
    refusal(/^tlsbound: data\/ops-token: others can read this secret .*; chmod 600/),
  )
  chmodSync(file, 0o600)
  t.match(
    await run('clients', 'list', '--ops', `http://127.0.0.1:${await findFreePort()}`),
    refusal(/^tlsbound: http:\/\/127\.0\.0\.1:\d+ does not respond \(ECONNREFUSED\)[^\n]+\n$/),
  )
})

t.test(
  'creates the ops token once, readable only for its owner, and only for an ops listener (CF01, RE02)',
  async t => {
    const { folder, ops, server, run } = await start(t)
    const file = join(folder, 'data/ops-token')
    t.equal(statSync(file).mode & 0o777, 0o600)
    const token = readFileSync(file, 'utf8')
    t.match(token, /^[\w-]{43}\n$/)
    t.notMatch(server.stderr(), token.trim())

    const port = Number(new URL(ops).port)
    const idle = connectTcp(port, '127.0.0.1')
    idle.write(`GET /health HTTP/1.1\r\nHost: localhost:${port}\r\n\r\n`)
    t.match(String(await new Promise(answer => idle.once('data', answer))), /^HTTP\/1\.1 200 .*"alive"/s)
    const silent = connectTcp(port, '127.0.0.1')
    await new Promise<void>(connected => silent.once('connect', () => connected()))
    t.match(await server.end('SIGTERM', 6000), { code: 0 }, 'silent connections do not delay the exit')

    const TLSBOUND_OPS_PORT = String(await findFreePort())
    chmodSync(file, 0o644)
    const opened = await runTlsbound(['serve'], folder, { TLSBOUND_OPS_PORT })
    t.match(opened, refusal(/^tlsbound: data\/ops-token: others can read this secret [^\n]+\n$/))
    writeFileSync(file, 'short\n')
    chmodSync(file, 0o600)
    t.match(await runTlsbound(['serve'], folder, { TLSBOUND_OPS_PORT }), refusal(oneLine), 'the ops token is too short')

    writeFileSync(file, token)
    const again = await startTlsbound(t, folder, { TLSBOUND_OPS_PORT })
    t.equal(readFileSync(file, 'utf8'), token)
    // In a container, a command has the settings of the server in its environment.
    t.match(
      await runTlsbound(['clients', 'list'], folder, { TLSBOUND_OPS_PORT }),
      { code: 0 },
      'the port of the settings',
    )
    const link = await runTlsbound(['clients', 'list'], folder, { TLSBOUND_OPS_PORT: 'tcp://10.0.0.1:9443' })
    t.notMatch(link.stderr, /TLSBOUND_OPS_PORT must/, 'a service link of Kubernetes is no setting')
    for (const [port, message] of [
      ['0', /^tlsbound: TLSBOUND_OPS_PORT is 0, so that the server has no ops listener$/m],
      ['x', /^tlsbound: TLSBOUND_OPS_PORT must be a port number/m],
    ] as const)
      t.match(await runTlsbound(['clients', 'list'], folder, { TLSBOUND_OPS_PORT: port }), { code: 2, stderr: message })
    const call = await run('clients', 'list', '--ops', `http://localhost:${TLSBOUND_OPS_PORT}/`)
    t.match(call, { code: 0 }, 'the next start uses the same token')
    await again.end('SIGTERM')

    rmSync(file)
    const without = await startTlsbound(t, folder, { TLSBOUND_OPS_PORT: '0' })
    t.match(await (await without.connect('alice')).requestToken(), { status: 200 })
    t.notOk(existsSync(file))
  },
)

t.test('exits with 1 and one line when the ops port is in use, and stops listening (RE25)', async t => {
  const other = createServer()
  await new Promise<void>(listening => other.listen(0, '127.0.0.1', listening))
  t.teardown(() => other.close())
  const { port } = other.address() as { port: number }
  const env = { TLSBOUND_OPS_PORT: String(port), TLSBOUND_PORT: String(await findFreePort()) }
  const { code, stderr } = await runTlsbound(['serve'], t.testdir(), env)
  t.match({ code, stderr }, { code: 1, stderr: oneLine })
  t.match(stderr, new RegExp(`EADDRINUSE.*${port}`))
})
