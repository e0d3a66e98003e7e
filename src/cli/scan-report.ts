// Reports leaked tokens to a server, in the format of GitHub's secret scanning partner programme, as a client with the
// required scope.
import type { Dispatcher } from 'undici'
import { createClient, readIdentityFiles } from '../client/client.ts'
import { maximumReport } from '../core/leak-report.ts'
import type { Finding } from '../scan/scan.ts'
import type { GivenIdentity } from './identity-options.ts'
import { present } from './option.ts'

const answerTimeout = 30_000

/** Reports each token once. Rejects with a one-line error when some could not be reported. */
export async function reportLeaks(
  tokens: ReadonlyMap<string, Finding>,
  url: string,
  { files, clientId }: GivenIdentity,
): Promise<void> {
  const client = createClient({
    origin: new URL(url).origin,
    identity: readIdentityFiles(files)(),
    scope: 'leaks:report',
    connections: 1,
    timeout: 10,
    ...present({ clientId }),
  })
  try {
    for (const body of buildReports(tokens)) await send(client.dispatcher, body)
  } finally {
    await client.close()
  }
}

async function send(dispatcher: Dispatcher, body: string): Promise<void> {
  const { statusCode, body: answer } = await dispatcher.request({
    path: '/leaks',
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body,
    headersTimeout: answerTimeout,
    bodyTimeout: answerTimeout,
  })
  await answer.dump()
  if (statusCode >= 300) throw new Error(`the server rejected the report with status ${statusCode}`)
}

/** Splits the entries into as few request bodies as possible. */
export function* buildReports(tokens: ReadonlyMap<string, Finding>): Generator<string> {
  let entries: string[] = []
  let size = 0
  for (const [token, finding] of tokens) {
    const entry = JSON.stringify(buildEntry(token, finding))
    const more = Buffer.byteLength(entry) + 1 // including the bracket or comma before it
    if (size + more + 1 > maximumReport) {
      yield `[${entries.join()}]`
      entries = []
      size = 0
    }
    entries.push(entry)
    size += more
  }
  if (entries.length > 0) yield `[${entries.join()}]`
}

function buildEntry(token: string, { kind, path, line, column, object, commit = object }: Finding): object {
  const place = `${path.slice(0, 1000)}:${line}:${column}`
  return {
    token,
    type: `tlsbound_${kind.replaceAll(' ', '_')}`,
    url: commit === undefined ? place : `${commit} ${place}`,
    source: commit === undefined ? 'file' : 'git',
  }
}
