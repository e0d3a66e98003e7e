// A private key in the place of a path, a URL or a name: every entry rejects it, and no part of the error quotes it. LK01.
import { readdirSync } from 'node:fs'
import { inspect } from 'node:util'
import t from 'tap'
import { loadCommands } from '../../src/cli/commands.ts'
import { requireIdentity } from '../../src/cli/identity-options.ts'
import { createOptionReader } from '../../src/cli/option.ts'
import { parseArguments } from '../../src/cli/parse.ts'
import { connect, createClient, readIdentityFiles } from '../../src/client/client.ts'
import { describeFileContent, isFileContent } from '../../src/core/file-content.ts'
import { readRegularFile } from '../../src/files/file-access.ts'
import { FileProblem } from '../../src/files/file-problem.ts'
import { makeDemoPki } from '../../src/pki/demo.ts'
import { openPostgres, openSqlite, startServer } from '../../src/process/embed.ts'
import { parseSettings, settingsTable } from '../../src/settings/settings.ts'
import { mutualTls } from '../../src/tls/mutual-tls.ts'
import { runTlsbound } from '../helpers/process/process.ts'

t.setTimeout(120_000)
const { alice, ca, server } = makeDemoPki()
/** The two forms in which a key is pasted: as it is in the file, and without its header. */
const pasted = [alice.key, alice.key.split('\n').slice(1, -2).join('\n')] as const
const secret = alice.key.split('\n')[1] as string

/** Returns everything that a log could show of what `work` throws. */
async function shownOf(work: () => unknown): Promise<string> {
  try {
    await work()
  } catch (error) {
    return `${(error as Error).stack}\n${inspect(error, { depth: 9 })}`
  }
  return 'accepted'
}

t.test('recognizes the content of a file', t => {
  for (const text of [...pasted, '-----BEGIN', 'a\nb', 'a\rb', 'a\0b', '\n']) t.equal(isFileContent(text), true, text)
  for (const path of ['', 'a', '/etc/a b', 'certs/alice.key', '-----', 'BEGIN', 'x'.repeat(5000), 'ä'])
    t.equal(isFileContent(path), false, path)
  t.same(pasted.map(describeFileContent), ['PEM text', 'a text of several lines'])
  t.end()
})

t.test('no function quotes a key that it gets in the place of a path or a text', async t => {
  const files = { certFile: '/none', keyFile: '/none', caFile: '/none' }
  const identity = { certificate: alice.certificate, key: alice.key, ca: ca.certificate }
  const origin = 'https://localhost:1'
  const entries: Record<string, (text: string) => unknown> = {
    readRegularFile: text => readRegularFile(text, { most: 100 }),
    FileProblem: text => {
      throw new FileProblem(text, { found: 'this is wrong' })
    },
    ...Object.fromEntries(
      ['certFile', 'keyFile', 'caFile', 'keyPassphraseFile'].map(name => [
        `readIdentityFiles ${name}`,
        (text: string) => readIdentityFiles({ ...files, [name]: text }),
      ]),
    ),
    'readIdentityFiles files': text => readIdentityFiles(text as never),
    ...Object.fromEntries(
      ['origin', 'clientId', 'issuer', 'scope', 'resource', 'tokenBinding', 'minVersion', 'http2', 'timeout'].map(
        name => [`createClient ${name}`, (text: string) => createClient({ origin, identity, [name]: text } as never)],
      ),
    ),
    'createClient identity': text => createClient({ origin, identity: text as never }),
    'createClient identity.ca': text => createClient({ origin, identity: { ...identity, ca: text } }),
    'connect origin': text => connect(text, identity),
    'connect identity': text => connect(origin, text as never),
    'connect scope': text => connect(origin, identity, { scope: text }),
    'mutualTls cert': text => mutualTls({ cert: text, key: server.key, ca: ca.certificate }),
    'mutualTls ca': text => mutualTls({ cert: server.certificate, key: server.key, ca: text }),
    'mutualTls crl': text => mutualTls({ cert: server.certificate, key: server.key, ca: ca.certificate, crl: text }),
    openSqlite: text => openSqlite(text),
    openPostgres: text => openPostgres(text),
    ...Object.fromEntries(
      Object.entries(settingsTable).flatMap(([setting, { name }]) => [
        [name, (text: string) => parseSettings({ [name]: text })],
        [
          `startServer settings.${setting}`,
          (text: string) => startServer({ settings: { [setting]: text } as never, clients: [], tls: {} as never }),
        ],
      ]),
    ),
  }
  for (const [name, entry] of Object.entries(entries))
    for (const [index, text] of pasted.entries()) {
      const shown = await shownOf(() => entry(text))
      t.not(shown, 'accepted', `${name} rejects form ${index}`)
      t.notOk(shown.includes(secret), `${name} does not quote form ${index}`)
    }
  t.match(
    await shownOf(() => readRegularFile('/none', { most: 1 })),
    /^FileProblem: \/none: there is no such file/,
    'control',
  )
  t.match(
    await shownOf(() => readIdentityFiles({ ...files, keyFile: alice.key })),
    /files\.keyFile must be the path of a file, not PEM text/,
  )
  t.match(
    await shownOf(() => readRegularFile(alice.key, { most: 1 })),
    /PEM text: this is the content of a file; pass the path/,
  )
})

t.test('no option of a command quotes a key, whether separate, inline or misplaced', async t => {
  const reject = (args: readonly string[], command: Awaited<ReturnType<typeof loadCommands>>[number]) =>
    shownOf(() => {
      const { values } = parseArguments(args, command)
      const read = createOptionReader(values, {})
      for (const option of command.options) if ('form' in option) read(option as never)
      throw new Error('accepted')
    })
  for (const command of await loadCommands())
    for (const text of pasted) {
      for (const { name, value } of command.options)
        for (const args of [
          [`--${name}`, text],
          [`--${name}=${text}`],
          [`--${name}`, `-${text}`],
          [`--${name}${text}`],
        ])
          t.notOk((await reject(args, command)).includes(secret), `${command.name} --${name} ${value ?? ''}`)
      t.notOk((await reject([text], command)).includes(secret), command.name)
    }
  t.match(
    await shownOf(() => requireIdentity({ ca: 'ca', cert: 'crt', key: alice.key }, {})),
    /--key must be the path of a file/,
  )
  t.match(
    await shownOf(() => requireIdentity({ ca: 'ca', cert: 'crt' }, { TLSBOUND_KEY_FILE: alice.key })),
    /TLSBOUND_KEY_FILE must be/,
  )
  t.match(requireIdentity({ ca: 'ca', cert: 'crt', key: 'k' }, {}), { files: { keyFile: 'k' } }, 'control')
})

t.test('no command shows a key in the place of a path, and none writes to it', async t => {
  const folder = t.testdir()
  for (const [args, message] of [
    [['scan', '--'], 'PATH must be a path, not PEM text'],
    [['audit', 'verify', '--'], 'FILE must be a path, not PEM text'],
    [['certs', '--out'], '--out must be a path, not PEM text'],
    [['doctor', '--certs'], '--certs must be a path, not PEM text'],
    [['help'], 'there is no option (PEM text, not shown) before a command'],
  ] as const) {
    const { code, stdout, stderr } = await runTlsbound([...args, alice.key], folder)
    t.match({ code, stdout, stderr }, { code: 2, stdout: '', stderr: `tlsbound: ${message}\n` }, args.join(' '))
    t.notOk(stderr.includes(secret))
  }
  t.same(readdirSync(folder), [])
  t.match(await runTlsbound(['certs', '--out', 'certs'], folder), { code: 0 }, 'control')
})
