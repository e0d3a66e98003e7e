// Builds the image of Dockerfile on stand-ins for its base images. Downloads nothing: the packages are those that `npm ci` has
// stored in npm's cache.
import { execFile } from 'node:child_process'
import { realpathSync } from 'node:fs'
import { delimiter, join, resolve } from 'node:path'
import { promisify } from 'node:util'
import type { Engine } from './podman.ts'

/** The name of the built image. */
export const image = 'localhost/tlsbound'

/** Builds the image. Rejects with the last lines of the build. */
export async function buildImage({ folder, podman }: Engine): Promise<void> {
  const npm = realpathSync(findProgram('npm')).replace(/\/bin\/npm-cli\.js$/, '')
  const bases = join(folder, 'bases')
  const { stdout: cache } = await promisify(execFile)('npm', ['config', 'get', 'cache'])
  await promisify(execFile)('test/helpers/deploy/base-images.sh', [bases, realpathSync(process.execPath), npm])
  for (const [name, ...environment] of [
    ['node', 'PATH=/usr/local/bin:/usr/bin', 'npm_config_offline=true', 'npm_config_cache=/npm-cache'],
    ['cc', 'PATH=/usr/local/bin:/usr/bin'],
  ]) {
    const archive = join(bases, `${name}.tar`)
    await promisify(execFile)('tar', ['-C', join(bases, String(name)), '-cf', archive, '.'])
    const changes = environment.flatMap(variable => ['--change', `ENV ${variable}`])
    await podman('import', ...changes, archive, `localhost/${name}`)
  }
  const building = podman(
    ...['build', '--isolation', 'chroot', '--format', 'docker', '--layers=false', '--tag', image],
    ...['--build-arg', 'NODE_IMAGE=localhost/node', '--build-arg', 'BASE_IMAGE=localhost/cc'],
    ...['--volume', `${cache.trim()}:/npm-cache`, resolve('.')],
  )
  await building.catch((cause: Error) => {
    throw /ENOTCACHED/.test(cause.message) ? new Error(`run npm ci, then this test again: ${cause.message}`) : cause
  })
}

/** Returns the path of a program outside of this repository. */
function findProgram(name: string): string {
  const folders = (process.env.PATH ?? '').split(delimiter).filter(folder => !folder.includes('node_modules'))
  for (const folder of folders)
    try {
      return realpathSync(join(folder, name))
    } catch {}
  throw new Error(`there is no ${name} in PATH`)
}
