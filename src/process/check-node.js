// Loaded before all else, and plain JavaScript, so that an older Node can run it and say what is missing.
const needed = [24, 21, 0]
const found = process.versions.node.split('.').map(Number)
const first = needed.findIndex((number, index) => found[index] !== number)
if (first !== -1 && /** @type {number} */ (found[first]) < /** @type {number} */ (needed[first])) {
  process.stderr.write(
    `tlsbound needs Node ${needed.join('.')} or newer, but this is ${process.versions.node}; "npm start" brings its own.\n`,
  )
  process.exit(1)
}
