// Forwards one request to the upstream, and its response to the program.
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Dispatcher } from 'undici'
import { type RelayFailure, relay } from '../relay/relay.ts'
import { endWithBody } from '../relay/unread.ts'
import { answerFailure } from './answer.ts'
import { readBody } from './body.ts'
import { explainRejection, type Failure, failures } from './failures.ts'
import { buildRequestHeaders } from './headers.ts'

export interface Forward {
  readonly dispatcher: Dispatcher
  /** The path with its query. */
  readonly path: string
  /** Seconds without progress until the response begins. */
  readonly timeout: number
  /** Called for each unexpected error. */
  readonly onError: (error: Error) => void
}

const failuresOf: Readonly<Record<Exclude<RelayFailure, 'failed'>, Failure>> = {
  late: failures.late,
  no_response: failures.noAnswer,
  unfit: failures.unfit,
  gone: failures.programGone,
}

/** Sends the upstream's response or an error response. Never throws. */
export function forward(request: IncomingMessage, response: ServerResponse, options: Forward): void {
  const { dispatcher, path, timeout, onError } = options
  const { method = 'GET', socket } = request
  const answerOnce = (failure: Failure) => {
    if (!response.headersSent && !response.destroyed) answerFailure(response, failure)
  }
  relay(response, {
    ...{ dispatcher, path, method, timeout },
    build: async () => ({ headers: buildRequestHeaders(request), body: await readBody(request) }),
    received: () => socket.bytesRead,
    onHead: () => endWithBody(request, response),
    onFailure(failure, error) {
      if (failure !== 'failed') return answerOnce(failuresOf[failure])
      const explained = explainRejection(error)
      if (explained === undefined) onError(error as Error)
      answerOnce(explained ?? failures.internal)
    },
  })
}
