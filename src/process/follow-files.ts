// Follows the files of a running server.
import { basename } from 'node:path'
import type { FastifyBaseLogger } from 'fastify'
import type { Events } from '../audit/open.ts'
import { logError } from '../core/guard.ts'
import type { KeyRing } from '../keys/key-ring.ts'
import type { Audit } from '../server/record-events.ts'
import { dataFile, type Settings } from '../settings/settings.ts'
import type { OnClose, OpenedState } from './open-state.ts'
import type { OtherServers } from './other-servers.ts'
import { followChanges, type Reload, type Reloaded } from './reload.ts'
import { type WatchOptions, watchKeysFile } from './signing-keys.ts'

type Followed = Pick<OpenedState, 'settings' | 'keysFile' | 'keys' | 'audit' | 'watched'> &
  Partial<Pick<OpenedState, 'servers'>>

/** Follows the file of the signing keys and all other files. Returns the function that reloads them. */
export function followFiles(
  { settings, keysFile, keys, audit, servers, watched }: Followed,
  events: Events,
  reloadFiles: Reload,
  onClose: OnClose,
  log: FastifyBaseLogger,
  onReplace?: WatchOptions['onReplace'],
): () => Promise<readonly Reloaded[]> {
  const watch =
    keysFile === undefined ? undefined : watchKeys(keysFile, keys, { settings, audit, servers, log, onReplace })
  if (watch !== undefined) onClose(watch.stop)
  const fail = (error: unknown) => logError(log, error, 'unhandled error while files are loaded again')
  onClose(followChanges(watched, reloadFiles, fail))
  return async () => {
    let reloaded: readonly Reloaded[] = []
    const load = async () => {
      reloaded = await reloadFiles()
    }
    for (const step of [events.followRename, watch?.poll, load])
      try {
        await step?.()
      } catch (error) {
        fail(error)
      }
    return reloaded
  }
}

interface WatchParts extends Pick<WatchOptions, 'onReplace'> {
  readonly settings: Settings
  readonly audit: Audit
  /** Default: no other server uses the keys. */
  readonly servers?: OtherServers | undefined
  readonly log: FastifyBaseLogger
}

/** Follows the file of the signing keys: reads it again when it changes, and rotates keys that were generated. */
function watchKeys(file: string, ring: KeyRing, { settings, audit, servers, log, onReplace }: WatchParts) {
  const isOwn = settings.signingKeysFile === undefined
  return watchKeysFile(file, ring, {
    // A file of the settings may be that of several servers, one of which may be down when another one rotates its keys.
    ...(!isOwn && { record: dataFile(`${basename(file)}.seen-${settings.port}`, settings.dataDir) }),
    clock: Date.now,
    maximumAge: isOwn && settings.signingKeyMaxAge > 0 ? settings.signingKeyMaxAge : undefined,
    mayRotate: servers?.shareKeysFile,
    algorithm: settings.signingAlgorithm,
    report: problem => log.error(problem),
    onReplace,
    onChange(key, change) {
      audit.keyRotated(key, change)
      const isExpected = change !== 'removed' && change !== 'changed'
      log[isExpected ? 'info' : 'warn'](`signing key ${key.kid}: ${change}`)
    },
  })
}
