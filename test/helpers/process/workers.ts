// A server with two workers as processes, in a folder of its own, and connections to a worker of choice.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { Test } from 'tap'
import type { SecurityEvent } from '../../../src/audit/event.ts'
import { type Identity, issueCertificate } from '../../../src/pki/certificate.ts'
import { makeDemoPki } from '../../../src/pki/demo.ts'
import { findFreePort } from '../../../src/testing/free-port.ts'
import type { TestConnection } from '../../../src/testing/server.ts'
import { callOps, type OpsCall } from '../server/ops.ts'
import { type Environment, type RunningServer, runTlsbound, startTlsbound } from './process.ts'

export interface WorkersServer extends RunningServer {
  readonly folder: string
  /** All security events so far. */
  events(): SecurityEvent[]
  /** The processes of the workers, by their number. */
  pids(): Promise<number[]>
  /** Returns a connection to each of the two workers. */
  connectBoth(who: string | null): Promise<[TestConnection, TestConnection]>
  ops(method: string, path: string, call?: OpsCall): ReturnType<typeof callOps>
  verify(): ReturnType<typeof runTlsbound>
}

/** Writes certificates of the demo authority and of these names, and a file of registrations. */
export function prepareFolder(folder: string, clients: readonly object[], names: readonly string[] = []): void {
  const pki = makeDemoPki()
  const others = names.map(name => {
    return [name, issueCertificate({ issuer: pki.ca, subject: [['CN', name]], extendedKeyUsage: ['clientAuth'] })]
  })
  const identities: Record<string, Identity> = { ...pki, ...Object.fromEntries(others) }
  mkdirSync(join(folder, 'certs'))
  for (const [name, { certificate, key }] of Object.entries(identities)) {
    writeFileSync(join(folder, 'certs', `${name}.crt`), certificate)
    writeFileSync(join(folder, 'certs', `${name}.key`), key, { mode: 0o600 })
  }
  writeFileSync(join(folder, 'clients.json'), JSON.stringify(clients))
}

/** Starts the server in a prepared folder. */
export async function startWorkers(t: Test, folder: string, env: Environment = {}): Promise<WorkersServer> {
  const opsPort = await findFreePort()
  const server = await startTlsbound(t, folder, {
    TLSBOUND_WORKERS: '2',
    TLSBOUND_OPS_PORT: String(opsPort),
    TLSBOUND_AUDIT_FILE: 'audit.jsonl',
    TLSBOUND_TLS_CERT_FILE: 'certs/server.crt',
    TLSBOUND_TLS_KEY_FILE: 'certs/server.key',
    TLSBOUND_TLS_CLIENT_CA_FILE: 'certs/ca.crt',
    TLSBOUND_CLIENTS_FILE: 'clients.json',
    ...env,
  })
  const events = () => readEvents(join(folder, 'audit.jsonl'))
  return {
    ...server,
    folder,
    events,
    pids: async () => childrenOf(server.child.pid as number),
    async connectBoth(who) {
      const found = new Map<unknown, TestConnection>()
      for (let tried = 0; found.size < 2; tried++) {
        if (tried === 100) throw new Error('all connections are at one worker')
        const connection = await server.connect(who)
        await connection.get('/api/whoami', 'x') // refused, and so an event of the worker
        const port = connection.socket.localPort
        const writer = events().findLast(({ peer_port }) => peer_port === port)?.writer
        if (writer !== undefined && !found.has(writer)) found.set(writer, connection)
        else connection.close()
      }
      return [...found.values()] as [TestConnection, TestConnection]
    },
    ops: (method, path, call) => {
      const token = readFileSync(join(folder, 'data/ops-token'), 'utf8').trim()
      return callOps({ ops: { url: `http://127.0.0.1:${opsPort}`, token } }, method, path, call)
    },
    verify: () => runTlsbound(['audit', 'verify', 'audit.jsonl'], folder),
  }
}

export function readEvents(path: string): SecurityEvent[] {
  const lines = readFileSync(path, 'utf8').split('\n')
  return lines.filter(line => line.endsWith('}')).map(line => JSON.parse(line))
}

/** The processes that a process has started, in that order. */
export function childrenOf(pid: number): number[] {
  try {
    const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim()
    return text === '' ? [] : text.split(' ').map(Number)
  } catch {
    return []
  }
}

export const isAlive = (pid: number) => {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}

/** The program and its arguments, for a start that fails. */
export const program = [process.execPath, resolve('src/cli/cli.ts'), 'serve'] as const
