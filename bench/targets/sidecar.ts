// The sidecar, in front of tlsbound in a process of its own, so that the CPU time here is the sidecar's alone. With the argument
// `http1`, it uses HTTP/1.1 to tlsbound.
import { createClient } from '../../src/client/client.ts'
import { startSidecar } from '../../src/sidecar/sidecar.ts'
import { startChild } from '../child.ts'
import { serveTarget, type TargetQuestions } from './target.ts'

serveTarget(async pki => {
  const upstream = startChild<TargetQuestions>(new URL('tlsbound.ts', import.meta.url))
  const port = await upstream.ask('start', pki)
  const identity = { ...pki.alice, ca: pki.ca.certificate }
  const http2 = process.argv[2] !== 'http1'
  const client = createClient({ origin: `https://localhost:${port}`, identity, connections: 16, http2 })
  const { address } = await startSidecar({ client, listen: { port: 0 } })
  return Number(new URL(address).port)
})
