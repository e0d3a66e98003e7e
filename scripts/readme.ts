// Keeps README.md true: its transcript is the output of `npm run demo`.
// `node scripts/readme.ts` exits 1 when they differ; with --write it mends the page.
import { readFileSync, writeFileSync } from 'node:fs'
import { runDemo } from './run-demo.ts'

const page = readFileSync('README.md', 'utf8')
const transcript = /(?<=\$ npm run demo\n)[^`]*(?=```)/
if (!transcript.test(page)) throw new Error('README.md has no block that begins with $ npm run demo')
const output = runDemo()
const mended = page.replace(transcript, () => output)
if (process.argv.includes('--write')) writeFileSync('README.md', mended)
else if (mended !== page) {
  console.error('README.md: the transcript differs from the output of the demo: run node scripts/readme.ts --write')
  process.exitCode = 1
}
