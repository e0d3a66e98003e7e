// `tlsbound scan` as a process: finds tokens in files, on stdin and in the history of a real repository; the real
// server revokes reported ones. OA27, LK01, LK03, CF11.
import { randomBytes } from 'node:crypto'
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { UsageError } from '../../src/cli/command.ts'
import { command } from '../../src/cli/scan.ts'
import { buildReports } from '../../src/cli/scan-report.ts'
import { maximumReport, parseLeakReport } from '../../src/core/leak-report.ts'
import { buildOpaqueToken, hashOpaqueToken } from '../../src/core/opaque-token.ts'
import type { Finding } from '../../src/scan/scan.ts'
import { issueCertificate } from '../../src/testing/server.ts'
import { makeDemoFolder, runCommand } from '../helpers/client/client-command.ts'
import { startServerBehindRelay } from '../helpers/client/relay.ts'
import { type Ended, run } from '../helpers/process/process.ts'
import { register, startGrant } from '../helpers/tokens/grants.ts'
import { leaksOf } from '../helpers/tokens/leaks.ts'

t.setTimeout(600_000) // each call is a process
const plain = { grant_types: ['client_credentials'], token_bindings: ['certificate'] }
const clients = [
  register('alice'),
  register('bob', { access_token_format: 'opaque' }),
  register('scanner', { ...plain, scope: 'leaks:report' }),
  register('carol', plain),
]
const { server, origin } = await startServerBehindRelay(t, { clients })
const cwd = makeDemoFolder(t, server.pki)
for (const name of ['scanner', 'carol']) {
  const { certificate, key } = issueCertificate({
    subject: [['CN', name]],
    issuer: server.pki.ca,
    extendedKeyUsage: ['clientAuth'],
  })
  writeFileSync(join(cwd, 'certs', `${name}.crt`), certificate)
  writeFileSync(join(cwd, 'certs', `${name}.key`), key, { mode: 0o600 })
}
const as = (who: string) => ['--ca', 'certs/ca.crt', '--cert', `certs/${who}.crt`, '--key', `certs/${who}.key`]
/** Opens a connection if needed, because the server closes idle ones. */
const connect = (who: 'alice' | 'bob') => server.connect(who)
const [refreshToken, opaque] = [buildOpaqueToken('rt', randomBytes(32)), buildOpaqueToken('at', randomBytes(32))]

/** Runs the command, and verifies that its output contains no token. */
async function scan(args: readonly string[], secrets: readonly string[], input?: string): Promise<Ended> {
  const ended = await runCommand(t, ['scan', ...args], { cwd, ...(input !== undefined && { input }) })
  for (const secret of secrets)
    for (const part of secret.split(/[._]/).filter(text => text.length > 8))
      t.notOk((ended.stdout + ended.stderr).includes(part), 'output contains no part of a token')
  return ended
}

/** Returns the error that a call rejects with. */
const problemOf = async (call: () => unknown): Promise<unknown> => {
  try {
    return await call()
  } catch (error) {
    return error
  }
}

/** Creates a folder with files by their paths. */
function makeFolder(files: Readonly<Record<string, string | Buffer>>): string {
  const folder = mkdtempSync(join(cwd, 'scan-'))
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(join(folder, path, '..'), { recursive: true })
    writeFileSync(join(folder, path), content)
  }
  return folder.slice(cwd.length + 1)
}

