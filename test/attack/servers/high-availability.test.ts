// The example of two servers behind HAProxy, with the real programs: each server is killed and restarted under load, and PostgreSQL
// is restarted (RE01, RE04). Needs the Debian packages haproxy and postgresql.
import t from 'tap'
import { run } from '../../helpers/process/process.ts'

t.setTimeout(240_000)

t.test('refuses no request and loses no revocation while servers are killed and restarted (RE01, RE04)', async t => {
  const folder = t.testdir()
  const args = [
    '--conditions=tlsbound-source',
    '--no-warnings',
    new URL('../../../examples/ha/run.ts', import.meta.url).pathname,
  ]
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
