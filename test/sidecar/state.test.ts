// What a sidecar says about itself: its log of state changes, and its metrics.
// LK01.
import t from 'tap'
import { createClient, type Identity } from '../../src/client/client.ts'
import { issueCertificate } from '../../src/pki/certificate.ts'
import { createStateWatch } from '../../src/sidecar/watch.ts'
import { startServerBehindRelay } from '../helpers/client/relay.ts'
import { ask, startTestSidecar } from '../helpers/client/sidecar.ts'
import { run } from '../helpers/process/process.ts'
import { until } from '../helpers/until.ts'

t.setTimeout(60_000)

t.test(
  'logs connections, problems, recovery, a renewal and the end of its certificate, and serves metrics',
  async t => {
    const { relay, server, origin, identity: ofAlice } = await startServerBehindRelay(t)
    const issue = (seconds: number): Identity => {
      const { certificate, key } = issueCertificate({
        issuer: server.pki.ca,
        subject: [['CN', 'alice']],
        extendedKeyUsage: ['clientAuth'],
        notAfter: new Date(Date.now() + seconds * 1000),
      })
      return { certificate, key, ca: ofAlice.ca }
    }
    let identity = issue(3600)
    const client = createClient({ origin, identity: () => identity, timeout: 0.3 })
    const lines: string[] = []
    const { address } = await startTestSidecar(t, { client }, { onChange: line => lines.push(line) })
    const logged = (pattern: RegExp) => until(() => lines.some(line => pattern.test(line)))

    t.match(await ask(address, '/api/whoami'), { status: 200 })
    await logged(/^Connected to https:\/\/localhost:\d+ \(h2, TLSv1\.3\)\.$/)
    t.equal(lines.length, 1, 'a valid certificate causes no warning')

    const metrics = await ask(address, '/_metrics')
    t.match(metrics, {
      status: 200,
      headers: { 'content-type': /^text\/plain; version=0\.0\.4/, 'cache-control': 'no-store' },
    })
    const end = Math.floor(Date.parse(client.state().certificate.expires) / 1000)
    for (const line of [
      'requests_total 1',
      'connections 1',
      'tokens_total 1',
      `certificate_end_timestamp_seconds ${end}`,
    ])
      t.match(metrics.text, `\ntlsbound_sidecar_${line}\n`)
    t.match(metrics.text, '\ntlsbound_sidecar_last_problem_timestamp_seconds 0\n')
    t.notMatch(metrics.text, /eyJ|PRIVATE|whoami/)
    t.match(await ask(address, '/_metrics', { method: 'HEAD' }), { status: 200, text: '' })
    t.match(await ask(address, '/_metrics', { method: 'POST', body: 'x' }), { status: 405 })
    const checked = await run('sh', ['-c', 'printf %s "$0" | promtool check metrics', metrics.text], '.')
    t.match(checked, { code: 0 }, `promtool: ${checked.stderr}`)

    relay.target = undefined
    relay.cut()
    t.match(await ask(address, '/api/whoami'), { status: 503 })
    await logged(/^No connection to /)
    await logged(/^Problem: cannot_connect: /)
    relay.target = server.port
    let status = 503
    for (let turn = 0; turn < 20 && status === 503; turn++) status = (await ask(address, '/api/whoami')).status
    t.equal(status, 200)
    await logged(/^Recovered: a token was issued again\.$/)
    t.match((await ask(address, '/_metrics')).text, /last_problem_timestamp_seconds [1-9]\d{9}/)

    identity = issue(5)
    await logged(/^The renewed certificate [\w-]{43} is in use, until 20.*Z\.$/)
    await logged(/^The certificate ends at 20.*Z\. Renew it; /)
    t.notMatch(lines.join('\n'), /eyJ|PRIVATE/)
  },
)

t.test('warns in the last fifth of a certificate, at most 30 days, once a day, and once more when it has ended', t => {
  const lines: string[] = []
  const day = 86_400_000
  const watch = (days: number) => {
    const observe = createStateWatch(line => lines.push(line))
    const expires = new Date(days * day).toISOString()
    const certificate = { thumbprint: 'x', starts: new Date(0).toISOString(), expires }
    return (at: number) => {
      lines.length = 0
      observe({ certificate }, at * day)
      return lines.length
    }
  }
  const long = watch(365)
  t.same([334, 335.5, 335.6, 336.4, 336.6, 365.1, 365.2, 366.2].map(long), [0, 1, 0, 0, 1, 1, 0, 1])
  t.match(lines, [/^The certificate ended at 1971-.*: the upstream refuses it\./])
  const short = watch(1)
  t.same([0.5, 0.79, 0.81, 0.9, 1.1].map(short), [0, 0, 1, 0, 1])
  const unreadable = createStateWatch(line => lines.push(line))
  lines.length = 0
  unreadable({ certificate: { thumbprint: 'x', starts: 'unknown', expires: 'unknown' } }, 0)
  unreadable({}, 0)
  t.same(lines, [])
  t.end()
})
