// What a program opens one after the other, it closes in the opposite order: when it ends, and when it cannot start.
import type { OnClose, Sources } from './open-state.ts'

/** Opens one part after the other. When that rejects, and by `close`, what was opened is closed, the last one first. */
export async function openAll<T extends object>(
  { events, store }: Pick<Sources, 'events' | 'store'>,
  open: (onClose: OnClose) => Promise<T>,
): Promise<T & { close: () => Promise<void> }> {
  const closers: (() => unknown)[] = [events.close, () => store?.close()]
  /** Resolves when all is closed; rejects with the first error then. */
  const closeAll = async () => {
    const errors: unknown[] = []
    for (const close of closers.reverse())
      try {
        await close()
      } catch (error) {
        errors.push(error)
      }
    if (errors.length > 0) throw errors[0]
  }
  try {
    const opened = await open(close => void closers.push(close))
    let closing: Promise<void> | undefined
    return {
      ...opened,
      close() {
        closing ??= closeAll()
        return closing
      },
    }
  } catch (error) {
    await closeAll().catch(() => {}) // the first error is the cause
    throw error
  }
}
