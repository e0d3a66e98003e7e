// examples/*.diff: the changes from one example to another.
import { spawnSync } from 'node:child_process'
import type { Files } from './generator.ts'

/** The base example → the examples that change one thing; examples/NAME.diff shows the change. */
const steps: Readonly<Record<string, readonly string[]>> = {
  'plain-bearer.ts': ['bound.ts'],
  'bound.ts': ['proof.ts', 'own-issuer.ts'],
  'client-token.ts': ['client-refresh.ts', 'client-exchange.ts'],
  'plain-bearer.test.ts': ['bound.test.ts'],
  ...Object.fromEntries(
    ['express.ts', 'koa.ts', 'hono.ts', 'nest-fastify.ts', 'https.ts', 'websocket.ts'].map(name => [
      `plain/${name}`,
      [name],
    ]),
  ),
}

export function generate(): Files {
  const pairs = Object.entries(steps).flatMap(([from, targets]) => targets.map(to => [from, to] as const))
  return Object.fromEntries(pairs.map(([from, to]) => [`examples/${to.replace(/\.ts$/, '.diff')}`, compare(from, to)]))
}

function compare(from: string, to: string): string {
  const names = ['--label', from, '--label', to]
  const { stdout, error } = spawnSync('diff', ['-u', ...names, from, to], { cwd: 'examples', encoding: 'utf8' })
  if (error) throw error
  return stdout
}
