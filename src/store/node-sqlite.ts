// Node's SQLite, loaded at evaluation instead of at link time: on a Node without it, src/process/require-node.js runs first
// and reports the required version.
import { getBuiltinModule } from 'node:process'

export const { backup, DatabaseSync } = getBuiltinModule('node:sqlite')
export type DatabaseSync = import('node:sqlite').DatabaseSync
