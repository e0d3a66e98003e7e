// README.md: the transcript of `npm run demo` is what the demo prints.
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import type { Files } from './generator.ts'

const transcript = /(?<=\$ (?:npm ci && )?npm run demo\n)[^`]*(?=```)/

export function generate(): Files {
  const page = readFileSync('README.md', 'utf8')
  if (!transcript.test(page)) throw new Error('README.md lacks the transcript of npm run demo')
  return { 'README.md': page.replace(transcript, runDemo) }
}

function runDemo(): string {
  const { stdout, stderr, status } = spawnSync('npm', ['run', '--silent', 'demo'], { encoding: 'utf8' })
  if (status !== 0) throw new Error(`npm run demo ended with ${status}:\n${stdout}${stderr}`)
  return stdout
}
