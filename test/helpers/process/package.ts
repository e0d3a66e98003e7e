// The package as users install it: packed from a copy of this tree, and installed with npm into folders outside of it.
import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import type { Ended } from './process.ts'

export interface Manifest {
  readonly version: string
  readonly engines: { readonly node: string }
  readonly scripts: Readonly<Record<string, string>>
  readonly exports: Readonly<Record<string, object>>
  readonly bin: Readonly<Record<string, string>>
  readonly dependencies: Readonly<Record<string, string>>
  readonly peerDependencies: Readonly<Record<string, string>>
  readonly devDependencies: Readonly<Record<string, string>>
}
export const manifest: Manifest = JSON.parse(readFileSync('package.json', 'utf8'))

/** Makes a git repository with the current files of this tree. */
export function copyTree(copy: string): { readonly path: string; readonly commit: string } {
  const left = /^(node_modules|dist|data|run|reports|\.git|\.tap|\.stryker-tmp|bench\/results)$/
  cpSync('.', copy, { recursive: true, filter: path => !left.test(relative('.', path)) })
  const git = (...args: string[]): string => {
    const identity = ['-c', 'user.name=test', '-c', 'user.email=test@example.com', '-c', 'commit.gpgsign=false']
    const { status, stdout, stderr } = spawnSync('git', [...identity, ...args], { cwd: copy, encoding: 'utf8' })
    if (status !== 0) throw new Error(`git ${args[0]} failed: ${stderr}`)
    return stdout.trim()
  }
  git('init', '-q')
  git('add', '-A')
  git('commit', '-q', '-m', 'unchanged')
  return { path: copy, commit: git('rev-parse', 'HEAD') }
}

/** Packs a second copy, since packing writes dist/. The build uses the packages of this tree. */
export async function pack(repository: string, root: string): Promise<{ path: string; files: readonly string[] }> {
  const copy = join(root, 'packed')
  cpSync(repository, copy, { recursive: true })
  symlinkSync(resolve('node_modules'), join(copy, 'node_modules'))
  const { code, stdout, stderr } = await npm(['pack', '--json', '--pack-destination', root], copy)
  if (code !== 0) throw new Error(`npm pack failed: ${stderr}`)
  const [{ filename, files }] = JSON.parse(stdout.slice(stdout.indexOf('['))) as [
    { filename: string; files: { path: string }[] },
  ]
  return { path: join(root, filename), files: files.map(({ path }) => path) }
}

/**
 * Installs the package and others into an empty folder, with the versions of this lockfile, so that npm finds them in its cache
 * and asks the registry only for those that are missing there.
 */
export async function installInto(folder: string, source: string, names: readonly string[]): Promise<void> {
  mkdirSync(folder)
  const versions = { ...manifest.dependencies, ...manifest.devDependencies }
  const others = names.map(name => {
    if (versions[name] === undefined) throw new Error(`${name} is not in package.json`)
    return [name, versions[name]]
  })
  const dependencies = { ...Object.fromEntries(others), tlsbound: source }
  const name = 'app'
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name, private: true, dependencies }))
  const lock = JSON.parse(readFileSync('package-lock.json', 'utf8')) as { packages: Record<string, object> }
  const { '': _, 'tools/runtime': __, 'node_modules/tlsbound-runtime': ___, ...packages } = lock.packages
  // Without a package.json, npm would prepare a git repository twice: for its manifest, and for its files.
  const { version, dependencies: needed, peerDependencies, bin } = manifest
  const tlsbound = { version, resolved: source, dependencies: needed, peerDependencies, bin }
  const all = { '': { name, dependencies }, 'node_modules/tlsbound': tlsbound, ...packages }
  const file = { name, lockfileVersion: 3, requires: true, packages: all }
  writeFileSync(join(folder, 'package-lock.json'), JSON.stringify(file))
  const { code, stdout, stderr } = await npm(['install', '--prefer-offline', '--no-audit', '--no-fund'], folder)
  if (code !== 0) throw new Error(`npm install failed: ${stdout}${stderr}`)
}

/** Runs npm as a user would: without the environment that `npm test` passes to its children. */
export function npm(args: readonly string[], cwd: string): Promise<Ended> {
  const env = Object.entries(process.env).filter(([name]) => !/^npm_|^NODE_OPTIONS$|^TAP/i.test(name))
  return new Promise(done => {
    const { status, stdout, stderr } = spawnSync('npm', [...args], {
      cwd,
      encoding: 'utf8',
      env: Object.fromEntries(env),
    })
    done({ code: status ?? 'killed', stdout, stderr })
  })
}
