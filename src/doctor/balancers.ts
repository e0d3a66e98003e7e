// The load balancers that may name the address of a client.
import type { Settings } from '../settings/settings.ts'
import { type Finding, good, warning } from './finding.ts'

/** Checks that not every client can claim the address of another one. */
export function checkBalancers({ proxyProtocolFrom: from }: Pick<Settings, 'proxyProtocolFrom'>): Finding[] {
  if (from === undefined) return [good('no PROXY protocol header is accepted, so each connection has its own address')]
  if (!/\/0(?!\d)/.test(from)) return [good(`connections from ${from} must begin with a PROXY protocol header`)]
  return [
    warning(
      `TLSBOUND_PROXY_PROTOCOL_FROM is ${from}, which contains every address: each client can claim the address of another`,
      'list the addresses of the load balancers',
    ),
  ]
}
