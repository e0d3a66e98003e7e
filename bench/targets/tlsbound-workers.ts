// tlsbound with two workers; the CPU time is that of all of its processes.
import cluster from 'node:cluster'
import { startTlsbound } from './start-tlsbound.ts'
import { serveTarget } from './target.ts'

const pids: number[] = []

serveTarget(async pki => {
  cluster.setupPrimary({ execArgv: ['--conditions=tlsbound-source'] }) // without the relative path of --import
  const port = await startTlsbound(pki, ['client_credentials'], { workers: 2 })
  const workers = Object.values(cluster.workers ?? {}).map(worker => worker?.process.pid ?? 0)
  pids.push(process.pid, ...workers)
  return port
}, pids)
