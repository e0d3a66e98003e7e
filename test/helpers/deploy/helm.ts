// Stands in for `helm` in the commands of a page: template NAME CHART --namespace NAMESPACE --values FILE.
import { parseArgs } from 'node:util'
import { renderChart } from './chart.ts'

const options = { namespace: { type: 'string' }, values: { type: 'string', multiple: true } } as const
const { values, positionals } = parseArgs({ options, allowPositionals: true })
const [action, name = ''] = positionals
if (action !== 'template') throw new Error('only template is imitated')
const files = values.values ?? []
const { manifests } = await renderChart({}, { name, namespace: values.namespace ?? 'default', files })
process.stdout.write(manifests)
