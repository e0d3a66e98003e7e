// The first import of every program. On an older Node it reports the required version and ends the process.
import { nodeProblem } from './node-version.js'

if (nodeProblem !== undefined) {
  process.stderr.write(`${nodeProblem}\n`)
  process.exit(1)
}
