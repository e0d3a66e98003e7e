// Compares the CPU time of requests on two versions of Node: `npm run bench:nodes -- /path/to/other/node`. Both servers run at the
// same time and are measured in turn for half a second, so that what else the machine does affects both.
import { startChild } from './child.ts'
import type { Kind } from './load/lanes.ts'
import type { LoadQuestions } from './load.ts'
import { makePki, type Pki } from './pki.ts'
import type { TargetQuestions } from './targets/target.ts'
import { type Target, type TargetName, targets } from './targets.ts'

const loads: readonly [Kind, TargetName][] = [
  ['get', 'tlsbound'],
  ['http2', 'tlsbound'],
  ['token', 'tlsbound'],
  ['refresh', 'grants'],
  ['connect', 'tlsbound'],
]
const turns = 24
const seconds = 0.5

/** Starts a server on `node`, and a load for it on this Node. `measure` resolves with microseconds of server CPU per request. */
async function start(node: string, kind: Kind, target: TargetName, pki: Pki) {
  const { file, args, token, plain }: Target = targets[target]
  const server = startChild<TargetQuestions>(file, args, node)
  const load = startChild<LoadQuestions>(new URL('load.ts', import.meta.url))
  const port = await server.ask('start', pki, 100)
  await load.ask('aim', { aim: { port, token, plain: plain === true }, pki })
  await load.ask('prepare', { kind, connections: 16 })
  await load.ask('run', { seconds: 2, awake: false }, 60)
  return {
    async measure(): Promise<number> {
      const before = await server.ask('usage', null)
      const { requests } = await load.ask('run', { seconds, awake: false }, 60)
      const after = await server.ask('usage', null)
      return (after.cpu - before.cpu) / requests
    },
    async stop() {
      await load.stop()
      await server.stop()
    },
  }
}

const quantile = (values: readonly number[], share: number) =>
  values.toSorted((one, other) => one - other)[Math.floor(share * (values.length - 1))] as number

const [other] = process.argv.slice(2)
if (other === undefined) throw new TypeError('expected the path of another Node')
const pki = makePki()
for (const [kind, target] of loads) {
  const [here, there] = [await start(process.execPath, kind, target, pki), await start(other, kind, target, pki)]
  const ratios: number[] = []
  for (let turn = 0; turn < turns; turn++) {
    const one = await here.measure()
    ratios.push((await there.measure()) / one)
  }
  const [median, from, to] = [0.5, 0.25, 0.75].map(share => quantile(ratios, share).toFixed(2))
  console.log(`${kind}: ${median} (${from} to ${to}) of the CPU time on Node ${process.versions.node}`)
  await Promise.all([here.stop(), there.stop()])
}
