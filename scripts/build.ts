// npm run build: builds dist/ from src/. Part of `prepare`, so that `npm pack` and an install from a git repository include
// it.
import { spawnSync } from 'node:child_process'
import { cpSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'

rmSync('dist', { recursive: true, force: true })
const { status, error } = spawnSync('tsc', ['-p', 'tsconfig.build.json'], {
  stdio: 'inherit',
  shell: process.platform === 'win32',
})
if (status !== 0) throw new Error(`tsc failed: ${error?.message ?? `exit code ${status}`}`)

// Files that are used unchanged: the pages, and programs in other languages.
for (const name of filesBelow('src'))
  if (name.startsWith('page') || !/\.[tj]s$/.test(name)) cpSync(join('src', name), join('dist', name))

// Only the entry points of the package need declarations: the others would double the number of its files.
const { exports } = JSON.parse(readFileSync('package.json', 'utf8')) as { exports: Record<string, { types: string }> }
const needed = new Set<string>()
for (const { types } of Object.values(exports)) collectDeclarations(join(types))
for (const name of filesBelow('dist'))
  if (name.endsWith('.d.ts') && !needed.has(join('dist', name))) rmSync(join('dist', name))

function filesBelow(folder: string): string[] {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true })
  return entries
    .filter(entry => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name).slice(folder.length + 1))
}

/** Adds a declaration file and everything that it imports from the package. */
function collectDeclarations(path: string): void {
  if (needed.has(path)) return
  needed.add(path)
  for (const [, from = ''] of readFileSync(path, 'utf8').matchAll(/(?:\bfrom|\bimport)\s*\(?\s*['"](\.[^'"]+)['"]/g))
    collectDeclarations(join(dirname(path), from.replace(/\.[tj]s$/, '.d.ts')))
}
