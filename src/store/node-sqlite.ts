// Node's SQLite, loaded when this is evaluated instead of linked: on a Node without it, src/process/require-node.js is
// evaluated first, and says which Node is needed.
import { getBuiltinModule } from 'node:process'

export const { DatabaseSync } = getBuiltinModule('node:sqlite')
export type DatabaseSync = import('node:sqlite').DatabaseSync
