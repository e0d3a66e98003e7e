// Renders the chart in deploy/helm as `helm template` does, after `helm lint`'s check of its values. Needs the Debian packages
// golang-go, golang-github-masterminds-sprig-dev, golang-github-ghodss-yaml-dev and golang-github-xeipuuv-gojsonschema-dev.
import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { Ajv } from 'ajv'

export const chartFolder = 'deploy/helm/tlsbound'

/** An object of Kubernetes, as far as tests read it. */
export interface Manifest {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: { readonly name: string; readonly labels: Readonly<Record<string, string>> }
  // biome-ignore lint/suspicious/noExplicitAny: its form is checked by manifests.ts
  readonly [member: string]: any
}

export interface Rendered {
  readonly chart: Readonly<Record<string, string>>
  readonly values: Readonly<Record<string, unknown>>
  readonly documents: readonly Manifest[]
  /** The objects as `helm template` prints them. */
  readonly manifests: string
  readonly notes: string
}

interface Failure {
  /** Why the chart could not be rendered. */
  readonly error?: string
  /** What the schema refuses, by the validator of Helm; null: nothing. */
  readonly invalid: readonly string[] | null
}

export type Values = Readonly<Record<string, unknown>>

/** The values that the chart needs at least. */
export const leastValues: Values = {
  issuer: 'https://auth.example.org',
  serverCertificate: { existingSecret: 'server-tls' },
  clientCa: { existingConfigMap: 'client-ca' },
  clients: [{ client_id: 'alice' }],
}

const accepts = new Ajv({ strict: true }).compile(
  JSON.parse(readFileSync(join(chartFolder, 'values.schema.json'), 'utf8')),
)
let program: Promise<string> | undefined

export interface Release {
  readonly name?: string
  readonly namespace?: string
  /** YAML files with values, which `values` override. */
  readonly files?: readonly string[]
}

/** Renders the chart with values. Rejects with what the schema or a template objects to. */
export async function renderChart(values: Values, release: Release = {}): Promise<Rendered> {
  const input = { chart: resolve(chartFolder), name: 'auth', namespace: 'prod', ...release, values }
  program ??= buildProgram()
  const running = promisify(execFile)(await program, { timeout: 60_000, maxBuffer: 16_777_216 })
  running.child.stdin?.end(JSON.stringify(input))
  const { error, invalid, ...rendered } = JSON.parse((await running).stdout) as Rendered & Failure
  if (invalid === null && error?.startsWith('values.schema.json')) throw new Error(error)
  const isValid = accepts(rendered.values)
  if (isValid !== (invalid === null))
    throw new Error(`two validators disagree: ${invalid ?? 'valid with that of Helm'}`)
  if (!isValid)
    throw new Error(accepts.errors?.map(({ instancePath, message }) => `${instancePath} ${message}`).join('; '))
  if (error !== undefined) throw new Error(error)
  return rendered
}

async function buildProgram(): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'tlsbound-chart-'))
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
  const path = join(folder, 'render')
  const env = { ...process.env, GO111MODULE: 'off', GOPATH: '/usr/share/gocode', GOFLAGS: '' }
  try {
    await promisify(execFile)('go', ['build', '-o', path, 'test/helpers/deploy/render.go'], { env, timeout: 240_000 })
  } catch (cause) {
    const debian =
      'golang-go golang-github-masterminds-sprig-dev golang-github-ghodss-yaml-dev golang-github-xeipuuv-gojsonschema-dev'
    throw new Error(`this test needs the Debian packages ${debian}: ${(cause as Error).message}`, { cause })
  }
  return path
}
