// Texts of the command line: version, help, usage errors, colour, the man page. CF01.
import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { stripVTControlCharacters } from 'node:util'
import t from 'tap'
import { suggest, UsageError } from '../../src/cli/command.ts'
import { commands, loadCommand, loadCommands } from '../../src/cli/commands.ts'
import { describeOption, renderHelp, renderUsage } from '../../src/cli/help.ts'
import { parseArguments } from '../../src/cli/parse.ts'
import { clientVariables } from '../../src/cli/variables.ts'
import { settingsTable } from '../../src/settings/settings.ts'
import { run, runTlsbound } from '../helpers/process/process.ts'

t.setTimeout(120_000) // each call is a process
const all = await loadCommands()

t.test('prints help and version on stdout and exits with 0', async t => {
  const folder = t.testdir()
  const wanted: readonly (readonly [string[], RegExp])[] = [
    [['--help'], /^Usage: tlsbound COMMAND/],
    [['help'], /^Usage: tlsbound COMMAND/],
    [['help', 'clients'], /^Usage: tlsbound clients ACTION/],
    [['serve', '--help'], /^Usage: tlsbound serve/],
    [['certs', '-h', '--force'], /^Usage: tlsbound certs/],
    [['--version'], new RegExp(`^${JSON.parse(readFileSync('package.json', 'utf8')).version}\n$`)],
    [['-V'], /^\d+\.\d+\.\d+\S*\n$/],
  ]
  for (const [args, stdout] of wanted)
    t.match(await runTlsbound(args, folder), { code: 0, stdout, stderr: '' }, args.join(' '))
  t.same(readdirSync(folder), [], 'no file was created')
})

t.test('exits with 2 for wrong usage, with one line and a reference to help on stderr', async t => {
  const folder = t.testdir()
  const wrong: readonly (readonly [string[], string, string])[] = [
    [[], 'a command is missing', ''],
    [['constructor'], 'there is no command constructor', ''],
    [['sevre'], 'there is no command sevre; did you mean serve?', ''],
    [['help', 'clints'], 'there is no command clints; did you mean clients?', ''],
    [['--verbose'], 'there is no option --verbose before a command', ''],
    [['serve', 'extra'], 'unexpected argument extra', 'serve '],
    [['serve', '--chek'], 'there is no option --chek; did you mean --check?', 'serve '],
    [['certs', '--key-type', 'dsa'], '--key-type must be ec or rsa', 'certs '],
    [['clients', 'disabel', 'x'], 'there is no action disabel; did you mean disable?', 'clients '],
    [['keys'], 'an action is missing, expected: create, list, rotate', 'keys '],
    [['completion', 'tcsh'], 'expected one shell: bash, zsh, fish', 'completion '],
  ]
  for (const [args, message, command] of wrong) {
    const expected = { code: 2, stdout: '', stderr: `tlsbound: ${message}\nsee tlsbound ${command}--help\n` }
    t.same(await runTlsbound(args, folder), expected, args.join(' '))
  }
  t.same(readdirSync(folder), [], 'no file was created')
})

t.test('parses options, and names a wrong one with its syntax', async t => {
  const call = await loadCommand('call')
  if (call === undefined) throw new Error('there is no command call')
  const url = 'https://localhost'
  const good = parseArguments([url, '-iX', 'PUT', '-d', '-', '--output=-x', '-H', 'a: 1', '-H', 'b: 2'], call)
  t.same(
    { ...good, values: { ...good.values } },
    {
      positionals: [url],
      values: { include: true, request: 'PUT', data: ['-'], output: '-x', header: ['a: 1', 'b: 2'] },
    },
  )
  t.same(parseArguments(['--', '--json'], call).positionals, ['--json'], 'no argument after -- is an option')
  for (const hash of ['-vIq_1kXo0', '-_a', '-0-'])
    t.equal(
      parseArguments(['--output', hash], call).values.output,
      hash,
      'a value in base64url can begin with a hyphen',
    )
  const wrong: readonly (readonly [string[], RegExp])[] = [
    [['--passphrase', 'x'], /^there is no option --passphrase; did you mean --key-passphrase\?$/],
    [['-q'], /^there is no option -q$/],
    [['-iq'], /^there is no option -q$/],
    [['--no-include'], /^there is no option --no-include/],
    [['--include=yes'], /^--include is a switch and takes no value$/],
    [['--output'], /^--output needs a value: --output FILE$/],
    [['-X'], /^-X needs a value: -X METHOD$/],
    [['--output', '--include'], /^--output is followed by --include; if that is its value, write --output=--include$/],
    [['--output', '-v'], /^--output is followed by -v; if that is its value, write --output=-v$/],
    [['--__proto__', 'x'], /^there is no option --__proto__/],
  ]
  for (const [args, message] of wrong) {
    const parse = () => parseArguments(args, call)
    t.throws(parse, { constructor: UsageError, message }, args.join(' '))
  }
})

