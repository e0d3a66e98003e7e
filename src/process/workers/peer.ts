// Calls between the primary process and a worker, over a channel that keeps the order of its messages. All messages of one
// turn of the event loop are sent together, since each message costs a system call at both ends.
import { OAuthError, type Why } from '../../core/errors.ts'
import { guarded } from '../../core/guard.ts'
import { ConflictError } from '../../store/store.ts'
import { unavailable } from '../../store/work.ts'

/** Maximum number of messages and items that are sent together, so that a long list does not stop the other process. */
const portion = 5000

/** Maximum number of items in a message. */
const mostItems = 1000

/** Milliseconds after which a call is given up. */
const patience = 5000

/** An error in a form that can be sent. */
interface SentError {
  readonly why?: readonly [code: OAuthError['code'], reason: string, detail: string, facts: object]
  readonly isConflict: boolean
  readonly message: string
}

/** What is sent; its form is known to this file only. */
export type Message =
  | { readonly call: number; readonly name: string; readonly parameters: readonly unknown[] }
  | { readonly name: string; readonly parameters: readonly unknown[] }
  | { readonly name: string; readonly id: number; readonly items: unknown[] }
  | { readonly done: number; readonly value: unknown }
  | { readonly failed: number; readonly error: SentError }

/** What the other process may call. */
export type Handlers = Readonly<Record<string, (...parameters: never[]) => unknown>>

interface Waiting {
  readonly resolve: (value: unknown) => void
  readonly reject: (error: unknown) => void
  readonly timer: NodeJS.Timeout
}

export interface Peer {
  /**
   * Calls a handler of the other process. Rejects with its error, and with OAuthError `store_unavailable` when there is no
   * answer in time, or when the other process has ended.
   */
  call(name: string, parameters?: readonly unknown[], limit?: number): Promise<unknown>
  /** Calls a handler without waiting for it. */
  tell(name: string, ...parameters: readonly unknown[]): void
  /** Calls a handler with a list, to which items are appended as long as no other message follows. */
  tellItem(name: string, id: number, item: unknown): void
  /** Passes what has arrived. */
  receive(messages: readonly Message[]): void
  /** Sends the messages of this turn now. */
  flush(): void
  /** The other process has ended: rejects all calls, now and later. */
  close(): void
}

/**
 * Creates one end. `send` passes messages to the other process. `onError` receives what it throws, and what a handler throws
 * that no caller waits for.
 */
export function createPeer(
  send: (messages: readonly Message[]) => void,
  handlers: Handlers,
  onError: (error: Error) => void = () => {},
): Peer {
  const waiting = new Map<number, Waiting>()
  let outgoing: Message[] = []
  let last = 0
  let isClosed = false

  function post(message: Message): void {
    if (isClosed) return
    if (outgoing.push(message) === 1) setImmediate(flush)
  }

  function flush(): void {
    let count = 0
    for (let size = 0; count < outgoing.length && size < portion; count++) size += sizeOf(outgoing[count] as Message)
    const messages = outgoing.slice(0, count)
    outgoing = outgoing.slice(count)
    if (outgoing.length > 0) setImmediate(flush)
    if (messages.length === 0 || isClosed) return
    try {
      send(messages)
    } catch (error) {
      // A value that cannot be sent must end its calls, and not the process.
      for (const message of messages) if ('call' in message) settle(message.call)?.reject(unavailable(error))
      onError(error as Error)
    }
  }

  function answer(id: number, name: string, parameters: readonly unknown[]): void {
    const fail = (error: unknown) => post({ failed: id, error: describeError(error) })
    try {
      const value = handle(name, parameters)
      // A value is posted at once: messages that follow must not overtake it.
      if (value instanceof Promise) value.then(value => post({ done: id, value })).catch(fail)
      else post({ done: id, value })
    } catch (error) {
      fail(error)
    }
  }

  function handle(name: string, parameters: readonly unknown[]): unknown {
    const handler = Object.hasOwn(handlers, name) ? handlers[name] : undefined
    if (handler === undefined) throw new Error(`the other process cannot be asked for ${name}`)
    return handler(...(parameters as never[]))
  }

  /** Returns the call that an answer belongs to; undefined if it was given up. */
  function settle(id: number): Waiting | undefined {
    const call = waiting.get(id)
    waiting.delete(id)
    clearTimeout(call?.timer)
    return call
  }

  return {
    call(name, parameters = [], limit = patience) {
      if (isClosed) return Promise.reject(gone())
      const id = ++last
      post({ call: id, name, parameters })
      return new Promise((resolve, reject) => {
        const late = new Error(`the other process has not answered ${name} within ${limit} ms`)
        const timer = setTimeout(() => settle(id)?.reject(unavailable(late)), limit)
        waiting.set(id, { resolve, reject, timer })
      })
    },
    tell(name, ...parameters) {
      post({ name, parameters })
    },
    tellItem(name, id, item) {
      const last = outgoing.at(-1)
      const items =
        last !== undefined && 'items' in last && last.name === name && last.id === id ? last.items : undefined
      if (items === undefined || items.length >= mostItems) post({ name, id, items: [item] })
      else items.push(item)
    },
    receive(messages) {
      for (const message of messages)
        if ('done' in message) settle(message.done)?.resolve(message.value)
        else if ('failed' in message) settle(message.failed)?.reject(buildError(message.error))
        else if ('call' in message) answer(message.call, message.name, message.parameters)
        else if ('items' in message) guarded(handle, onError)(message.name, [message.id, message.items])
        else guarded(handle, onError)(message.name, message.parameters)
    },
    flush,
    close() {
      isClosed = true
      outgoing = []
      for (const id of [...waiting.keys()]) settle(id)?.reject(gone())
    },
  }
}

function sizeOf(message: Message): number {
  return 'items' in message ? message.items.length : 1
}

function gone(): OAuthError {
  return unavailable(new Error('the other process has ended'))
}

function describeError(error: unknown): SentError {
  const isConflict = error instanceof ConflictError
  if (!(error instanceof OAuthError)) return { isConflict, message: error instanceof Error ? error.message : 'unknown' }
  const { code, reason, detail, facts, cause } = error
  return { why: [code, reason, detail, facts], isConflict, message: cause instanceof Error ? cause.message : '' }
}

function buildError({ why, isConflict, message }: SentError): Error {
  if (isConflict) return new ConflictError(message)
  if (why === undefined) return new Error(message)
  const [code, ...rest] = why
  const error = new OAuthError(code, ...(rest as unknown as Why))
  return message === '' ? error : Object.assign(error, { cause: new Error(message) })
}
