// The differences between the examples, each from the file that it starts from and the file that it leads to.
// Prints what differs; with --write it writes them.
import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'

/** The example that one starts from → those that change one thing of it; examples/NAME.diff shows what. */
const steps: Readonly<Record<string, readonly string[]>> = {
  'plain-bearer.ts': ['bound.ts'],
  'bound.ts': ['proof.ts', 'own-issuer.ts'],
  'client-token.ts': ['client-refresh.ts', 'client-exchange.ts'],
  'plain-bearer.test.ts': ['bound.test.ts'],
}

for (const [from, targets] of Object.entries(steps)) {
  for (const to of targets) {
    const { stdout, error } = spawnSync('diff', ['-u', '--label', from, '--label', to, from, to], {
      cwd: 'examples',
      encoding: 'utf8',
    })
    if (error) throw error
    const path = `examples/${to.replace(/\.ts$/, '.diff')}`
    if (process.argv.includes('--write')) writeFileSync(path, stdout)
    else if (readFileSync(path, 'utf8') !== stdout) {
      console.error(`${path} differs from the examples; run: node scripts/examples.ts --write`)
      process.exitCode = 1
    }
  }
}
