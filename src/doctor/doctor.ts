// The doctor: loads settings and files as the server does, and reports findings with their remedies. Every check uses the
// server's own loaders and rules. It writes nothing, and sends only GET requests.

import type { Identity } from '../client/identity.ts'
import { parseClients } from '../core/client.ts'
import { demoRegistrations } from '../process/demo.ts'
import {
  type OwnCertificate,
  readClientsFile,
  readOwnCertificate,
  readTlsFiles,
  readTrustFiles,
  type TrustFiles,
} from '../process/files.ts'
import { dataFile, type Settings } from '../settings/settings.ts'
import { checkAuditFile } from './audit-file.ts'
import { checkBalancers } from './balancers.ts'
import { checkCertificates, checkClients } from './clients.ts'
import { checkClock } from './clock.ts'
import { exists } from './creatable.ts'
import { checkExposures } from './exposures.ts'
import { type Finding, failuresOf, findingsOf, good } from './finding.ts'
import { checkGateway } from './gateway.ts'
import { checkLeakKeys } from './leak-keys.ts'
import { checkOpsToken } from './ops-token.ts'
import { checkBinding, checkMetadata, checkTls } from './outside.ts'
import { checkOwnCertificate } from './own-certificate.ts'
import { checkPorts } from './ports.ts'
import { checkProxies } from './proxies.ts'
import type { ClockReading } from './remote-json.ts'
import { checkSettings } from './settings.ts'
import { checkSigningKeys } from './signing-keys.ts'
import { checkStore } from './store.ts'
import { checkTlsContext, checkTrust } from './trust.ts'
import { checkTrustedIssuers } from './trusted-issuers.ts'
import { checkWebhooks } from './webhooks.ts'

/** A finding with its check. */
export interface Checked extends Finding {
  readonly check: string
}

export interface DoctorOptions {
  readonly env: NodeJS.ProcessEnv
  /** TLSBOUND_ variables that are not settings, such as those of client commands. */
  readonly otherVariables?: readonly string[]
  /** Options of the Node process. */
  readonly execArgv: readonly string[]
  /** The effective user of this process. */
  readonly user: number | undefined
  /** Milliseconds since 1970. */
  readonly now: number
  /** Whether to connect to other machines: issuers, webhooks, the database. */
  readonly isOnline: boolean
  /** A folder with client certificates. */
  readonly certs?: string | undefined
}

type Check = () => readonly Finding[] | Promise<readonly Finding[]>

/** Examines the server that these settings configure. Resolves with the findings in a fixed order; never rejects. */
export async function examine(options: DoctorOptions): Promise<Checked[]> {
  const { env, otherVariables, execArgv, user, now, isOnline, certs } = options
  const { findings, settings } = checkSettings(env, otherVariables)
  const checked = findings.map(finding => ({ check: 'settings', ...finding }))
  if (settings === undefined) return checked

  const readings: ClockReading[] = []
  const remote = isOnline ? readings : undefined
  const keysFile = settings.signingKeysFile ?? dataFile('signing-keys.json', settings.dataDir)
  const seconds = Math.floor(now / 1000)
  const isNew = settings.demo && !exists('certs/ca.crt')
  const own = isNew ? undefined : read(() => readOwnCertificate(settings))
  const trust = isNew ? undefined : read(() => readTrustFiles(settings))
  const clients = read(() =>
    settings.clientsFile === undefined
      ? demoRegistrations
      : readClientsFile(settings.clientsFile, settings.audience).list,
  )
  const checks: Readonly<Record<string, Check>> = {
    secrets: () => checkExposures(settings, { env, execArgv, user }, keysFile),
    certificate: () => (own === undefined ? [demoFinding] : checkOwn(own, trust, settings, now)),
    authorities: () => (trust === undefined ? [demoFinding] : trust.orFail(read => checkTrust(read, settings, now))),
    clients: () =>
      clients.orFail(registrations => [
        ...checkClients(registrations, settings, now),
        ...(certs === undefined
          ? []
          : checkCertificates(certs, registrations, { trust: trust?.value?.trust, settings, now })),
      ]),
    'signing keys': () => checkSigningKeys(keysFile, settings, seconds, clients.value),
    issuers: () => checkTrustedIssuers(settings, remote),
    webhooks: () => checkWebhooks(settings, isOnline),
    gateway: () => checkGateway(settings, isOnline),
    proxies: () => checkProxies(settings, parseClients(clients.value ?? [], []).values()),
    'leak keys': () => checkLeakKeys(settings, remote),
    'ops token': () => checkOpsToken(settings),
    state: () => checkStore(settings, remote, keysFile),
    events: () => checkAuditFile(settings),
    'load balancers': () => checkBalancers(settings),
    ports: () => checkPorts(settings),
    clock: () => checkClock(readings, filesOf(settings, keysFile), now),
  }
  return [...checked, ...(await run(checks))]
}

export interface OutsideOptions {
  /** The issuer, at whose origin the server is. */
  readonly url: string
  readonly identity: Identity | undefined
  /** PEM; only without an identity. */
  readonly ca: string | undefined
  readonly now: number
}

/** Examines a running server from outside. Resolves with the findings; never rejects. */
export async function examineOutside(outside: OutsideOptions): Promise<Checked[]> {
  const readings: ClockReading[] = []
  return run({
    tls: () => checkTls(outside),
    metadata: () => checkMetadata(outside, readings),
    binding: () => checkBinding(outside),
    clock: () => checkClock(readings, [], outside.now),
  })
}

/** Runs the checks in sequence: later ones use results of earlier ones, and the report has this order. */
async function run(checks: Readonly<Record<string, Check>>): Promise<Checked[]> {
  const checked: Checked[] = []
  for (const [check, work] of Object.entries(checks))
    for (const finding of await findingsOf(work)) checked.push({ check, ...finding })
  return checked
}

const demoFinding = good('the demo creates its certificates when it starts')

function checkOwn(
  own: Reading<OwnCertificate>,
  trust: Reading<TrustFiles> | undefined,
  settings: Settings,
  now: number,
): readonly Finding[] {
  return own.orFail(read => [
    ...checkOwnCertificate(read, settings, now),
    ...(trust?.value === undefined
      ? []
      : [checkTlsContext(readTlsFiles({ ...settings, clientCertFrom: undefined }), settings)]),
  ])
}

/** A value that is read once for several checks, or the error of reading it. */
interface Reading<T> {
  readonly value: T | undefined
  orFail(check: (value: T) => readonly Finding[]): readonly Finding[]
}

function read<T extends object>(reader: () => T): Reading<T> {
  try {
    const value = reader()
    return { value, orFail: check => check(value) }
  } catch (error) {
    return { value: undefined, orFail: () => failuresOf(error) }
  }
}

/** Files whose modification time must not be in the future. */
function filesOf(
  { tlsCertFile, tlsClientCaFile, clientsFile, auditFile, stateUrl }: Settings,
  keysFile: string,
): string[] {
  const state = /^sqlite:(.+)$/s.exec(stateUrl)?.[1]
  return [tlsCertFile, tlsClientCaFile, clientsFile, auditFile, state, keysFile].filter(file => file !== undefined)
}
