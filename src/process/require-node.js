// The first import of every entry point of the library. It throws on an older Node, since only the program that imports the
// library may end the process. Modules of Node that Node 20 lacks
// must not be imported by name, or linking fails before this is evaluated: see `src/store/node-sqlite.ts`.
import { nodeProblem } from './node-version.js'

if (nodeProblem !== undefined) throw new Error(nodeProblem)
