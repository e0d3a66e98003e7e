// Whether others on the network can read or change what a server and its database exchange. A server does not refuse such a
// connection: the network may be encrypted by other means, such as a VPN.
import { BlockList, isIPv4, isIPv6 } from 'node:net'
import { PostgresClient } from './postgres-client.ts'
import { readConfig } from './postgres-connection.ts'

const thisMachine = new BlockList()
thisMachine.addSubnet('127.0.0.0', 8, 'ipv4')
thisMachine.addAddress('::1', 'ipv6')

/**
 * Describes why others could read or change the state on its way, and what to do. Undefined: the connection is encrypted to a
 * verified database or leads to this machine, or `url` names no PostgreSQL. Connects nowhere.
 * @throws TypeError as `openPostgres` does.
 */
export function describeExposure(url: string): string | undefined {
  if (!/^postgres(ql)?:/.test(url)) return undefined
  const { host, port, ssl } = new PostgresClient(readConfig(url).config)
  if (isThisMachine(host)) return undefined
  const remedy =
    'add sslmode=verify-full&sslrootcert=FILE to the parameters of TLSBOUND_STATE_URL, unless the network is encrypted'
  const harm = `others on the network could read and change the state; ${remedy}`
  if (ssl === false) return `the connection to the database at ${host}:${port} is not encrypted: ${harm}`
  const isVerified = typeof ssl !== 'object' || (ssl as { rejectUnauthorized?: boolean }).rejectUnauthorized !== false
  return isVerified ? undefined : `the certificate of the database at ${host}:${port} is not verified: ${harm}`
}

function isThisMachine(host: string): boolean {
  if (host.startsWith('/') || host === 'localhost') return true
  const address = host.replace(/^\[(.*)\]$/, '$1')
  return (isIPv4(address) && thisMachine.check(address)) || (isIPv6(address) && thisMachine.check(address, 'ipv6'))
}
