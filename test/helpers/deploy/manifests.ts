// Checks objects of Kubernetes against its OpenAPI schemas, those of cert-manager and of the Prometheus Operator: types and values by
// their validators, and unknown members by the TypeScript compiler, as the API server does with strict field validation.
import { execFile } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import type { Manifest } from './chart.ts'

/** The package that describes each kind that the chart may have. */
const packages: Readonly<Record<string, string>> = {
  'v1 ConfigMap': 'kubernetes-models/v1',
  'v1 PersistentVolumeClaim': 'kubernetes-models/v1',
  'v1 Service': 'kubernetes-models/v1',
  'v1 ServiceAccount': 'kubernetes-models/v1',
  'apps/v1 Deployment': 'kubernetes-models/apps/v1',
  'networking.k8s.io/v1 NetworkPolicy': 'kubernetes-models/networking.k8s.io/v1',
  'policy/v1 PodDisruptionBudget': 'kubernetes-models/policy/v1',
  'cert-manager.io/v1 Certificate': '@kubernetes-models/cert-manager/cert-manager.io/v1',
  'monitoring.coreos.com/v1 ServiceMonitor': '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1',
}

/** Returns what is wrong with the objects; nothing if they are valid. `folder` is one of this repository, for a program. */
export async function findManifestProblems(folder: string, documents: readonly Manifest[]): Promise<string[]> {
  mkdirSync(folder, { recursive: true })
  const lines = documents.map((document, i) => {
    const { apiVersion, kind } = document
    const from = packages[`${apiVersion} ${kind}`]
    if (from === undefined) throw new Error(`${apiVersion} ${kind} has no schema`)
    const members = JSON.stringify({ ...document, apiVersion: undefined, kind: undefined })
    return `import { ${kind} as Kind${i} } from '${from}/${kind}'\nall.push(new Kind${i}(${members}))\n`
  })
  const file = join(folder, 'manifests.ts')
  const report = `for (const one of all)
  try { one.validate() } catch (error) { console.log(\`\${one.kind}: \${(error as Error).message}\`) }\n`
  writeFileSync(file, `const all: { readonly kind: string; validate(): void }[] = []\n${lines.join('')}${report}`)
  const options = [
    '--ignoreConfig',
    '--noEmit',
    '--strict',
    '--skipLibCheck',
    '--module',
    'nodenext',
    '--types',
    'node',
  ]
  const typed = await output(resolve('node_modules/.bin/tsc'), [...options, file])
  const validated = await output(process.execPath, [file])
  return [...typed, ...validated]
}

/** Returns the lines that a program writes, whatever its exit code. */
async function output(program: string, args: readonly string[]): Promise<string[]> {
  const { stdout, stderr } = await promisify(execFile)(program, [...args], { timeout: 120_000 }).catch(error => error)
  if (typeof stdout !== 'string') throw new Error(`${program} could not be run`)
  return `${stdout}${stderr}`.split('\n').filter(line => line !== '')
}
