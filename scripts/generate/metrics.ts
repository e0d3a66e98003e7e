// docs/reference/metrics.md: every metric of tlsbound, from the registry of a server.
import Fastify from 'fastify'
import { createGateway } from '../../src/gateway/gateway.ts'
import { createMetrics } from '../../src/ops/metrics/metrics.ts'
import { metricsRoute } from '../../src/ops/metrics/route.ts'
import { registerRuntimeMetrics } from '../../src/ops/metrics/runtime.ts'
import { watchWorkers } from '../../src/ops/metrics/workers.ts'
import type { OpsParts } from '../../src/ops/parts.ts'
import { startTestServer } from '../../src/testing/server.ts'
import { handshakeFailures } from '../../src/tls/failed-handshakes.ts'
import { type Files, generatedFrom, table } from './generator.ts'

/** A metric of prom-client; `labelNames` is missing in its types. */
interface Metric {
  readonly name: string
  readonly help: string
  readonly type: string
  readonly labelNames: readonly string[]
}

export async function generate(): Promise<Files> {
  const metrics = (await readMetrics()).filter(({ name }) => name.startsWith('tlsbound_'))
  const rows = metrics
    .sort((one, other) => (one.name < other.name ? -1 : 1))
    .map(({ name, type, labelNames, help }) => [
      `\`${name}\``,
      type,
      labelNames.map(label => `\`${label}\``).join(', '),
      help,
    ])
  const failures = Object.entries(handshakeFailures).map(([arrived, meaning]) => [`\`${arrived}\``, meaning])
  return {
    'docs/reference/metrics.md': `# Metrics

${generatedFrom('the registry of the metrics', 'metrics')}
This page lists what \`GET /metrics\` on the ops listener returns, in the text format of Prometheus. It needs no token.

Values of labels come from closed lists: no client can add a series. Reasons are those of [Refusals](refusals.md), levels are
\`certificate\`, \`proof\` and \`connection\`. [docs/monitoring](../monitoring) has a scrape configuration, alert rules and a Grafana
dashboard.

${table(['metric', 'type', 'labels', 'meaning'], rows)}
The metrics of the process have the names that dashboards for Node know: \`process_…\` and \`nodejs_…\`. They show the delay of an
idle event loop as 10 ms.

## Handshakes that fail

\`tlsbound_handshakes_failed_total\` counts a handshake by what arrived (\`arrived\`). A failed handshake is no security event, since
no request was made; only a wrong PROXY protocol header is one. The log has a line \`TLS handshake failed\` for the first of each kind, then at most one line a minute, with
the number since the last line (\`count\`), the peer's address and the code of OpenSSL. \`nothing\` is counted and not logged.

${table(['`arrived`', 'meaning'], failures)}`,
  }
}

/** Registers all metrics of a server in memory, without collecting any. */
async function readMetrics(): Promise<Metric[]> {
  const server = await startTestServer()
  const { registry } = createMetrics({
    tls: server.tls,
    gateway: createGateway([]).counts,
    store: server.store,
    isRecording: () => true,
    expiryWarning: 0,
  })
  registerRuntimeMetrics(registry)
  watchWorkers(registry, () => ({ running: 0, crashed: 0 }))
  metricsRoute(Fastify(), {} as OpsParts, registry)
  await server.close()
  return (registry.getMetricsAsArray() as unknown as Metric[]).map(({ name, help, type, labelNames }) => ({
    name,
    help,
    type,
    labelNames,
  }))
}