t.test('finds tokens in files by file, line and column, and nothing else', async t => {
  const alice = await connect('alice')
  const { access, refresh } = await startGrant(alice)
  const bound = await alice.token({ token_binding: 'certificate' })
  const secrets = [access, refresh, bound, opaque]
  const folder = makeFolder({
    'a/.env': `NAME=x\nTOKEN=${refresh}\n`,
    'b/binary.bin': Buffer.concat([randomBytes(70_000), Buffer.from(`\n${opaque}`), randomBytes(100)]),
    'b/long': `${'x'.repeat(65_500)}${access}${'-x'.repeat(40_000)}`, // crosses the end of a chunk
    'b/none': `${opaque.slice(0, -1)}\ntlsbound_at_${'x'.repeat(49)}\n`,
    'c.log': `{"authorization":"Bearer ${bound}"}`,
  })
  const { code, stdout, stderr } = await scan([folder], secrets)
  t.equal(code, 1)
  const lines = stdout.trimEnd().split('\n')
  t.equal(lines.length, 4)
  t.equal(
    lines[0],
    `${folder}/a/.env:2:7: refresh token tlsbound_rt_…, SHA-256 ${hashOpaqueToken(refresh).slice(0, 16)}…: worthless without the private key of its client, which only the issuer can identify`,
  )
  t.match(lines[1], /b\/binary\.bin:\d+:1: opaque access token tlsbound_at_…/)
  t.match(
    lines[2],
    /b\/long:1:65501: signed access token eyJ…, .*: worthless elsewhere: it is valid only on the TLS connection/,
  )
  t.match(
    lines[3],
    /c\.log:1:26: signed access token eyJ…, .*: worthless without the private key of the certificate [\w-]{43}$/,
  )
  t.match(stderr, /^4 tokens in 4 places; searched 5 files\.\n$/)

  t.match(await scan([`${folder}/b/none`, 'certs/ca.crt'], []), {
    code: 0,
    stdout: '',
    stderr: /^0 tokens in 0 places/,
  })
  t.match(await scan(['-'], secrets, `x ${opaque}`), { code: 1, stdout: /^stdin:1:3: opaque access token/ })
  t.match(await scan(['-'], [], 'nothing'), { code: 0, stdout: '' })

  const leaked = await scan(['certs/alice.key', 'certs/alice.crt', `${folder}/c.log`, '--json'], secrets)
  const { findings } = JSON.parse(leaked.stdout)
  t.match(findings, [
    {
      ...{ path: `${folder}/c.log`, line: 1, column: 26, token_binding: 'certificate', jti: String },
      hash: hashOpaqueToken(bound),
      leaked_certificate: { subject: 'CN=alice', thumbprint: String },
      remark: /^the private key of its certificate was found too: CN=alice, /,
    },
  ])
})

