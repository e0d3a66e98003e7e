// README.md is true: its tables and transcript are the code's, and its commands do what it says, pasted into a shell.
import { spawnSync } from 'node:child_process'
import { hash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import t from 'tap'
import { startDemo } from './helpers/demo-process.ts'

const readme = readFileSync('README.md', 'utf8')

/** Runs what a reader would paste, with the port of our server in the place of the demo's. */
function paste(commands: string, { folder, port }: { folder: string; port: number }): string {
  const script = commands.replaceAll('localhost:8443', `localhost:${port}`)
  const { stdout, stderr, error } = spawnSync('bash', ['-euo', 'pipefail', '-c', script], {
    cwd: folder,
    encoding: 'utf8',
  })
  if (error) throw new Error(`the README's commands need bash and curl: ${error.message}`)
  return stdout + stderr
}

function blocks(language: string): string[] {
  return [...readme.matchAll(new RegExp(`\`\`\`${language}\\n(.*?)\`\`\``, 'gs'))].map(match => match[1] as string)
}

t.test('the tables and the transcript are what the code says', async t => {
  const { status, stderr } = spawnSync('node', ['scripts/readme.ts'], { encoding: 'utf8' })
  t.equal(status, 0, stderr)
})

t.test('the difference between the examples is the one that is shown', async t => {
  const { stdout } = spawnSync(
    'diff',
    ['-u', '--label', 'plain-bearer.ts', '--label', 'bound.ts', 'examples/plain-bearer.ts', 'examples/bound.ts'],
    { encoding: 'utf8' },
  )
  t.equal(stdout, readFileSync('examples/bound.diff', 'utf8'))
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

t.test('what the server tells to try at its start works as pasted', async t => {
  const demo = await startDemo(t)
  const commands = /^ {2}U=.*/ms.exec(demo.errors())?.[0] ?? ''
  const shown = paste(commands, demo)
  t.match(shown, /"protocol":"TLSv1.3".*connection_mismatch.*certificate_mismatch/s)
})
