// A process that calls each server that it is told of on stdin with each of the callers that are asked for, and says on
// stdout, a line of JSON each, what came of it. A test sees by its end whether it lived through all of that.
import { type Called, callers } from '../client/outgoing-callers.ts'

export interface Order extends Called {
  readonly name: string
  readonly callers: readonly string[]
}

export interface Outcome {
  readonly name: string
  readonly caller: string
  /** Undefined: it got what it was after. */
  readonly problem?: string
}

let text = ''
for await (const chunk of process.stdin.setEncoding('utf8')) text += chunk
for (const order of JSON.parse(text) as readonly Order[])
  await Promise.all(
    order.callers.map(async caller => {
      const outcome: Outcome = { name: order.name, caller, ...(await tryCaller(caller, order)) }
      process.stdout.write(`\n${JSON.stringify(outcome)}\n`)
    }),
  )

async function tryCaller(name: string, called: Called): Promise<{ problem?: string }> {
  try {
    await callers[name]?.(called)
    return {}
  } catch (error) {
    return { problem: String((error as Error).message ?? error) }
  }
}
