// The example of two servers behind HAProxy, with the real programs: each server is killed and restarted under load, and PostgreSQL
// is restarted (RE01, RE04). Needs the Debian packages haproxy and postgresql.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { run } from '../../helpers/process/process.ts'
import { until } from '../../helpers/until.ts'

t.setTimeout(240_000)

const args = [
  '--conditions=tlsbound-source',
  '--no-warnings',
  new URL('../../../examples/ha/run.ts', import.meta.url).pathname,
]

t.test('refuses no request and loses no revocation while servers are killed and restarted (RE01, RE04)', async t => {
  const folder = t.testdir()
  const { code, stdout, stderr } = await run(process.execPath, args, folder, {}, 220_000)
  t.match({ code, stderr }, { code: 0, stderr: '' }, stdout)
  const numberOf = (pattern: RegExp) => Number(pattern.exec(stdout)?.[1])
  t.equal(numberOf(/^refusals: (\d+)$/m), 0)
  t.ok(numberOf(/^requests: (\d+),/m) > 100, 'control')
  const [, revoked, known] = /^revocations: (\d+), known by both servers: (\d+)$/m.exec(stdout) ?? []
  t.ok(Number(revoked) > 5, 'control')
  t.equal(known, revoked)
  t.match(stdout, /^a token that was not revoked: accepted by both servers$/m)
  t.comment(stdout)
})

t.test(
  'leaves no program and no folder behind when it is interrupted, also twice and while programs start',
  async t => {
    for (const file of ['postgres/postmaster.opts', 'data-a']) {
      const TMPDIR = t.testdir()
      const child = spawn(process.execPath, args, { stdio: 'ignore', env: { ...process.env, TMPDIR } })
      const find = () => readdirSync(TMPDIR).find(name => existsSync(join(TMPDIR, name, file)))
      await until(() => find() !== undefined)
      const mine = join(TMPDIR, find() as string)
      const programs = () => readdirSync('/proc').filter(pid => workingFolderOf(pid)?.startsWith(mine))
      t.ok(programs().length > 0, 'control')
      child.kill('SIGINT')
      child.kill('SIGTERM')
      t.same(await once(child, 'exit'), [1, null])
      t.same(readdirSync(TMPDIR), [])
      t.same(programs(), [])
    }
  },
)

/** Returns the working folder of a process; undefined if it has ended, or belongs to another user. */
function workingFolderOf(pid: string): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/cwd`)
  } catch {
    return undefined
  }
}