t.test('does not follow links, and reports unreadable files as a failure (LK03)', async t => {
  const inner = makeFolder({ secret: opaque })
  const outer = makeFolder({ good: 'nothing', '\u001b[2Jsteer\nme': opaque })
  symlinkSync(join(cwd, inner, 'secret'), join(cwd, outer, 'link'))
  symlinkSync(join(cwd, inner), join(cwd, outer, 'folder'))
  symlinkSync('..', join(cwd, outer, 'circle'))
  await run('mkfifo', [join(outer, 'pipe')], cwd)
  const { code, stdout } = await scan([outer], [opaque])
  t.match(
    { code, stdout },
    { code: 1, stdout: /^scan-\w+\/\\u\{1b\}\[2Jsteer\\u\{a\}me:1:1: opaque access token [^\n]*\n$/ },
  )
  t.match(
    await scan([join(outer, 'link')], [opaque]),
    { code: 1, stdout: /link:1:1: / },
    'a link that is named as an argument is followed',
  )
  t.match(await scan(['nowhere', `${outer}/good`], []), {
    code: 1,
    stdout: '',
    stderr: /^nowhere cannot be read \(ENOENT\)\n0 tokens in 0 places; searched 1 file\.\n$/,
  })
  if (process.getuid?.() !== 0) {
    chmodSync(join(cwd, outer, 'good'), 0)
    t.match(await scan([outer], [opaque]), { code: 1, stderr: /good cannot be read \(EACCES\)/ })
  }
})

t.test('finds a token in the history that a later commit removed (CF11)', async t => {
  const folder = makeFolder({ 'src/a b.txt': 'nothing\n', 'certs/key.pem': server.pki.alice.key })
  const repository = join(cwd, folder)
  const time = '2026-03-01T12:00:00+01:00'
  const env = { GIT_AUTHOR_DATE: time, GIT_COMMITTER_DATE: time, HOME: repository, GIT_CONFIG_NOSYSTEM: '1' }
  const names = ['-c', 'user.name=x', '-c', 'user.email=x@example']
  const git = async (...args: string[]) => {
    const { code, stdout, stderr } = await run('git', [...names, ...args], repository, env)
    if (code !== 0) t.fail(`git ${args[0]} (Debian package git): ${stderr}`)
    return stdout.trim()
  }
  const commit = async (message: string) => {
    await git('add', '-A')
    await git('commit', '-qm', message)
    return git('rev-parse', 'HEAD')
  }
  const bound = await (await connect('alice')).token({ token_binding: 'certificate' })
  const merged = buildOpaqueToken('rt', randomBytes(32))
  const undone = buildOpaqueToken('rt', randomBytes(32))
  const told = buildOpaqueToken('at', randomBytes(32))
  const secrets = [bound, merged, undone, told, refreshToken]
  await git('init', '-q', '-b', 'main')
  await commit('first')
  writeFileSync(join(repository, 'src/a b.txt'), `nothing\nTOKEN=${refreshToken}\n`)
  writeFileSync(join(repository, 'ü.txt'), bound)
  writeFileSync(join(repository, 'cert.pem'), server.pki.alice.certificate)
  const brought = await commit('with tokens')
  writeFileSync(join(repository, 'src/a b.txt'), 'nothing\n')
  rmSync(join(repository, 'ü.txt'))
  rmSync(join(repository, 'cert.pem'))
  await commit('without')
  await git('checkout', '-qb', 'side')
  writeFileSync(join(repository, 'side'), 'x')
  await commit('beside')
  await git('checkout', '-q', 'main')
  await git('merge', '-q', '--no-ff', '--no-commit', 'side')
  writeFileSync(join(repository, 'merged'), merged)
  const merge = await commit('merge')
  rmSync(join(repository, 'merged'))
  const message = await commit(`do not write ${told} here`)
  writeFileSync(join(repository, 'undone'), undone)
  const removed = await commit('undone')
  await git('reset', '-q', '--hard', 'HEAD~1')

  t.match(
    await scan([`${folder}/src`, `${folder}/certs`], [bound]),
    { code: 0, stdout: '' },
    'control: no file contains a token',
  )
  const { code, stdout, stderr } = await scan(['--git', folder, '--json'], secrets)
  t.match({ code, stderr }, { code: 1, stderr: /^5 tokens in 5 places; searched \d+ objects\.\n$/ })
  const { findings } = JSON.parse(stdout) as { findings: Finding[] }
  const expected = [
    { path: 'src/a b.txt', line: 2, column: 7, commit: brought, hash: hashOpaqueToken(refreshToken) },
    { path: 'ü.txt', line: 1, column: 1, commit: brought, leaked_certificate: { subject: 'CN=alice' } },
    { path: 'merged', commit: merge, hash: hashOpaqueToken(merged) },
    { path: '(the commit itself)', commit: message, hash: hashOpaqueToken(told) },
    { path: 'undone', commit: removed, hash: hashOpaqueToken(undone) },
  ]
  for (const one of expected)
    t.match(
      findings.find(({ path }) => path === one.path),
      { ...one, date: time },
      one.path,
    )

  await git('tag', '-a', 'v1', '-m', told)
  const words = await scan(['--git', folder], secrets)
  t.match(
    words.stdout,
    new RegExp(`^${brought.slice(0, 12)} of 2026-03-01T12:00:00\\+01:00, src/a b\\.txt:2:7: refresh`, 'm'),
  )
  const tag = (await git('rev-parse', 'v1')).slice(0, 12)
  t.match(words.stdout, new RegExp(`^${tag}, refs/tags/v1 \\(the tag itself\\):\\d+:1: opaque`, 'm'))
  t.match(await scan(['--git', 'certs'], []), { code: 1, stdout: '', stderr: /^tlsbound: git cannot read certs: / })
})

t.test('reports tokens, which the server revokes, and sends nothing else', async t => {
  const [alice, bob] = [await connect('alice'), await connect('bob')]
  const [signed, opaqueGrant] = [await startGrant(alice), await startGrant(bob)]
  const other = await startGrant(alice)
  for (const [connection, token] of [
    [alice, signed.access],
    [bob, opaqueGrant.access],
  ] as const)
    t.match(await connection.get('/api/whoami', token), { status: 200 }, 'control')
  const folder = makeFolder({ a: signed.access, b: `${opaqueGrant.refresh}\n${opaqueGrant.refresh}`, c: refreshToken })
  const secrets = [signed.access, opaqueGrant.refresh, refreshToken]
  const since = server.events.length
  t.match(await scan([folder], secrets), { code: 1 })
  t.same(server.events.slice(since), [], 'nothing is sent without --report')

  const { code, stdout, stderr } = await scan([folder, '--report', origin, ...as('scanner')], secrets)
  t.match(
    { code, lines: stdout.split('\n').length - 1, stderr },
    {
      code: 1,
      lines: 4,
      stderr: new RegExp(`\nReported 3 tokens to ${origin}. Tokens issued by this server are revoked`),
    },
  )
  t.match(leaksOf(server, since), [
    { kind: 'access_token', client_id: 'alice', by: 'scanner', signed: false, url: `${folder}/a:1:1`, source: 'file' },
    { kind: 'refresh_token', client_id: 'bob', by: 'scanner', url: `${folder}/b:1:1` },
  ])
  t.equal(leaksOf(server, since).length, 2)
  for (const [connection, token] of [
    [alice, signed.access],
    [bob, opaqueGrant.access],
  ] as const)
    t.match(await connection.get('/api/whoami', token), { status: 401, body: { reason: 'revoked' } })
  t.match(await alice.get('/api/whoami', other.access), { status: 200 }, 'other tokens stay valid')

  const again = await scan([folder, '--report', origin, ...as('scanner')], secrets)
  t.match(again.stderr, /\nReported 3 tokens/, 'a second report has the same result')
  t.equal(leaksOf(server, since).length, 2)
  t.match(await scan(['certs/ca.crt', '--report', origin, ...as('scanner')], []), {
    code: 0,
    stderr: /^0 tokens[^\n]*\n$/,
  })
})

t.test('exits with 1 and one line when the server rejects the report', async t => {
  const alice = await connect('alice')
  const { access } = await startGrant(alice)
  const folder = makeFolder({ a: access })
  const { code, stdout, stderr } = await scan([folder, '--report', origin, ...as('carol')], [access])
  t.match(
    { code, stdout, stderr },
    { code: 1, stdout: /a:1:1: signed/, stderr: /\ntlsbound: [^\n]*(scope|refused)[^\n]*\n$/ },
  )
  t.match(await alice.get('/api/whoami', access), { status: 200 })
})

t.test('reports wrong usage before anything is read', async t => {
  for (const [values, words] of [
    [{}, []],
    [{ report: origin }, []],
    [{ report: 'http://x' }, ['x']],
    [{ report: 'x' }, ['x']],
    [{ report: origin, cert: 'a' }, ['x']],
  ] as const)
    t.ok((await problemOf(() => command.run(values, words))) instanceof UsageError, JSON.stringify(values))
  t.match(await scan([], []), { code: 2, stdout: '', stderr: /^tlsbound: a path to search/ })
})

t.test('uses as few reports as possible, each of a size that a server accepts', t => {
  const finding = { path: 'p'.repeat(5000), line: 1, column: 1, kind: 'signed access token' } as Finding
  const tokens = new Map(Array.from({ length: 250 }, (_, index) => [`${index}.${'x'.repeat(700)}`, finding]))
  const reports = [...buildReports(tokens)]
  const leaks = reports.map(body => parseLeakReport(JSON.parse(body))?.leaks ?? [])
  t.same(
    leaks.flat().map(({ token }) => token),
    [...tokens.keys()],
  )
  for (const body of reports) t.ok(Buffer.byteLength(body) <= maximumReport)
  for (const body of reports.slice(0, -1))
    t.ok(Buffer.byteLength(body) > maximumReport - 2000, 'each report except the last is nearly full')
  const short = new Map(Array.from({ length: 250 }, (_, index) => [`${index}`, { ...finding, path: 'x' }]))
  t.same(
    [...buildReports(short)].map(body => JSON.parse(body).length),
    [250],
    'the server does not limit the number of entries',
  )
  t.end()
})
