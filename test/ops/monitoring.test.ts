// docs/monitoring: Prometheus accepts a real server's metrics and our configuration; each alert fires when it should and
// not before; the metrics of dashboard and alerts exist. And /ready, for a server that cannot write events.
import { execFile } from 'node:child_process'
import { readFileSync, renameSync, symlinkSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { findFreePort } from '../../src/testing/free-port.ts'
import { startTlsbound } from '../helpers/process/process.ts'
import { readMetrics } from '../helpers/server/metrics.ts'
import { until } from '../helpers/until.ts'

t.setTimeout(120_000)
const folder = 'docs/monitoring'
const rules = readFileSync(join(folder, 'alerts.yml'), 'utf8')
const dashboard = JSON.parse(readFileSync(join(folder, 'dashboard.json'), 'utf8'))

/** Runs promtool. `input` goes to its stdin. Rejects with its error output. */
async function promtool(args: readonly string[], input?: string): Promise<string> {
  try {
    const running = promisify(execFile)('promtool', [...args], { timeout: 60_000 })
    running.child.stdin?.end(input)
    const { stdout, stderr } = await running
    return stdout + stderr
  } catch (cause) {
    const isMissing = (cause as NodeJS.ErrnoException).code === 'ENOENT'
    const { stdout, stderr } = cause as { stdout?: string; stderr?: string }
    throw new Error(
      isMissing ? 'this test needs promtool: install the Debian package prometheus' : `promtool: ${stdout}${stderr}`,
      { cause },
    )
  }
}

interface Panel {
  readonly id: number
  readonly type: string
  readonly title: string
  readonly gridPos: Readonly<Record<'x' | 'y' | 'w' | 'h', number>>
  readonly targets?: readonly { readonly expr: string }[]
}

const panels: readonly Panel[] = dashboard.panels
const queries = panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr))

t.test('exposes well-formed metrics with every name that dashboard and alerts use', async t => {
  const opsPort = await findFreePort()
  await startTlsbound(t, t.testdir(), { TLSBOUND_OPS_PORT: String(opsPort) })
  const text = await (await fetch(`http://127.0.0.1:${opsPort}/metrics`)).text()
  t.equal(await promtool(['check', 'metrics'], text), '', 'names, types and units follow the conventions of Prometheus')
  t.ok(readMetrics(text).size > 80)
  const there = [...text.matchAll(/^# TYPE (\w+)/gm)].map(([, name]) => name)
  const asked = [...queries, rules].join('\n').matchAll(/\b(?:tlsbound|nodejs|process)_\w+/g)
  const names = new Set([...asked].map(([name]) => name.replace(/_(bucket|sum|count)$/, '')))
  t.ok(names.size > 20)
  for (const name of names) t.ok(there.includes(name), name)
})

t.test('provides a dashboard that Grafana accepts: valid queries, unique panel ids, no overlap', async t => {
  t.match(dashboard, { title: 'tlsbound', uid: 'tlsbound', schemaVersion: 38, templating: { list: Array } })
  const recorded = queries.map((expr, i) => ({ record: `q:${i}`, expr: expr.replaceAll('$__rate_interval', '5m') }))
  const file = join(t.testdir(), 'queries.yml')
  writeFileSync(file, JSON.stringify({ groups: [{ name: 'dashboard', rules: recorded }] }))
  t.match(await promtool(['check', 'rules', file]), `SUCCESS: ${queries.length} rules found`)
  t.equal(new Set(panels.map(({ id }) => id)).size, panels.length)
  const cells = new Set<string>()
  for (const { gridPos, title } of panels) {
    t.ok(gridPos.x + gridPos.w <= 24, `${title} is within the page`)
    for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++)
      for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) cells.add(`${x} ${y}`)
  }
  t.equal(
    cells.size,
    panels.reduce((area, { gridPos: { w, h } }) => area + w * h, 0),
    'no panels overlap',
  )
})

t.test('provides a configuration and rules that Prometheus accepts', async t => {
  t.match(await promtool(['check', 'config', join(folder, 'prometheus.yml')]), /SUCCESS.*valid prometheus config/)
  t.match(await promtool(['check', 'rules', join(folder, 'alerts.yml')]), /SUCCESS: \d+ rules found/)
})

const day = 86_400
const instance = 'job="tlsbound",instance="a"'
const ends = (of: string, seconds: number) => ({
  series: `tlsbound_expiry_timestamp_seconds{of="${of}",${instance}}`,
  values: `${seconds}x60`,
})
const authorityEnds = (authority: string, seconds: number) => ({
  series: `tlsbound_authority_end_timestamp_seconds{authority="${authority}",serial="01",${instance}}`,
  values: `${seconds}x60`,
})
const warning = { series: `tlsbound_warning_before_end_seconds{${instance}}`, values: `${14 * day}x60` }
const grows = (series: string) => [
  { series: series.replace('}', `${series.includes('{}') ? '' : ','}${instance}}`), values: '0x20 1x40' },
]
const turns = (series: string, values: string) => [{ series: `${series}{${instance}}`, values }]

