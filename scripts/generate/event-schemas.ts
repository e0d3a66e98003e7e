// docs/reference/events/*.schema.json: the closed lists of details and facts in the schemas of the security events.
import { readFileSync } from 'node:fs'
import { details, factNames } from '../../src/core/details.ts'
import type { Files } from './generator.ts'

export function generate(): Files {
  const paths = ['plain', 'ecs', 'ocsf'].map(form => `docs/reference/events/${form}.schema.json`)
  return Object.fromEntries(paths.map(path => [path, fillIn(readFileSync(path, 'utf8'))]))
}

function fillIn(text: string): string {
  const schema = JSON.parse(text)
  schema.$defs.detail.enum = [...new Set(Object.values(details).flatMap(entries => Object.keys(entries)))].sort()
  schema.$defs.facts.properties = Object.fromEntries(
    Object.entries(factNames).map(([name, description]) => [
      name,
      { description, oneOf: [{ type: 'string' }, { type: 'number' }] },
    ]),
  )
  return `${JSON.stringify(schema, null, 2)}\n`
}
