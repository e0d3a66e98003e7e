// The parser of declarations for docs/reference/library.md: what it finds, and that it rejects an export without a doc
// comment.
import { join } from 'node:path'
import t from 'tap'
import { readExports, requireComments } from '../../scripts/generate/library.ts'

const documented = `import type { Other } from './other.ts';
export { type Option, run } from './run.ts';
/** Builds it. */
export declare const build: (name: string) => void;
declare module 'fastify' {
    interface FastifyRequest {
        token: string;
    }
}
declare const internal = 1;
export {};
`
const run = `/** What it may be. */
export interface Option {
    /**
     * Closes it.
     * @throws Error when it is closed.
     */
    close(): void;
    readonly name: string;
}
/**
 * Runs it
 * twice. @throws TypeError for a wrong option.
 */
export declare function run({ name }?: Option): Promise<{
    readonly code: number;
}>;
export declare function notExported(): void;
`

t.test('finds the exports of a module, through re-exports, with signatures and doc comments', async t => {
  const folder = t.testdir({ 'index.d.ts': documented, 'run.d.ts': run })
  const found = readExports(join(folder, 'index.d.ts'))
  t.same(found, [
    { name: 'build', signature: 'const build: (name: string) => void;', comment: 'Builds it.' },
    {
      name: 'run',
      signature: 'function run({ name }?: Option): Promise<{\n  readonly code: number;\n}>;',
      comment: 'Runs it\ntwice.\n\nThrows TypeError for a wrong option.',
    },
    {
      name: 'Option',
      signature:
        'interface Option {\n  /**\n   * Closes it.\n   * @throws Error when it is closed.\n   */\n  close(): void;\n  readonly name: string;\n}',
      comment: 'What it may be.',
    },
  ])
  t.doesNotThrow(() => requireComments('tlsbound', found))
})

t.test('rejects exported functions, constants and methods without a doc comment, and names all of them', async t => {
  const bare = (text: string) => text.replaceAll(/^ *\/\*\*[\s\S]*?\*\/\n/gm, '')
  const folder = t.testdir({ 'index.d.ts': bare(documented), 'run.d.ts': bare(run) })
  t.throws(() => requireComments('tlsbound', readExports(join(folder, 'index.d.ts'))), {
    message: 'exports of tlsbound without a doc comment: build, run, Option.close',
  })
})

t.test('rejects a module that does not declare what it exports', async t => {
  const folder = t.testdir({ 'index.d.ts': "export { missing } from './run.ts';\n", 'run.d.ts': run })
  t.throws(() => readExports(join(folder, 'index.d.ts')), /run\.d\.ts does not declare missing/)
})
