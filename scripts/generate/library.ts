// docs/reference/library.md: the exports of the package with signatures and doc comments, from the emitted declarations. The
// parser below knows the form of TypeScript's declarations, and throws at anything else.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { type Files, generatedFrom } from './generator.ts'

/** The entry points, with the file of each. */
const entries = {
  tlsbound: { file: 'index.d.ts', about: 'For a resource server, or an authorization server of your own.' },
  'tlsbound/express': {
    file: 'plugins/express.d.ts',
    about: 'Middleware for Express, Connect, and NestJS on Express.',
  },
  'tlsbound/koa': { file: 'plugins/koa.d.ts', about: 'Middleware for Koa.' },
  'tlsbound/hono': { file: 'plugins/hono.d.ts', about: 'Middleware for Hono on Node.' },
  'tlsbound/client': { file: 'client/client.d.ts', about: 'A client that binds its tokens and reconnects.' },
  'tlsbound/server': { file: 'process/embed.d.ts', about: 'The authorization server inside your own program.' },
  'tlsbound/store-contract': {
    file: 'testing/store-contract/store-contract.d.ts',
    about: 'Tests for a store of your own.',
  },
  'tlsbound/testing': { file: 'testing/start.d.ts', about: 'A whole server in memory, for tests.' },
}

export interface Declaration {
  readonly name: string
  /** Without `export` and `declare`. */
  readonly signature: string
  /** The text of its doc comment; empty if there is none. */
  readonly comment: string
}

interface Module {
  readonly declarations: ReadonlyMap<string, Declaration>
  /** The exported names of the module, with the module that declares each. */
  readonly exported: ReadonlyMap<string, string>
}

export function generate(): Files {
  const folder = mkdtempSync(join(tmpdir(), 'tlsbound-declarations-'))
  try {
    emitDeclarations(folder)
    const sections = Object.entries(entries).map(([name, { file, about }]) => {
      const declarations = readExports(join(folder, file))
      requireComments(name, declarations)
      return `## ${name}\n\n${about}\n\n${declarations.map(describe).join('\n')}`
    })
    return {
      'docs/reference/library.md': `# Library

${generatedFrom('the doc comments in src', 'library')}
This page lists what the package exports: signatures and doc comments. Types that an export mentions and that are not listed are
internal, and may change.

${sections.join('\n')}`,
    }
  } finally {
    rmSync(folder, { recursive: true })
  }
}

function emitDeclarations(folder: string): void {
  const args = ['-p', 'tsconfig.build.json', '--emitDeclarationOnly', '--outDir', folder]
  const { status, stdout, stderr } = spawnSync('node_modules/.bin/tsc', args, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`tsc emits no declarations:\n${stdout}${stderr}`)
}

/** Returns the declarations that a module exports: functions, classes and constants first, then types, each by name. */
export function readExports(file: string): Declaration[] {
  const declarations = [...readModule(file).exported].map(([name, origin]) => findDeclaration(name, origin))
  const rank = ({ signature }: Declaration) => Number(/^(?:interface|type) /.test(signature))
  return declarations.sort((one, other) => rank(one) - rank(other) || (one.name < other.name ? -1 : 1))
}

function findDeclaration(name: string, file: string): Declaration {
  const { declarations, exported } = readModule(file)
  const found = declarations.get(name)
  if (found !== undefined) return found
  const origin = exported.get(name)
  if (origin === undefined || origin === file) throw new Error(`${file} does not declare ${name}`)
  return findDeclaration(name, origin)
}

const modules = new Map<string, Module>()

function readModule(file: string): Module {
  const known = modules.get(file)
  if (known !== undefined) return known
  const declarations = new Map<string, Declaration>()
  const exported = new Map<string, string>()
  // A statement begins in the first column; its other lines are indented or begin with a closing brace.
  const statements = /^(?<comment>\/\*\*[\s\S]*?\*\/\n)?(?<statement>(?![\s}/]).*(?:\n[ }].*)*)/gm
  for (const { groups = {} } of readFileSync(file, 'utf8').matchAll(statements)) {
    const { comment = '', statement = '' } = groups
    const [, list, from] = /^export (?:type )?\{(.*)\}(?: from '(.*)')?;$/s.exec(statement) ?? []
    if (list !== undefined) {
      const origin = from === undefined ? file : join(dirname(file), from.replace(/\.ts$/, '.d.ts'))
      for (const name of list.split(',').map(each => each.trim().replace(/^type /, '')))
        if (name !== '') exported.set(name, origin)
      continue
    }
    const form =
      /^(?<isExported>export )?(?:declare )?(?:abstract )?(?:const|function|class|interface|type|enum) (?<name>\w+)/
    const { isExported, name } = form.exec(statement)?.groups ?? {}
    if (name === undefined) continue // an import, or a declaration of another module
    const signature = statement.replace(/^(?:export )?(?:declare )?/, '').replaceAll(/^( +)/gm, halve)
    declarations.set(name, { name, signature, comment: readComment(comment) })
    if (isExported !== undefined) exported.set(name, file)
  }
  const read = { declarations, exported }
  modules.set(file, read)
  return read
}

/** TypeScript indents by four, and comment lines by one more. */
function halve(spaces: string): string {
  return ' '.repeat(Math.floor(spaces.length / 4) * 2 + (spaces.length % 4))
}

function readComment(comment: string): string {
  return comment
    .replaceAll(/^ ?\/?\*\*?\/? ?|\s*\*\/$/gm, '')
    .trim()
    .replaceAll(/\s*@throws /g, '\n\nThrows ')
    .trim()
}

/** Functions, classes and constants need a doc comment, and so does each method of an interface. */
export function requireComments(entry: string, declarations: readonly Declaration[]): void {
  const lacking = declarations.flatMap(({ name, signature, comment }) => {
    if (/^(?:interface|type) /.test(signature))
      return [...signature.matchAll(/(?<!\*\/)\n {2}(\w+)\(/g)].map(([, method]) => `${name}.${method}`)
    return comment === '' ? [name] : []
  })
  if (lacking.length > 0) throw new Error(`exports of ${entry} without a doc comment: ${lacking.join(', ')}`)
}

function describe({ name, signature, comment }: Declaration): string {
  const about = comment === '' ? '' : `${comment}\n\n`
  return `### ${name}\n\n${about}\`\`\`ts\n${signature}\n\`\`\`\n`
}
