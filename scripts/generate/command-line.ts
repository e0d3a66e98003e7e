// docs/reference/command-line.md: the help of every command, as the command line prints it.
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { type Files, generatedFrom } from './generator.ts'

export async function generate(): Promise<Files> {
  const usage = await help('--help')
  const names = [...usage.matchAll(/^ {2}([a-z]+) {2,}\S/gm)].map(([, name]) => name as string)
  if (names.length < 2) throw new Error(`tlsbound --help lists no commands:\n${usage}`)
  const sections = await Promise.all(names.map(async name => `## ${name}\n\n${block(await help(name, '--help'))}`))
  return {
    'docs/reference/command-line.md': `# Command line

${generatedFrom('the help of the commands', 'command-line')}
This page shows the help of every command of \`tlsbound\`. Where the package is installed, run \`npx tlsbound\`; in a clone of the
repository, run \`node src/cli/cli.ts\`.

${block(usage)}
Results go to standard output, everything else to standard error. Exit code 0: done. 1: refused or failed, or something was
found. 2: wrong usage. An environment variable in parentheses replaces its option; the option takes precedence.

${sections.join('\n')}`,
  }
}

function block(text: string): string {
  return `\`\`\`text\n${text.trimEnd()}\n\`\`\`\n`
}

async function help(...args: readonly string[]): Promise<string> {
  const { NO_COLOR: _, FORCE_COLOR: __, ...env } = process.env
  const { stdout } = await promisify(execFile)(process.execPath, ['src/cli/cli.ts', ...args], { env })
  return stdout
}
