// client.fetch fits where the global fetch is expected, in strict TypeScript: with the types of Node, and with those of browsers, which
// `tsc` has by default.
import { writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import t from 'tap'
import { run } from '../helpers/process/process.ts'

t.setTimeout(240_000)

const program = `
import { createClient } from ${JSON.stringify(resolve('src/client/client.ts'))}
declare const options: Parameters<typeof createClient>[0]
const client = createClient(options)
interface Options { fetch?: typeof fetch }
export const sdk: Options = { fetch: client.fetch }
export async function use(call: typeof fetch): Promise<unknown> {
  const answer: Response = await call('/notes', { method: 'POST', headers: { a: 'b' }, body: 'text' })
  return [await answer.json(), answer.headers.get('a'), await (await client.fetch('/notes')).json()]
}
void use(client.fetch)
`

for (const lib of [['es2024'], ['es2024', 'dom', 'dom.iterable']])
  t.test(`compiles with ${lib.join(', ')}`, async t => {
    const folder = t.testdir()
    writeFileSync(join(folder, 'program.ts'), program)
    const compilerOptions = {
      lib,
      rewriteRelativeImportExtensions: false,
      allowImportingTsExtensions: true,
      typeRoots: [resolve('node_modules/@types')],
    }
    const config = { extends: resolve('tsconfig.json'), compilerOptions, include: ['program.ts'], exclude: [] }
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(config))
    const tsc = resolve('node_modules/.bin/tsc')
    t.match(await run(tsc, ['-p', folder], folder), { code: 0, stdout: '' })
    writeFileSync(join(folder, 'program.ts'), program.replace('client.fetch }', 'client.close }'))
    t.not((await run(tsc, ['-p', folder], folder)).code, 0, 'control')
  })
