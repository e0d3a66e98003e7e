// README.md is true: its tables and transcript are the code's, and its commands do what it says, pasted into a shell.
import { spawn, spawnSync } from 'node:child_process'
import { hash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import t from 'tap'
import { startDemo } from './helpers/process/demo-process.ts'

t.setTimeout(120_000) // much of it is processes of their own

const readme = readFileSync('README.md', 'utf8')

/** Runs what a reader would paste, with the port of our server in the place of the demo's. */
function paste(commands: string, { folder, port }: { folder: string; port: number }): string {
  const script = here(commands, port)
  const { stdout, stderr, error } = spawnSync('bash', ['-euo', 'pipefail', '-c', script], {
    cwd: folder,
    encoding: 'utf8',
  })
  if (error) throw new Error(`the README's commands need bash and curl: ${error.message}`)
  return stdout + stderr
}

/** The same with the port of our server, and with this tree's own command. */
function here(commands: string, port: number): string {
  const tlsbound = `node ${resolve('src/cli/cli.ts')}`
  return commands.replaceAll('localhost:8443', `localhost:${port}`).replaceAll('npx tlsbound', tlsbound)
}

function blocks(language: string): string[] {
  return [...readme.matchAll(new RegExp(`\`\`\`${language}\\n(.*?)\`\`\``, 'gs'))].map(match => match[1] as string)
}

t.test('the tables and the transcript are what the code says', async t => {
  const { status, stderr } = spawnSync('node', ['scripts/readme.ts'], { encoding: 'utf8' })
  t.equal(status, 0, stderr)
})

t.test('the page of refusals and the schemas of the events contain every detail', async t => {
  const { status, stderr } = spawnSync('node', ['scripts/refusals.ts'], { encoding: 'utf8' })
  t.equal(status, 0, stderr)
})

t.test('each line to try shows what the table says', async t => {
  const demo = await startDemo(t)
  const [setup = ''] = blocks('sh')
  const rows = [...readme.matchAll(/^\| `(.+?)` \| (.*) \|$/gm)].filter(([, command]) =>
    /^(curl|TOKEN=)/.test(command as string),
  )
  t.ok(rows.length >= 7, 'the table was found')
  let before = setup
  for (const [, command = '', outcome = ''] of rows) {
    const shown = paste(`${before}\n${command}`, demo)
    const expected = /^`([^`]+)`/.exec(outcome)?.[1]
    if (command.startsWith('TOKEN=')) before = `${setup}\n${command}`
    else if (expected) t.match(shown, expected, command)
    else t.equal(JSON.parse(shown).protocol, 'TLSv1.3', command)
  }
})

t.test('OpenSSL exports the very bytes whose hash /binding shows', async t => {
  const demo = await startDemo(t)
  const shown = paste(blocks('sh')[1] as string, demo)
  const exported = Buffer.from(/Keying material: ([0-9A-F]{64})/.exec(shown)?.[1] ?? '', 'hex')
  t.equal(exported.length, 32, shown)
  t.match(shown, `"tls-exporter":"${hash('sha256', exported, 'base64url')}"`)
})

t.test('with the demo cookie one curl run gets a connection-bound token and uses it', async t => {
  const demo = await startDemo(t, { TLSBOUND_UNSAFE_TOKEN_COOKIE: 'on' })
  const shown = paste(`${blocks('sh')[0]}\n${blocks('sh')[2]}`, demo)
  t.match(shown, /"token_binding":"connection".*"client_id":"alice"/s)
  t.match(demo.errors(), 'TLSBOUND_UNSAFE_TOKEN_COOKIE is on', 'and the server has warned')
})

t.test('the commands use a token on its connection, and tell where one may be used', async t => {
  const demo = await startDemo(t)
  const shown = paste(blocks('sh')[3] as string, demo)
  t.match(shown, /"token_binding":"connection".*A signed token.*level certificate.*level connection/is)
})

t.test('the sidecar serves curl', async t => {
  const demo = await startDemo(t)
  const session = blocks('console').find(block => block.includes('tlsbound sidecar')) as string
  const [start = '', use = ''] = [...session.matchAll(/^\$ (.*)$/gm)].map(([, line]) => line as string)
  const [command = '', ...args] = here(start, demo.port).split(' ')
  const sidecar = spawn(command, args, { cwd: demo.folder, stdio: ['ignore', 'pipe', 'ignore'] })
  t.teardown(() => sidecar.kill())
  const address = await new Promise<string>(done => sidecar.stdout.once('data', chunk => done(String(chunk))))
  t.match(session, `\n${address}`, 'and says where it listens')
  t.match(JSON.parse(paste(use, demo)), { client_id: 'alice', token_binding: 'connection' })
})

t.test('what the server tells to try at its start works as pasted', async t => {
  const demo = await startDemo(t)
  const commands = /^ {2}U=.*/ms.exec(demo.errors())?.[0] ?? ''
  const shown = paste(commands, demo)
  t.match(shown, /"protocol":"TLSv1.3".*connection_mismatch.*certificate_mismatch/s)
})