t.test('suggests only similar names', async t => {
  t.equal(suggest('keyz', ['keys', 'audit']), '; did you mean keys?')
  t.equal(suggest('secret-add', ['add', 'add-secret']), '; did you mean add-secret?')
  for (const name of ['x', 'ab', 'nothing-like-it', 'a'.repeat(1000), ''])
    t.equal(suggest(name, Object.keys(commands)), '', name.slice(0, 20))
})

t.test('help contains every command, action, option, variable, default and setting', async t => {
  t.same(
    all.map(({ name }) => name),
    Object.keys(commands),
  )
  const usage = renderUsage()
  for (const command of all) {
    t.ok(usage.includes(`  ${command.name} `) && usage.includes(command.summary), command.name)
    const help = renderHelp(command)
    const text = help.replace(/\s+/g, ' ')
    t.ok(help.startsWith(`Usage: tlsbound ${command.name}`))
    for (const option of command.options) {
      t.ok(help.includes(`  ${describeOption(option)}`), option.name)
      for (const fact of [option.help, option.variable ?? '', option.fallback ?? '', ...(option.choices ?? [])])
        t.ok(text.includes(fact), `--${option.name}: ${fact}`)
    }
    for (const { name, help: meaning } of command.actions ?? [])
      t.ok(text.includes(` ${name} `) && text.includes(meaning), name)
    t.ok(command.examples.length > 0)
    for (const example of command.examples) t.match(example, /tlsbound|curl/)
    for (const line of help.split('\n')) if (!command.examples.includes(line.trim())) t.ok(line.length <= 110, line)
  }
  const serve = renderHelp(all[0] as (typeof all)[number])
  for (const { name, shown } of Object.values(settingsTable))
    t.ok(
      serve.includes(`  ${name}`) && serve.replace(/\s+/g, ' ').includes(`(default: ${shown.replaceAll('`', '')})`),
      name,
    )
})

t.test('a server knows every variable of an option', async t => {
  const settings = Object.values(settingsTable).map(({ name }) => name)
  for (const { options } of all)
    for (const { variable } of options)
      if (variable !== undefined) t.ok([...settings, ...clientVariables].includes(variable), variable)
})

t.test('uses colour only on terminals, and respects NO_COLOR and FORCE_COLOR', async t => {
  const folder = t.testdir()
  const plain = await runTlsbound(['--help'], folder)
  t.notMatch(plain.stdout, '\u001b', 'no colour on a pipe')
  const forced = await runTlsbound(['--help'], folder, { FORCE_COLOR: '1' })
  t.match(forced.stdout, '\u001b[1mUsage:\u001b[22m')
  t.equal(stripVTControlCharacters(forced.stdout), plain.stdout, 'the text is the same')
  const command = `${process.execPath} ${process.cwd()}/src/cli/cli.ts sevre`
  const onTerminal = (env: Readonly<Record<string, string>>) =>
    run('script', ['-qec', command, '/dev/null'], folder, { TERM: 'xterm', ...env })
  t.match((await onTerminal({})).stdout, '\u001b[31mtlsbound:\u001b[39m there is no command')
  t.match((await onTerminal({ NO_COLOR: '1' })).stdout, /^tlsbound: there is no command/)
})

t.test('the man page is valid and matches the commands', async t => {
  const { status, stderr } = spawnSync('node', ['scripts/generate.ts', '--check', 'man'], { encoding: 'utf8' })
  t.equal(status, 0, stderr)
  const lint = spawnSync('mandoc', ['-T', 'lint', '-W', 'warning', 'man/tlsbound.1'], { encoding: 'utf8' })
  if (lint.error) throw new Error(`this test needs mandoc (Debian package mandoc): ${lint.error.message}`)
  const warnings = (lint.stdout + lint.stderr).split('\n').filter(line => line !== '')
  t.same(
    warnings.filter(line => !line.includes('missing date')),
    [],
    'a reproducible page has no date',
  )
  const page = spawnSync('mandoc', ['-T', 'utf8', '-O', 'width=200', 'man/tlsbound.1'], { encoding: 'utf8' })
  const text = page.stdout.split(/.[\b]/).join('').replace(/\s+/g, ' ') // bold is a letter typed twice
  for (const { summary, options, description, examples } of all)
    for (const part of [summary, ...options.map(({ help }) => help), ...description, ...examples])
      t.ok(text.includes(part.replace(/\s+/g, ' ')), part)
})
