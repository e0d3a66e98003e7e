// tlsbound webhooks: sends a test notification to each receiver of the list, signed like those of the server.
import { randomBytes } from 'node:crypto'
import { type Delivery, deliver } from '../notify/deliver.ts'
import type { KnownReceiver } from '../notify/line.ts'
import { readWebhooksFile } from '../process/files.ts'
import { type Form, path } from '../settings/forms.ts'
import { type Action, type Command, requireAction, UsageError } from './command.ts'
import { createOptionReader, jsonOption, type ValueOption } from './option.ts'
import { writeMessage, writeResult } from './output.ts'

const file: ValueOption<string> = {
  name: 'file',
  value: 'FILE',
  variable: 'TLSBOUND_WEBHOOKS_FILE',
  help: 'The JSON list of receivers',
  form: path as Form<string>,
}

const actions: readonly Action[] = [
  {
    name: 'test',
    positionals: [],
    help: 'Sends each receiver one notification of the type webhook.test, whatever events it subscribes to, and shows the responses',
  },
]

export const command: Command = {
  usage: ['test [OPTIONS]'],
  description: [
    'Sends a test notification to each receiver of the list of webhooks, with the signature, certificate checks and address rules of the server. Needs no running server; run it on the machine of the server, as its user.',
    'Each receiver gets one attempt. Nothing is stored or retried.',
  ],
  actions,
  options: [file, jsonOption],
  failure: 'a receiver did not accept the notification, or the list is invalid',
  examples: ['tlsbound webhooks test --file webhooks.json'],
  async run(values, [name, ...others]) {
    requireAction(actions, name)
    if (others.length > 0) throw new UsageError('expected: tlsbound webhooks test')
    const list = createOptionReader(values, process.env)(file)
    if (list === undefined) throw new UsageError('--file or TLSBOUND_WEBHOOKS_FILE must name the list of webhooks')
    const receivers = readWebhooksFile(list)
    if (receivers.length === 0) throw new Error(`${list}: the list is empty, so no receiver is notified`)
    const tested = await Promise.all(receivers.map(test))
    writeResult(values, tested, tested.map(describe).join('\n'))
    const failed = tested.filter(({ outcome }) => outcome !== 'done').length
    writeMessage(`${tested.length - failed} of ${tested.length} accepted the notification.`)
    if (failed > 0) process.exitCode = 1
  },
}

/** Milliseconds, as for the server. */
const timeout = 10_000

interface Tested {
  readonly receiver: string
  readonly client_id: string | undefined
  readonly notification: string
  readonly outcome: Delivery['outcome']
  /** The status, or an error code. */
  readonly problem: string | undefined
  readonly milliseconds: number
}

async function test(receiver: KnownReceiver): Promise<Tested> {
  const { url, clientId } = receiver
  const now = new Date()
  const id = `msg_${randomBytes(18).toString('base64url')}`
  const data = { outcome: 'success', ...(clientId !== undefined && { client_id: clientId }) }
  const body = JSON.stringify({ type: 'webhook.test', timestamp: now.toISOString(), data })
  const timestamp = Math.floor(now.getTime() / 1000)
  const begun = performance.now()
  const delivery = await deliver(
    receiver,
    { id, body },
    { timestamp, timeout, signal: AbortSignal.timeout(2 * timeout) },
  )
  const problem = delivery.outcome === 'done' ? undefined : delivery.problem
  const milliseconds = Math.round(performance.now() - begun)
  return { receiver: url.host, client_id: clientId, notification: id, outcome: delivery.outcome, problem, milliseconds }
}

function describe({ receiver, client_id: client, notification, outcome, problem, milliseconds }: Tested): string {
  const who = client === undefined ? receiver : `${receiver} (client ${client})`
  if (outcome === 'done') return `✓ ${who}: accepted ${notification} in ${milliseconds} ms`
  return `✗ ${who}: ${explain(outcome, problem)}`
}

function explain(outcome: Delivery['outcome'], problem = ''): string {
  if (outcome === 'internal') return 'has an internal address; set allow_internal: true if this is intended'
  if (outcome === 'gone') return 'responded with 410; the server sends nothing more until the list is loaded again'
  if (/^\d{3}$/.test(problem)) return `responded with ${problem}; 200 to 299 is expected`
  return `the notification was not delivered (${problem}); tlsbound doctor checks the address and the certificate`
}
