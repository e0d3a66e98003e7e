// The first import of every program: on an older Node it says in one line what is needed, and ends the process.
import { nodeProblem } from './node-version.js'

if (nodeProblem !== undefined) {
  process.stderr.write(`${nodeProblem}\n`)
  process.exit(1)
}
