// Metrics of the gateway, read from its counts when scraped. Routes are those of the operator's file.
import { Counter, Gauge, type Registry } from 'prom-client'
import { type GatewayCounts, outcomes } from '../../gateway/counts.ts'

export function watchGateway(registry: Registry, counts: GatewayCounts): void {
  const registers = [registry]
  new Counter({
    name: 'tlsbound_gateway_requests_total',
    help: 'Requests for a route of the gateway; failed: the upstream gave no usable answer; aborted: the client has disconnected.',
    labelNames: ['route', 'outcome'],
    registers,
    collect() {
      this.reset()
      for (const [route, numbers] of counts.requests)
        for (const outcome of outcomes) this.inc({ route, outcome }, numbers[outcome])
    },
  })
  new Counter({
    name: 'tlsbound_gateway_upstream_errors_total',
    help: 'Failures of upstreams, by the detail of the refusal.',
    labelNames: ['detail'],
    registers,
    collect() {
      this.reset()
      for (const [detail, number] of counts.failures) this.inc({ detail }, number)
    },
  })
  new Gauge({
    name: 'tlsbound_gateway_tunnels_open',
    help: 'Open WebSockets.',
    registers,
    collect() {
      this.set(counts.tunnels)
    },
  })
}
