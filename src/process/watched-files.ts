// Notices that a loaded file has changed: a new content, a rename, or a symbolic link to another file, as Kubernetes and
// cert-manager replace the files of a volume. It compares the state of each file, because events of the file system are lost
// when a folder is replaced, and do not exist on every file system.
import { inSteps, type Steps } from '../core/steps.ts'
import { fileStateOf, observeReads } from '../files/file-access.ts'

/** Milliseconds between two comparisons. A change is loaded once it has lasted for one of them. */
export const pollInterval = 500

/** Comparisons after which files that could not be used are tried again without a change: a certificate may be valid now. */
const retryAfter = 20

/** The names of the files that are loaded together. */
export const fileNames = {
  tls: 'certificates, authorities and revocation lists',
  clients: 'clients',
  issuers: 'trusted issuers',
  leakKeys: 'keys of leak reporters',
  webhooks: 'webhooks',
  gateway: 'routes of the gateway',
  introspection: 'certificate for the issuer',
} as const

export interface WatchedFiles {
  /** Runs work that loads files, and remembers these files under a name. */
  load<T>(name: string, work: () => T): T
  /** `load` for work in steps. Rejects as the work throws. */
  loadInSteps<T>(name: string, steps: Steps<T>): Promise<T>
  /** Returns the names whose files differ from what was loaded and have not changed since the last call, and those to try again. */
  poll(): string[]
}

type States = ReadonlyMap<string, string>

export function watchFiles(): WatchedFiles {
  /** The state of each file when it was loaded. */
  const loaded = new Map<string, States>()
  /** The states at the last call, where they differed. A file that is still being written differs from call to call. */
  const unsettled = new Map<string, string>()
  /** The calls since the files of a name could not be used. */
  const failed = new Map<string, number>()

  function noteLoaded(name: string, states: States): void {
    loaded.set(name, states)
    failed.delete(name)
  }

  function noteFailed(name: string, states: States): void {
    loaded.set(name, new Map([...(loaded.get(name) ?? []), ...states])) // it stopped before its last file
    failed.set(name, 0)
  }

  return {
    load(name, work) {
      const states = new Map<string, string>()
      try {
        const result = observeReads(states, work)
        noteLoaded(name, states)
        return result
      } catch (error) {
        noteFailed(name, states)
        throw error
      }
    },
    async loadInSteps(name, steps) {
      const states = new Map<string, string>()
      try {
        const result = await inSteps(steps, step => observeReads(states, step))
        noteLoaded(name, states)
        return result
      } catch (error) {
        noteFailed(name, states)
        throw error
      }
    },
    poll() {
      const due: string[] = []
      for (const [name, states] of loaded) {
        const current = [...states.keys()].map(fileStateOf)
        const text = current.join('\n')
        const calls = failed.get(name)
        if (calls !== undefined) failed.set(name, calls + 1)
        if (calls === retryAfter) due.push(name)
        else if (text === [...states.values()].join('\n')) unsettled.delete(name)
        else if (unsettled.get(name) === text) due.push(name)
        else unsettled.set(name, text)
      }
      return due
    },
  }
}
