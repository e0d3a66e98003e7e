// The completion script for bash. It does not need the package bash-completion.
import type { NamedCommand } from '../command.ts'
import { optionsOf, positionalKindOf, quote, spellingsOf, type ValueKind, valueKindOf } from './described.ts'

/** Generates the completion script. */
export function renderBash(commands: readonly NamedCommand[]): string {
  const names = [...commands.map(({ name }) => name), 'help']
  return `# Completion of tlsbound for bash. Written by: tlsbound completion bash
_tlsbound() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD - 1]} command=\${COMP_WORDS[1]}
  local words='' kind=''
  COMPREPLY=()
  if ((COMP_CWORD == 1)); then
    words=${quote([...names, '--help', '--version'].join(' '))}
  else
    case $command in
${commands.map(renderCommand).join('\n')}
      help)
        ((COMP_CWORD == 2)) && words=${quote(commands.map(({ name }) => name).join(' '))}
        ;;
    esac
  fi
  case $kind in
    file)
      compopt -o filenames 2>/dev/null
      mapfile -t COMPREPLY < <(compgen -f -- "$current")
      ;;
    folder)
      compopt -o filenames 2>/dev/null
      mapfile -t COMPREPLY < <(compgen -d -- "$current")
      ;;
    *) mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current") ;;
  esac
}
complete -F _tlsbound tlsbound
`
}

function renderCommand(command: NamedCommand): string {
  const options = optionsOf(command)
  const branches = options
    .filter(({ value }) => value !== undefined)
    .map(option => `          ${spellingsOf(option).join(' | ')}) ${assign(valueKindOf(option))} ;;`)
  const { actions } = command
  const positional = assign(positionalKindOf(command))
  const first =
    actions === undefined
      ? positional
      : `if ((COMP_CWORD == 2)); then words=${quote(actions.map(({ name }) => name).join(' '))}; else ${positional}; fi`
  return `      ${command.name})
        case $previous in
${branches.join('\n')}${branches.length > 0 ? '\n' : ''}          *)
            if [[ $current == -* ]]; then
              words=${quote(options.flatMap(spellingsOf).join(' '))}
            else
              ${first}
            fi
            ;;
        esac
        ;;`
}

function assign(value: ValueKind): string {
  return value.kind === 'list' ? `words=${quote(value.choices.join(' '))}` : `kind=${value.kind}`
}
