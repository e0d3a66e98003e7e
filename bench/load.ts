// The load, a process of its own: uses mutual TLS to one server at a time, and counts the responses.
import { setTimeout as pause } from 'node:timers/promises'
import { answer } from './child.ts'
import { type Aim, Client } from './load/client.ts'
import type { Connection } from './load/connection.ts'
import { type First, type Kind, type Lane, openIdle, prepareLanes } from './load/lanes.ts'
import { type Counts, Tally } from './load/tally.ts'
import type { Pki } from './pki.ts'
import { createProfiler } from './profiler.ts'

let client: Client
let ready: Lane[] = []
let idle: Connection[] = []

/**
 * Never lets this process sleep while it runs: on a virtual machine, waking it would cost the server tens of microseconds per
 * response, which is the machine's cost and not the server's.
 */
function stayAwake(isRunning: () => boolean): void {
  const turn = () => {
    if (isRunning()) setImmediate(turn)
  }
  turn()
}

/**
 * Keeps every lane busy for `seconds`; requests in progress at the end are awaited and counted. Between two pieces of work a
 * lane may pause, for that many times as long as the piece took.
 */
async function run({
  seconds,
  rest = 0,
  awake = false,
}: {
  seconds: number
  rest?: number
  awake?: boolean
}): Promise<Counts> {
  const tally = new Tally()
  const end = performance.now() + seconds * 1000
  const drive = async (lane: Lane) => {
    for (let before = performance.now(); before < end; ) {
      const status = await lane()
      const after = performance.now()
      tally.count(status, after - before)
      if (rest > 0) await pause(Math.max(1, rest * (after - before)))
      before = rest > 0 ? performance.now() : after
    }
  }
  let running = true
  if (awake) stayAwake(() => running)
  // A lane that fails ends; the gap is reported, not repaired.
  await Promise.all(ready.map(lane => drive(lane).catch(error => tally.fail(String(error)))))
  running = false
  return tally.read()
}

const questions = {
  aim: ({ aim, pki }: { aim: Aim; pki: Pki }): void => {
    client = new Client(aim, pki)
  },
  prepare: async ({ kind, connections }: { kind: Kind; connections: number }): Promise<void> => {
    ready = await prepareLanes(client, kind, connections)
  },
  run,
  openIdle: async ({ count, first }: { count: number; first: First }): Promise<void> => {
    idle = await openIdle(client, count, first)
  },
  countIdle: (): number => idle.filter(connection => connection.isOpen).length,
  ...createProfiler(),
  closeIdle: (): void => {
    for (const connection of idle.splice(0)) connection.close()
  },
}

export type LoadQuestions = typeof questions

answer(questions)
