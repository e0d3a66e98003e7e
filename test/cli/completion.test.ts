// `tlsbound completion`: the scripts, tested in the real shells.
import { spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { loadCommands } from '../../src/cli/commands.ts'
import { renderBash } from '../../src/cli/completion/bash.ts'
import { renderFish } from '../../src/cli/completion/fish.ts'
import { renderZsh } from '../../src/cli/completion/zsh.ts'
import { basicEnvironment } from '../helpers/process/basic-environment.ts'
import { runTlsbound } from '../helpers/process/process.ts'

t.setTimeout(120_000)
const all = await loadCommands()
const scripts = { bash: renderBash(all), zsh: renderZsh(all), fish: renderFish(all) }
const folder = t.testdir({ 'token.txt': '', here: {} })
for (const [shell, script] of Object.entries(scripts)) writeFileSync(join(folder, `completion.${shell}`), script)

/** Runs a shell in the folder to its end. */
function runShell(shell: string, ...args: readonly string[]): string {
  const env = { ...basicEnvironment, HOME: join(folder, 'home'), TERM: 'xterm' }
  mkdirSync(env.HOME, { recursive: true })
  const { stdout, stderr, error } = spawnSync(shell, args, { cwd: folder, env, encoding: 'utf8', timeout: 30_000 })
  if (error) throw new Error(`this test needs ${shell} (Debian package ${shell}): ${error.message}`)
  if (stderr !== '') throw new Error(stderr)
  return stdout
}

/** Command lines, and the completions of their last word. */
const cases: readonly (readonly [line: string, contains: string[], lacks?: string[]])[] = [
  ['ser', ['serve']],
  ['c', ['certs', 'call', 'clients', 'completion'], ['serve']],
  ['help sc', ['scan']],
  ['clients ', ['list', 'add-secret', 'disable'], ['token.txt']],
  ['clients add to', ['token.txt']],
  ['keys r', ['rotate']],
  ['audit verify to', ['token.txt']],
  ['call --da', ['--data', '--data-binary']],
  ['call --output to', ['token.txt']],
  ['token --binding p', ['proof'], ['connection']],
  ['certs --key-type ', ['ec', 'rsa']],
  ['certs --out h', ['here'], ['token.txt']],
  ['lab --client-auth self', ['self_signed_tls_client_auth']],
  ['completion f', ['fish']],
  ['scan to', ['token.txt']],
]

function completeInBash(line: string): string[] {
  const script = `source completion.bash
read -ra COMP_WORDS <<<"$1"
[[ $1 == *' ' ]] && COMP_WORDS+=('')
COMP_CWORD=$((\${#COMP_WORDS[@]} - 1))
_tlsbound
printf '%s\\n' "\${COMPREPLY[@]}"`
  return runShell('bash', '--norc', '-c', script, 'bash', `tlsbound ${line}`).trim().split('\n')
}

function completeInFish(line: string): string[] {
  const output = runShell(
    'fish',
    '-N',
    '-c',
    `source completion.fish; complete -C ${JSON.stringify(`tlsbound ${line}`)}`,
  )
  return output.split('\n').map(row => row.split('\t')[0]?.replace(/\/$/, '') ?? '')
}

/** Zsh completes only in a terminal: its module zpty creates one, and each added match is written to a file. */
function completeInZsh(line: string): string[] {
  const script = `zmodload zsh/zpty
zpty shell zsh -f -i
read-all() { local part; while zpty -r shell part "*$1*"; do output+=$part; [[ $part == *$1* ]] && return; done }
zpty -w shell "PS1= RPS1= PROMPT_EOL_MARK=; stty columns 200; autoload -Uz compinit; compinit -u -D"
zpty -w shell "source completion.zsh"
zpty -w shell 'compadd() { local -a found; builtin compadd -O found "$@"; print -l -- "match "$^found >>matches; builtin compadd "$@" }'
zpty -w shell 'ended() { print ALL-DONE }; zle -N ended; bindkey "^X^X" ended; bindkey "^I" complete-word; print READY-"$((1))"'
read-all READY-1
zpty -w -n shell "tlsbound $1"$'\\t'$'\\x18\\x18'
read-all ALL-DONE
zpty -d shell`
  writeFileSync(join(folder, 'matches'), '')
  runShell('zsh', '-f', '-c', script, 'zsh', line)
  const { stdout } = spawnSync('sed', ['-n', 's/^match //p', 'matches'], { cwd: folder, encoding: 'utf8' })
  return stdout
    .trim()
    .split('\n')
    .map(match => match.replace(/\/$/, ''))
}

for (const [shell, complete] of Object.entries({ bash: completeInBash, zsh: completeInZsh, fish: completeInFish }))
  t.test(`${shell} completes commands, actions, options, values and file names`, async t => {
    for (const [line, contains, lacks = []] of cases) {
      const found = complete(line)
      for (const word of contains) t.ok(found.includes(word), `${line}: ${word} in ${found}`)
      for (const word of lacks) t.notOk(found.includes(word), `${line}: no ${word}`)
    }
  })

t.test('the scripts name every command and option', async t => {
  for (const [shell, script] of Object.entries(scripts))
    for (const { name, options } of all) {
      t.ok(script.includes(name), `${shell}: ${name}`)
      for (const option of options) t.match(script, new RegExp(`(--|-l )${option.name}\\b`), `${shell}: ${option.name}`)
    }
})

t.test('prints the completion script for a shell', async t => {
  for (const [shell, stdout] of Object.entries(scripts))
    t.same(await runTlsbound(['completion', shell], folder), { code: 0, stdout, stderr: '' }, shell)
})
