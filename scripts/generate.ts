// Writes the files that are derived from the code, and prints the changed ones: `npm run generate`. `npm run generate:check` names each file that differs
// and exits 1. Arguments select generators: `node scripts/generate.ts refusals`.
import { readFileSync, writeFileSync } from 'node:fs'
import type { Generator } from './generate/generator.ts'

/** Each is imported when it runs, so that a single one is fast. */
const generators: Readonly<Record<string, () => Promise<Generator>>> = {
  settings: () => import('./generate/settings.ts'),
  'command-line': () => import('./generate/command-line.ts'),
  man: () => import('./generate/man.ts'),
  library: () => import('./generate/library.ts'),
  'issuer-profiles': () => import('./generate/issuer-profiles.ts'),
  refusals: () => import('./generate/refusals.ts'),
  'refresh-rule': () => import('./generate/refresh-rule.ts'),
  'event-schemas': () => import('./generate/event-schemas.ts'),
  metrics: () => import('./generate/metrics.ts'),
  compliance: () => import('./generate/compliance.ts'),
  threats: () => import('./generate/threats.ts'),
  examples: () => import('./generate/examples.ts'),
  demo: () => import('./generate/demo.ts'),
}

const args = process.argv.slice(2)
const isCheck = args.includes('--check')
const chosen = args.filter(arg => arg !== '--check')
const unknown = chosen.filter(name => !Object.hasOwn(generators, name))
if (unknown.length > 0)
  throw new Error(`no generator ${unknown.join(', ')}; expected: ${Object.keys(generators).join(', ')}`)

for (const [name, load] of Object.entries(generators)) {
  if (chosen.length > 0 && !chosen.includes(name)) continue
  const { generate } = await load()
  for (const [path, content] of Object.entries(await generate())) {
    const found = readIfThere(path)
    if (found === content) continue
    if (isCheck) report(path, name, found, content)
    else {
      writeFileSync(path, content)
      console.log(`${path}: written`)
    }
  }
}

/** Reports a file that differs, with the first superfluous and the first missing lines. */
function report(path: string, name: string, found: string, content: string): void {
  const [here, there] = [found.split('\n'), content.split('\n')]
  const extra = here.filter(line => !there.includes(line)).map(line => `- ${line}`)
  const missing = there.filter(line => !here.includes(line)).map(line => `+ ${line}`)
  console.error(`${path} differs from the code; run: node scripts/generate.ts ${name}`)
  for (const line of [...extra.slice(0, 10), ...missing.slice(0, 10)]) console.error(line)
  process.exitCode = 1
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
