// Compares README.md with the project: its transcript, table and code, and its commands, pasted into a shell.
import { spawn, spawnSync } from 'node:child_process'
import { hash } from 'node:crypto'
import { globSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:https'
import { stripTypeScriptTypes } from 'node:module'
import type { AddressInfo } from 'node:net'
import { join, resolve } from 'node:path'
import type { TLSSocket } from 'node:tls'
import { isDeepStrictEqual } from 'node:util'
import { decodeJwt } from 'jose'
import t from 'tap'
import { headings, readColumn } from './helpers/client/comparison.ts'
import { startDemo } from './helpers/process/demo-process.ts'
import { until } from './helpers/until.ts'

t.setTimeout(120_000) // much of it runs processes

const readme = readFileSync('README.md', 'utf8')

/** Runs the pasted commands, with the port of this server instead of the demo's. */
function paste(commands: string, { folder, port }: { folder: string; port: number }): string {
  const script = commands.replaceAll('localhost:8443', `localhost:${port}`)
  const { stdout, stderr, error } = spawnSync('bash', ['-euo', 'pipefail', '-c', script], {
    cwd: folder,
    encoding: 'utf8',
  })
  if (error) throw new Error(`the commands need bash and curl: ${error.message}`)
  return stdout + stderr
}

/** Returns the blocks of a language, without quotation marks. */
function blocks(page: string, language: string): string[] {
  const text = page.replaceAll(/^> ?/gm, '')
  return [...text.matchAll(new RegExp(`\`\`\`${language}\\n(.*?)\`\`\``, 'gs'))].map(match => match[1] as string)
}

t.test('shows the transcript in the picture of the demo, with and without animation', async t => {
  const picture = readFileSync('docs/demo.svg', 'utf8')
  const texts = [...picture.matchAll(/<text [^>]*>(.*)<\/text>/g)].map(([, text = '']) =>
    text.replaceAll(/<[^>]*>/g, ''),
  )
  const lines = blocks(readme, 'console')[0]
    ?.split('\n')
    .filter(line => line !== '')
  const shown = texts.map(text => text.replaceAll('&lt;', '<').replaceAll('&amp;', '&'))
  t.same(shown, lines)
  t.ok(picture.length < 40_960, 'smaller than 40 KiB')
  t.match(picture, '@media (prefers-reduced-motion: reduce) { text { animation: none } }')
  t.notMatch(picture, /opacity="0"|<script|href/, 'everything is visible without animation, and nothing is loaded')
})

t.test('is short, and names existing commands', async t => {
  t.ok(readme.split('\n').length <= 151, 'at most 150 lines')
  const { scripts } = JSON.parse(readFileSync('package.json', 'utf8'))
  const named = new Set(
    [...readme.matchAll(/\bnpm (?:run )?((?<=run )[\w:]+|start|test)/g)].map(([, name = '']) => name),
  )
  t.same([...named].sort(), ['demo', 'start', 'test', 'test:fast'])
  for (const name of named)
    t.ok(name in scripts, `npm run ${name}`, { todo: name === 'test:fast' && !(name in scripts) && 'not there yet' })
})

t.test('has no command that deletes the packages of a running server', async t => {
  const commands = [...blocks(readme, 'sh'), ...[...readme.matchAll(/`(npm [^`\n]*)`/g)].map(([, command]) => command)]
  const installing = commands.filter(command => /npm (ci|install)\b/.test(command ?? '') && !command?.includes('PATH/'))
  t.same(installing, ['npm ci && npm run demo\n', 'npm ci'], 'packages are installed once, before everything else')
  t.ok(readme.indexOf('npm ci && npm run demo') < readme.indexOf('npm start'))
})

t.test('has the results of the replay lab in its table, for tlsbound and for a certificate-bound token', async t => {
  const rows = {
    'nothing else': 'other-certificate',
    'a captured proof': 'stolen-proof',
    'a place in the middle': 'relay',
    'a stolen TLS ticket': 'stolen-ticket',
    "the client's private key": 'other-connection',
  }
  const lab = globSync('docs/**/*.md')
    .map(path => readFileSync(path, 'utf8'))
    .find(page => page.includes(`| scenario | ${headings.join(' | ')} |`)) as string
  const columns: [heading: (typeof headings)[number], at: number][] = [
    ['node-oidc-provider, certificate', 3],
    ['tlsbound, connection', 4],
    ['tlsbound, proof', 5],
    ['tlsbound, certificate', 6],
  ]
  for (const [row, scenario] of Object.entries(rows)) {
    const cells = readme
      .split('\n')
      .find(line => line.startsWith(`| ${row}`))
      ?.split(' | ')
    for (const [heading, at] of columns) {
      const shown = cells?.[at]?.replace(/( [¹²³])?( \|)?$/, '')
      const outcome = { stopped: 'refused', 'not stopped': 'accepted', 'in part': 'accepted', 'no proof': '–' }[
        shown ?? ''
      ]
      t.equal(outcome, readColumn(lab, heading)[scenario], `${row}: ${heading} ${shown}`)
    }
  }
})

t.test('has code that compiles in a strict TypeScript project', async t => {
  const [check = '', app = ''] = ['getPeerX509Certificate', "from 'tlsbound'"].map(text =>
    blocks(readme, 'ts').find(block => block.includes(text)),
  )
  const compile = (code: string) => {
    const folder = t.testdir({
      'app.mts': app,
      'check.mts': `import { hash } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { TLSSocket } from 'node:tls'
import { isDeepStrictEqual } from 'node:util'
export function check(request: IncomingMessage, claims: { cnf?: unknown }) {
${code}}
`,
      'tsconfig.json': JSON.stringify({ extends: resolve('tsconfig.json'), include: ['*.mts'] }),
    })
    return spawnSync('node_modules/.bin/tsc', ['-p', folder], { encoding: 'utf8' }).stdout
  }
  t.equal(compile(check), '')
  t.match(compile(check.replace(' as TLSSocket', '')), /getPeerX509Certificate.*does not exist/, 'control')
})

t.test('protects an app with its code: accepts the token of its presenter only', async t => {
  const demo = await startDemo(t)
  const [code = ''] = blocks(readme, 'ts').filter(block => block.includes("from 'tlsbound'"))
  t.ok(code.trim().split('\n').length <= 10, 'ten lines')
  const folder = t.testdir() // within the package, so that its name resolves to it
  const file = join(folder, 'app.ts')
  writeFileSync(
    file,
    `${code.replace('localhost:8443', `localhost:${demo.port}`).replace('port: 8444', 'port: 0')}console.log(app.server.address().port)\n`,
  )
  const app = spawn(process.execPath, ['--conditions=tlsbound-source', file], { cwd: demo.folder })
  t.teardown(() => app.kill())
  let said = ''
  for (const stream of [app.stdout, app.stderr]) stream.on('data', chunk => (said += chunk))
  await until(() => /^\d+\n/.test(said) || app.exitCode !== null)
  t.match(said, /^\d+\n$/, 'it listens')
  const token = fetchToken(demo)
  const use = (who: string) =>
    paste(
      `curl -s --cacert certs/ca.crt --cert certs/${who}.crt --key certs/${who}.key -H "Authorization: Bearer ${token}" https://localhost:${said.trim()}/notes`,
      demo,
    )
  t.equal(use('alice'), 'notes of alice')
  t.match(use('bob'), '"reason":"certificate_mismatch"')
})

t.test('accepts only the presenter of a certificate-bound token with the check for other resource servers', async t => {
  const demo = await startDemo(t)
  const [code = ''] = blocks(readme, 'ts').filter(block => block.includes('getPeerX509Certificate'))
  t.ok(code.trim().split('\n').length <= 3, 'three lines')
  const check = new Function('request', 'claims', 'hash', 'isDeepStrictEqual', stripTypeScriptTypes(code))
  const pem = (name: string) => readFileSync(join(demo.folder, 'certs', name), 'utf8')
  const options = { cert: pem('server.crt'), key: pem('server.key'), ca: pem('ca.crt'), requestCert: true }
  const server = createServer({ ...options, rejectUnauthorized: false }, (request, response) => {
    t.ok((request.socket as TLSSocket).encrypted)
    try {
      check(request, decodeJwt((request.headers.authorization as string).slice(7)), hash, isDeepStrictEqual)
      response.end('accepted')
    } catch (error) {
      response.end((error as Error).message)
    }
  }).listen(0, '127.0.0.1')
  t.teardown(() => server.close())
  await until(() => server.listening)
  const { port } = server.address() as AddressInfo
  const ask = (identity: string, token: string) => runCurl(demo.folder, port, identity, token)
  const portable = fetchToken(demo)
  const refused = 'the token belongs to another presenter'
  t.equal(await ask('alice', portable), 'accepted')
  t.equal(await ask('bob', portable), refused)
  t.equal(await ask('', portable), refused, 'without a certificate')
  t.equal(await ask('alice', fetchToken(demo, 'connection')), refused, 'this server cannot check the connection')
  const unbound = `${portable.split('.')[0]}.${Buffer.from('{}').toString('base64url')}.x`
  t.equal(await ask('alice', unbound), refused, 'without cnf')
})

t.test('has the drawing of the page that explains it', async t => {
  const drawing = /```\n( +alice ═.*?)```/s.exec(readme)?.[1]
  t.ok(drawing && readFileSync('docs/explanation/how-the-binding-works.md', 'utf8').includes(drawing))
})

t.test('shows in GET /binding the hash of the bytes that OpenSSL exports', async t => {
  const demo = await startDemo(t)
  const page = readFileSync('docs/explanation/how-the-binding-works.md', 'utf8')
  const shown = paste(blocks(page, 'sh')[0] as string, demo)
  const exported = Buffer.from(/Keying material: ([0-9A-F]{64})/.exec(shown)?.[1] ?? '', 'hex')
  t.equal(exported.length, 32, shown)
  t.match(shown, `"tls-exporter":"${hash('sha256', exported, 'base64url')}"`)
})

t.test('prints commands at the start of the server that work when pasted', async t => {
  const demo = await startDemo(t)
  const commands = /^ {2}U=.*/ms.exec(demo.errors())?.[0] ?? ''
  const shown = paste(commands, demo)
  t.match(shown, /"protocol":"TLSv1.3".*connection_mismatch.*certificate_mismatch/s)
})

function fetchToken(demo: { folder: string; port: number }, binding = 'certificate'): string {
  const form = `grant_type=client_credentials&client_id=alice&token_binding=${binding}`
  const identity = '--cacert certs/ca.crt --cert certs/alice.crt --key certs/alice.key'
  return JSON.parse(paste(`curl -s ${identity} -d '${form}' https://localhost:8443/oauth/token`, demo)).access_token
}

/** Without blocking this process, in which the server runs. */
async function runCurl(folder: string, port: number, identity: string, token: string): Promise<string> {
  const certificate = identity === '' ? [] : ['--cert', `certs/${identity}.crt`, '--key', `certs/${identity}.key`]
  const address = ['--resolve', `localhost:${port}:127.0.0.1`, `https://localhost:${port}/`]
  const curl = spawn(
    'curl',
    ['-s', '--cacert', 'certs/ca.crt', ...certificate, '-H', `Authorization: Bearer ${token}`, ...address],
    { cwd: folder },
  )
  let body = ''
  curl.stdout.on('data', chunk => (body += chunk))
  await new Promise(done => curl.once('close', done))
  return body
}
