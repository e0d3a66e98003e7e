// A server process with its security events in a file, and functions that parse and verify the files.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { readLines } from '../../../src/audit/lines.ts'
import { type Finding, verifyChain } from '../../../src/audit/verify.ts'
import { writeDemoPki } from '../../../src/pki/demo.ts'
import { type Environment, type RunningServer, startTlsbound } from '../process/process.ts'
import { register } from '../tokens/grants.ts'

export interface AuditedServer {
  readonly server: RunningServer
  readonly path: string
  /** Starts another one on the same files; the previous one must have ended. */
  restart(): Promise<RunningServer>
}

/** Starts a server with alice and bob, whose events go to `audit.jsonl` in a folder of the test. */
export async function startAudited(
  t: Pick<Test, 'teardown' | 'testdir'>,
  env: Environment = {},
): Promise<AuditedServer> {
  const folder = t.testdir()
  const path = join(folder, 'audit.jsonl')
  writeDemoPki(join(folder, 'certs'))
  writeFileSync(join(folder, 'clients.json'), JSON.stringify([register('alice'), register('bob')]))
  const restart = () =>
    startTlsbound(t, folder, {
      TLSBOUND_TLS_CERT_FILE: 'certs/server.crt',
      TLSBOUND_TLS_KEY_FILE: 'certs/server.key',
      TLSBOUND_TLS_CLIENT_CA_FILE: 'certs/ca.crt',
      TLSBOUND_CLIENTS_FILE: 'clients.json',
      TLSBOUND_AUDIT_FILE: path,
      ...env,
    })
  return { server: await restart(), path, restart }
}

/** Returns the findings of `tlsbound audit verify` in these files, in order: kind and place. */
export async function verifyFiles(...paths: readonly string[]) {
  const files = paths.map((path, index) => ({ file: String(index), lines: readLines(once(readFileSync(path))) }))
  const verification = verifyChain(files)
  const findings: Finding[] = []
  let step = await verification.next()
  for (; step.done !== true; step = await verification.next()) findings.push(step.value)
  return { ...step.value, found: findings.map(({ what, file, line }) => `${what} ${file}:${line}`) }
}

/** Parses the complete lines of files as events. */
// biome-ignore lint/suspicious/noExplicitAny: each event has its own members
export function eventsIn(...paths: readonly string[]): any[] {
  const lines = paths.flatMap(path => readFileSync(path, 'utf8').split('\n'))
  return lines.filter(line => line.startsWith('{') && line.endsWith('}')).map(line => JSON.parse(line))
}

/** Returns how many refusals the lines represent. */
export function sumOf(events: readonly { readonly count?: number }[]): number {
  return events.reduce((sum, { count = 1 }) => sum + count, 0)
}

async function* once(octets: Buffer): AsyncGenerator<Buffer> {
  yield octets
}
