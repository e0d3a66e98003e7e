// A CPU profile of a server under load: writes the file for a viewer, and sums its samples by function and by module.
import type { Profiler } from 'node:inspector/promises'

/** Microseconds by name. */
type Sums = Map<string, number>

/** Names the part of the program that a script belongs to: a room of src, a package, or Node. */
function moduleOf(url: string): string {
  if (url.startsWith('node:')) return 'node'
  const [, installed] = /\/node_modules\/((?:@[^/]+\/)?[^/]+)\/[^?]*$/.exec(url) ?? []
  const [, room] = /\/(src\/[^/]+|bench)\//.exec(url) ?? []
  return installed ?? room ?? 'native code and system calls'
}

function placeOf({ functionName, url, lineNumber }: Profiler.ProfileNode['callFrame']): string {
  const file = url.replace(/^.*\/(?=src\/|bench\/|node_modules\/)/, '')
  return `${functionName || '(anonymous)'} ${file === '' ? '' : `${file}:${lineNumber + 1}`}`
}

const listTop = (sums: Sums, total: number, count: number) =>
  [...sums]
    .sort(([, one], [, other]) => other - one)
    .slice(0, count)
    .map(([name, time]) => `${((time / total) * 100).toFixed(1).padStart(5)} %  ${name}`)

/** Describes where the time of a profile went: self time by module and by function, without idle time. */
export function describeProfile({ nodes, samples = [], timeDeltas = [] }: Profiler.Profile): string {
  const byId = new Map(nodes.map(node => [node.id, node]))
  const modules: Sums = new Map()
  const functions: Sums = new Map()
  let total = 0
  for (const [index, id] of samples.entries()) {
    const frame = byId.get(id)?.callFrame
    const time = timeDeltas[index + 1] ?? 0
    if (frame === undefined || frame.functionName === '(idle)') continue
    total += time
    for (const [sums, name] of [
      [modules, moduleOf(frame.url)],
      [functions, placeOf(frame)],
    ] as const)
      sums.set(name, (sums.get(name) ?? 0) + time)
  }
  return [
    'self time by module',
    ...listTop(modules, total, 20),
    '',
    'self time by function',
    ...listTop(functions, total, 40),
  ].join('\n')
}
