// The example unit for systemd: it is valid, it confines the sidecar, and its options exist.
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { parseArgs, promisify } from 'node:util'
import t from 'tap'
import { declareOptions } from '../../src/cli/option.ts'
import { command } from '../../src/cli/sidecar.ts'

const unit = 'examples/tlsbound-sidecar.service'
const text = readFileSync(unit, 'utf8')

async function analyze(...args: readonly string[]): Promise<string> {
  try {
    const { stdout, stderr } = await promisify(execFile)('systemd-analyze', [...args, unit], { timeout: 20_000 })
    return stdout + stderr
  } catch (cause) {
    const isMissing = (cause as NodeJS.ErrnoException).code === 'ENOENT'
    throw isMissing
      ? new Error('this test needs systemd-analyze: install the Debian package systemd', { cause })
      : cause
  }
}

t.test('systemd accepts the unit and reports little exposure', async t => {
  t.equal(await analyze('verify'), '')
  const exposure = /Overall exposure level for \S+: ([\d.]+)/.exec(await analyze('security', '--offline=true'))?.[1]
  t.ok(Number(exposure) < 2, `exposure ${exposure} of 10`)
  t.notMatch(text, /^MemoryDenyWriteExecute/m, 'the JIT needs writable executable memory')
})

t.test('the unit uses only existing options and variables', async t => {
  const [, words = ''] = /^ExecStart=\/usr\/bin\/env tlsbound sidecar (.*)$/m.exec(text) ?? []
  const { values } = parseArgs({ args: words.split(' '), options: declareOptions(command.options) })
  t.match(values, { listen: 'unix:/run/tlsbound/notes.sock', 'socket-mode': '0660', key: '%d/key', cert: '%d/crt' })
  const variables = [...text.matchAll(/^Environment=(\w+)=/gm)].map(([, name = '']) => name)
  t.equal(variables.length, 2)
  for (const name of variables)
    t.ok(
      command.options.some(({ variable }) => variable === name),
      name,
    )
  t.notMatch(text, /^Environment=.*(KEY|TOKEN)/m)
})
