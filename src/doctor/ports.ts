// The addresses and ports of the listeners: whether they are free, or in use.
import { createServer } from 'node:net'
import type { Settings } from '../settings/settings.ts'
import { type Finding, failure, good, warning } from './finding.ts'

/** Listens on each of them briefly. */
export async function checkPorts({ host, port, opsPort, probeHost, probePort }: Settings): Promise<Finding[]> {
  const all = [[host, port] as const, ['127.0.0.1', opsPort] as const, [probeHost, probePort] as const]
  const listeners = all.filter(([, number]) => number !== 0)
  return Promise.all(listeners.map(([address, number]) => checkPort(address, number)))
}

async function checkPort(host: string, port: number): Promise<Finding> {
  const place = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
  const code = await findObstacle(host, port)
  switch (code) {
    case undefined:
      return good(`${place}: free`)
    case 'EADDRINUSE':
      return warning(
        `${place}: in use (${code})`,
        'if the server is not running, stop the process that listens there, or use another port',
      )
    case 'EACCES':
      return failure(
        `${place}: this user may not listen there (${code})`,
        'use port 1024 or higher, or grant CAP_NET_BIND_SERVICE',
      )
    case 'EADDRNOTAVAIL':
      return failure(
        `${place}: this machine does not have the address (${code})`,
        'set TLSBOUND_HOST to an address of this machine',
      )
    default:
      return failure(`${place}: cannot listen there (${code})`)
  }
}

function findObstacle(host: string, port: number): Promise<string | undefined> {
  return new Promise(resolve => {
    const probe = createServer()
    probe.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
    probe.listen({ host, port, exclusive: true }, () => probe.close(() => resolve(undefined)))
  })
}
