#!/usr/bin/env node
// The program. It imports little, so that signals are caught before the rest is loaded.
import '../process/check-node.js'
import '../process/no-debugger.js'
import '../process/early-signals.ts'

await import('./run.ts')
