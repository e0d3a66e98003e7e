// Imported by the command line before everything that takes time to load.
import { catchSignals } from './signals.ts'

const [name = '', ...others] = process.argv.slice(2)
const runs = ['serve', 'gateway', 'sidecar'].includes(name)
const shows = others.some(option => ['--check', '--help', '-h'].includes(option))
// The sidecar notices changed files by itself.
if (runs && !shows) catchSignals(name !== 'sidecar')
