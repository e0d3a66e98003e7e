// docs/reference/command-line.md: the help of every command, as the command line prints it.
import { loadCommands } from '../../src/cli/commands.ts'
import { renderHelp, renderUsage } from '../../src/cli/help.ts'
import { type Files, generatedFrom } from './generator.ts'

export async function generate(): Promise<Files> {
  const sections = (await loadCommands()).map(command => `## ${command.name}\n\n${block(renderHelp(command))}`)
  return {
    'docs/reference/command-line.md': `# Command line

${generatedFrom('the descriptions of the commands', 'command-line')}
This page shows the help of every command of \`tlsbound\`. Where the package is installed, run \`npx tlsbound\`; in a clone of the
repository, run \`npx node src/cli/cli.ts\`.

${block(renderUsage())}
Results go to standard output, everything else to standard error. Exit code 0: done. 1: refused or failed, or something was
found. 2: wrong usage. An environment variable in parentheses replaces its option; the option takes precedence.

${sections.join('\n')}`,
  }
}

function block(text: string): string {
  return `\`\`\`text\n${text.trimEnd()}\n\`\`\`\n`
}
