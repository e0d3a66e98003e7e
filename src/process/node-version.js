// Plain JavaScript without imports, so that an older Node can run it too.

const needed = [24, 21, 0]

/** Returns what is wrong with the running version of Node and what to do, or `undefined` if it is new enough. */
export const nodeProblem = describe(process.versions.node)

/** @param {string} version */
function describe(version) {
  const found = version.split('.').map(Number)
  const first = needed.findIndex((number, index) => found[index] !== number)
  if (first === -1 || Number(found[first]) > Number(needed[first])) return undefined
  // The sources run in a clone of the repository, where npm installs a newer Node; the package has no sources.
  const inRepository = /\/src\/process\/[^/]*$/.test(import.meta.url)
  const remedy = inRepository
    ? 'Run "npm ci", then "npm start" or "npx tlsbound": they use the Node that npm installs here'
    : 'Install a newer Node from https://nodejs.org'
  return `tlsbound needs Node ${needed.join('.')} or newer, but this is Node ${version}. ${remedy}.`
}
