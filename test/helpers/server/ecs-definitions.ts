// Validates documents with the official definitions of Elastic Common Schema 8.11, whose fields 8.17 still has: minor
// versions only add.
import { EcsFlat } from '@elastic/ecs'

interface Definition {
  readonly type: string
  /** Names `array` where a field always has several values. */
  readonly normalize: readonly string[]
  readonly allowed_values?: readonly { readonly name: string; readonly expected_event_types?: readonly string[] }[]
}

const definitions: Readonly<Record<string, Definition>> = EcsFlat

const forms: Readonly<Record<string, (value: unknown) => boolean>> = {
  date: value => typeof value === 'string' && new Date(value).toISOString() === value,
  keyword: value => typeof value === 'string',
  wildcard: value => typeof value === 'string',
  ip: value => typeof value === 'string' && /^[\da-f.:]+$/.test(value),
  long: Number.isSafeInteger,
  boolean: value => typeof value === 'boolean',
}

/** Returns what is wrong with a document by the definitions; custom members are not checked. */
export function findEcsFaults(document: object, custom: string): string[] {
  const { event = {} } = document as { event?: { category?: string[]; type?: string[] } }
  const categories = definitions['event.category']?.allowed_values ?? []
  const expected = categories
    .filter(({ name }) => event.category?.includes(name))
    .flatMap(({ expected_event_types: types = [] }) => types)
  const types = (event.type ?? []).filter(type => !expected.includes(type)).map(type => `event.type: ${type}`)
  const fields = Object.entries(document).filter(([name]) => name !== custom)
  return [...fields.flatMap(([name, value]) => findFaults(name, value)), ...types]
}

function findFaults(path: string, value: unknown): string[] {
  const definition = definitions[path]
  if (definition === undefined) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return [`${path}: no field of ECS`]
    return Object.entries(value).flatMap(([name, member]) => findFaults(`${path}.${name}`, member))
  }
  const { type, normalize, allowed_values: allowed } = definition
  if (normalize.includes('array') !== Array.isArray(value)) return [`${path}: an array is needed, or none`]
  return [value].flat().flatMap(one => {
    const isAllowed = allowed === undefined || allowed.some(({ name }) => name === one)
    return forms[type]?.(one) === true && isAllowed
      ? []
      : [`${path}: ${JSON.stringify(one)} is no ${type} allowed here`]
  })
}
