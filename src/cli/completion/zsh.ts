// The completion script for zsh, with the explanations of help. It can be sourced, or stored as _tlsbound in $fpath.
import type { NamedCommand, Option } from '../command.ts'
import { optionsOf, positionalKindOf, quote, spellingsOf, type ValueKind, valueKindOf } from './described.ts'

/** Generates the completion script. */
export function renderZsh(commands: readonly NamedCommand[]): string {
  const summaries = [...commands, { name: 'help', summary: 'shows the help of a command' }].map(describe)
  return `#compdef tlsbound
# Completion of tlsbound for zsh. Written by: tlsbound completion zsh
_tlsbound() {
  local -a commands
  commands=(
${summaries.map(summary => `    ${summary}`).join('\n')}
  )
  if ((CURRENT == 2)); then
    if [[ $PREFIX == -* ]]; then
      compadd -- --help --version
    else
      _describe command commands
    fi
    return
  fi
  local command=$words[2]
  shift words
  ((CURRENT--))
  case $command in
${commands.map(renderCommand).join('\n')}
    help) ((CURRENT == 2)) && _describe command commands ;;
  esac
}
if [[ $funcstack[1] == _tlsbound ]]; then
  _tlsbound "$@"
else
  compdef _tlsbound tlsbound
fi
`
}

function renderCommand(command: NamedCommand): string {
  const { name, actions } = command
  const positional = complete(positionalKindOf(command))
  const lines = optionsOf(command).map(renderOption)
  if (actions !== undefined)
    lines.push(quote(`1:action:((${actions.map(({ name, help }) => `${name}\\:${escapeText(help)}`).join(' ')}))`))
  lines.push(quote(`*:argument:${positional}`))
  return `    ${name})
      _arguments \\
${lines.map(line => `        ${line}`).join(' \\\n')}
      ;;`
}

function renderOption(option: Option): string {
  const { help, value, multiple } = option
  const argument = value === undefined ? '' : `:${value}:${complete(valueKindOf(option))}`
  const spellings = spellingsOf(option)
  const repeat = multiple === true ? '*' : ''
  return spellings.map(spelling => quote(`${repeat}${spelling}[${escapeText(help)}]${argument}`)).join(' ')
}

function complete(value: ValueKind): string {
  if (value.kind === 'list') return `(${value.choices.join(' ')})`
  return value.kind === 'file' ? '_files' : value.kind === 'folder' ? '_files -/' : ' '
}

function describe({ name, summary }: { readonly name: string; readonly summary: string }): string {
  return quote(`${name}:${summary}`)
}

/** Escapes the characters with a meaning in specifications of _arguments. */
function escapeText(text: string): string {
  return text.replace(/[\\:[\]() "]/g, character => `\\${character}`)
}
