// A process that calls each server named on stdin with each requested caller, and writes the result to stdout as one line of
// JSON. The test sees from its exit whether it survived.
import { type Called, callers } from '../client/outgoing-callers.ts'

export interface Order extends Called {
  readonly name: string
  readonly callers: readonly string[]
}

export interface Outcome {
  readonly name: string
  readonly caller: string
  /** Undefined: the call succeeded. */
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
