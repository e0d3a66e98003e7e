// The files beside the systemd unit: the drop-in for port 443, and the rotation of the security events by logrotate.
import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { runForeign } from '../helpers/process/foreign.ts'
import { run, runTlsbound, startTlsbound } from '../helpers/process/process.ts'
import { until } from '../helpers/until.ts'

t.setTimeout(240_000)

t.test('adds one capability for port 443 to the unit, and no more', async t => {
  const folder = t.testdir()
  mkdirSync(join(folder, 'tlsbound.service.d'))
  const unit = join(folder, 'tlsbound.service')
  copyFileSync('deploy/tlsbound.service', unit)
  const rate = async () => {
    const text = await runForeign('systemd', 'systemd-analyze', 'security', '--offline=true', unit)
    return {
      exposure: Number(/Overall exposure level for \S+: ([\d.]+)/.exec(text)?.[1]),
      lacks: [...text.matchAll(/^✗ (\S+)/gm)].map(([, name]) => name),
    }
  }
  const before = await rate()
  copyFileSync('deploy/port-443.conf', join(folder, 'tlsbound.service.d/port-443.conf'))
  t.equal(await runForeign('systemd', 'systemd-analyze', 'verify', unit), '')
  const after = await rate()
  t.ok(after.exposure <= 2, `exposure ${after.exposure} of 10`)
  const more = after.lacks.filter(name => !before.lacks.includes(name))
  t.same(more.sort(), [
    'AmbientCapabilities=',
    'CapabilityBoundingSet=~CAP_NET_(BIND_SERVICE|BROADCAST|RAW)',
    'PrivateUsers=',
  ])
})

t.test('binds to a port below 1024 with the capability of the drop-in, and not without', async t => {
  const drop = readFileSync('deploy/port-443.conf', 'utf8')
  const capability = /^AmbientCapabilities=CAP_(\w+)$/m.exec(drop)?.[1]?.toLowerCase() ?? ''
  // As systemd starts the service: another user, without other capabilities and without a way to get them.
  const listen = async (granted: string) => {
    const sets = ['inh-caps', 'ambient-caps', 'bounding-set'].map(set => `--${set}=-all${granted && `,+${granted}`}`)
    const program =
      "require('net').createServer().listen(443, '127.0.0.1', () => process.exit()).on('error', error => { console.error(error.code); process.exit(1) })"
    const user = ['--reuid=65534', '--regid=65534', '--clear-groups', '--no-new-privs']
    // `ip_unprivileged_port_start` may be 0 on this machine: a network of its own has the default.
    const own = ['--net', 'sh', '-c', 'echo 1024 > /proc/sys/net/ipv4/ip_unprivileged_port_start; exec "$@"', 'sh']
    return run('unshare', [...own, 'setpriv', ...user, ...sets, process.execPath, '-e', program], t.testdir())
  }
  t.match(await listen(capability), { code: 0 })
  t.match(await listen(''), { code: 1, stderr: /EACCES/ })
})

t.test('rotates the events with logrotate while the server writes, and loses none', async t => {
  const folder = t.testdir()
  const log = join(folder, 'log')
  mkdirSync(log, { mode: 0o750 })
  const configuration = join(folder, 'tlsbound.logrotate')
  const text = readFileSync('deploy/tlsbound.logrotate', 'utf8')
  t.match(text, '/var/log/tlsbound/events.jsonl {')
  t.match(text, 'su tlsbound tlsbound')
  const here = text.replace('/var/log/tlsbound/', `${log}/`).replace('su tlsbound tlsbound', 'su root root')
  writeFileSync(configuration, here, { mode: 0o644 })
  const rotate = () =>
    runForeign('logrotate', '/usr/sbin/logrotate', '--force', '--state', join(folder, 'state'), configuration)
  const names = () =>
    readdirSync(log).sort(
      (one, other) => Number(one === 'events.jsonl') - Number(other === 'events.jsonl') || one.localeCompare(other),
    )

  const server = await startTlsbound(t, folder, { TLSBOUND_AUDIT_FILE: join(log, 'events.jsonl') })
  const alice = await server.connect('alice')
  let issued = 0
  const issue = async (count: number) => {
    for (let i = 0; i < count; i++) t.match(await alice.requestToken(), { status: 200 })
    issued += count
  }
  for (let round = 0; round < 3; round++) {
    await issue(3)
    t.equal(await rotate(), '')
    await issue(3) // before the server has noticed
    await until(() => names().includes('events.jsonl'))
    await new Promise(done => setTimeout(done, 1100)) // the names contain the second
  }
  await issue(2)
  await server.end('SIGTERM')
  t.equal(names().filter(name => name.endsWith('.gz')).length, 2, 'all but the latest are compressed')
  for (const name of names()) if (name.endsWith('.gz')) await runForeign('gzip', 'gunzip', join(log, name))
  const files = names().map(name => join(log, name))
  t.equal(files.length, 4)
  const events = files
    .flatMap(file => readFileSync(file, 'utf8').trim().split('\n'))
    .map(line => JSON.parse(line).event)
  t.equal(events.filter(event => event === 'token.issued').length, issued)
  const verified = await runTlsbound(['audit', 'verify', ...files], folder)
  t.match(verified, { code: 0, stdout: `valid: ${events.length} events` })
})
