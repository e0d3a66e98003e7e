// tlsbound completion: prints the completion script for a shell, generated from the descriptions of the commands.
import { type Command, type NamedCommand, UsageError } from './command.ts'
import { renderBash } from './completion/bash.ts'
import { renderFish } from './completion/fish.ts'
import { renderZsh } from './completion/zsh.ts'

const shells = { bash: renderBash, zsh: renderZsh, fish: renderFish }

/** Creates the command; `loadCommands` loads the commands to complete. */
export function createCompletion(loadCommands: () => Promise<readonly NamedCommand[]>): Command {
  return {
    usage: ['bash|zsh|fish'],
    description: [
      'Writes the completion script for a shell to stdout. With it the shell completes commands, actions, options, their values and file names.',
    ],
    positionals: { value: 'SHELL', choices: Object.keys(shells) },
    options: [],
    examples: [
      'source <(tlsbound completion bash)  #  in ~/.bashrc',
      'source <(tlsbound completion zsh)   #  in ~/.zshrc, after compinit',
      'tlsbound completion fish > ~/.config/fish/completions/tlsbound.fish',
    ],
    async run(_, [shell, ...others]) {
      if (shell === undefined || !Object.hasOwn(shells, shell) || others.length > 0)
        throw new UsageError(`expected one shell: ${Object.keys(shells).join(', ')}`)
      process.stdout.write(shells[shell as keyof typeof shells](await loadCommands()))
    },
  }
}