/** Each alert with series of one value a minute, a minute at which it is quiet, and one at which it fires. */
const alerts: Readonly<Record<string, readonly [series: readonly object[], quiet: number, fires: number]>> = {
  TlsboundTheft: [grows('tlsbound_theft_signals_total{suspicion="certain",response="close"}'), 19, 22],
  TlsboundProxySuspected: [grows('tlsbound_events_total{event="proxy.suspected"}'), 19, 22],
  TlsboundTheftPossible: [grows('tlsbound_theft_signals_total{suspicion="possible",response="alert"}'), 19, 22],
  TlsboundRefreshReused: [grows('tlsbound_refreshes_total{how="reused"}'), 19, 22],
  TlsboundTokenLeaked: [grows('tlsbound_leaks_total{kind="access_token"}'), 19, 22],
  TlsboundNotificationFailed: [grows('tlsbound_notifications_failed_total{}'), 19, 22],
  TlsboundUnsafeSetting: [grows('tlsbound_events_total{event="settings.unsafe"}'), 19, 22],
  TlsboundDown: [turns('up', '1x20 0x40'), 20, 23],
  TlsboundNotReady: [turns('tlsbound_ready', '1x20 0x40'), 20, 23],
  TlsboundEventsNotWritten: [turns('tlsbound_events_writable', '1x20 0x40'), 20, 21],
  TlsboundRevocationLag: [turns('tlsbound_revocation_lag_seconds', '2x20 2.1x40'), 20, 23],
  TlsboundStoreFailing: [grows('tlsbound_store_failures_total{operation="check"}'), 19, 24],
  TlsboundStoreSlow: [
    [
      ['0.25', '0+100x20 2000x40'],
      ['0.5', '0+100x20 2000+100x40'],
      ['+Inf', '0+100x20 2000+100x40'],
    ].map(([le, values]) => ({
      series: `tlsbound_store_duration_seconds_bucket{le="${le}",operation="revoke",${instance}}`,
      values,
    })),
    20,
    35,
  ],
  TlsboundEventLoopDelay: [turns('nodejs_eventloop_lag_p99_seconds', '0.1x20 0.3x40'), 24, 28],
  TlsboundCertificateEnds: [[ends('server_certificate', 14 * day + 30 * 60), warning], 29, 31],
  TlsboundCertificateEnding: [[ends('server_certificate', 3 * day + 30 * 60)], 29, 31],
  TlsboundAuthorityEnds: [
    [authorityEnds('CN=a', 14 * day + 30 * 60), authorityEnds('CN=b', 99 * day), warning],
    29,
    31,
  ],
  TlsboundAuthorityUnusable: [
    [
      { series: `tlsbound_authority_usable{authority="CN=a",serial="01",${instance}}`, values: '1x20 0x40' },
      { series: `tlsbound_authority_usable{authority="CN=b",serial="02",${instance}}`, values: '1x60' },
    ],
    20,
    21,
  ],
  TlsboundRevocationListEnds: [
    [
      {
        series: `tlsbound_list_end_timestamp_seconds{authority="CN=a",key="01",scope="all",${instance}}`,
        values: `${3 * day + 30 * 60}x60`,
      },
    ],
    29,
    31,
  ],
}

t.test('fires each alert when it should, and not before; and tests all of them', async t => {
  t.same([...rules.matchAll(/- alert: (\w+)/g)].map(([, name]) => name).sort(), Object.keys(alerts).sort())
  const firing = (name: string, minute: number, value: number) => ({
    expr: `count(ALERTS{alertname="${name}",alertstate="firing"}) or vector(0)`,
    eval_time: `${minute}m`,
    exp_samples: [{ labels: '{}', value }],
  })
  const tests = Object.entries(alerts).map(([name, [input_series, quiet, fires]]) => ({
    name,
    interval: '1m',
    input_series,
    promql_expr_test: [firing(name, quiet, 0), firing(name, fires, 1)],
  }))
  // A theft right after the start, so that the first scrape includes it; later it is an old one.
  const first = { series: `tlsbound_theft_signals_total{suspicion="certain",response="close",${instance}}` }
  tests.push({
    name: 'the first value of a series is an alarm too, and ends',
    interval: '1m',
    input_series: [{ ...first, values: '_x10 1x50' }],
    promql_expr_test: [firing('TlsboundTheft', 9, 0), firing('TlsboundTheft', 12, 1), firing('TlsboundTheft', 25, 0)],
  })
  const file = join(t.testdir(), 'alerts.test.yml')
  writeFileSync(file, JSON.stringify({ rule_files: [resolve(folder, 'alerts.yml')], evaluation_interval: '1m', tests }))
  t.match(await promtool(['test', 'rules', file]), 'SUCCESS')
})

t.test('is not ready while it cannot write events, and recovers by itself (RE07)', async t => {
  const place = t.testdir()
  const path = join(place, 'events.jsonl')
  symlinkSync('/dev/full', path)
  const opsPort = await findFreePort()
  const server = await startTlsbound(t, place, { TLSBOUND_OPS_PORT: String(opsPort), TLSBOUND_AUDIT_FILE: path })
  const ask = (path: string) => fetch(`http://127.0.0.1:${opsPort}${path}`)
  const look = async () => {
    const metrics = readMetrics(await (await ask('/metrics')).text())
    return [(await ask('/ready')).status, metrics.get('tlsbound_ready'), metrics.get('tlsbound_events_writable')]
  }
  t.same(await look(), [503, 0, 0], 'the event of the first key could not be written')
  const alice = await server.connect('alice')
  t.match(await alice.requestToken(), { status: 503 })
  t.same(await look(), [503, 0, 0])
  t.equal((await ask('/health')).status, 200)
  t.match(server.stderr(), /not ready: Security events cannot be written/)
  writeFileSync(join(place, 'new'), '')
  renameSync(join(place, 'new'), path)
  const end = performance.now() + 10_000
  while ((await ask('/ready')).status !== 200 && performance.now() < end);
  t.same(await look(), [200, 1, 1], 'without a refused request')
  t.match(await alice.requestToken(), { status: 200 })
  const names = () =>
    readFileSync(path, 'utf8')
      .split('\n')
      .filter(line => line !== '')
      .map(line => JSON.parse(line).event)
  await until(() => names().length >= 2)
  t.same(names().sort(), ['key.rotated', 'token.issued'], 'the key event that failed at the start is recorded later')
})
