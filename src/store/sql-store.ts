// A store over any database that can perform units of work, except for following, opening and closing.
import {
  disableClient,
  enableClient,
  listClients,
  listSecrets,
  putClient,
  putSecret,
  removeClient,
  removeSecret,
} from './clients.ts'
import { removeExpired } from './expiry.ts'
import {
  countGrants,
  createGrant,
  findAccessToken,
  findRefreshToken,
  keepAccessToken,
  rotateRefreshToken,
} from './grants.ts'
import { addNote, listNotes } from './notes.ts'
import {
  claimNotifications,
  findDueReceivers,
  postponeNotification,
  removeNotification,
  spoolNotification,
} from './notifications.ts'
import { revoke } from './revocations.ts'
import { identify } from './state.ts'
import type { Store } from './store.ts'
import type { Performer, Work } from './work.ts'

/** `notified` is awaited after each change: it resolves when the listeners of this store have received it. */
export function buildStore(
  { write, read, lockRevocations, skipLocked, ...database }: Performer,
  notified: () => Promise<void>,
): Omit<Store, 'check' | 'acknowledge' | 'watchPosition' | 'follow' | 'millisecondsSinceSync' | 'close'> {
  async function announce<T>(work: () => Work<T>): Promise<T> {
    const result = await write(work)
    await notified()
    return result
  }
  return {
    identify: () => read(() => identify()),
    createGrant: (grant, hash) => write(() => createGrant(grant, hash)),
    findRefreshToken: hash => read(() => findRefreshToken(hash)),
    async rotateRefreshToken(hash, successor, now, { arrived = performance.now(), ...use } = {}) {
      const refresh = await write(() => rotateRefreshToken(hash, successor, { now, arrived, ...use }, database))
      if (refresh.outcome === 'reused' && use.revokesReused === true) await notified()
      return refresh
    },
    keepAccessToken: (hash, claims, expires) => write(() => keepAccessToken(hash, claims, expires)),
    findAccessToken: hash => read(() => findAccessToken(hash)),
    countGrants: (target, now, limit) => read(() => countGrants(target, now, limit)),
    revoke: revocation => announce(() => revoke(revocation, lockRevocations)),
    putClient: (id, registration, revocation) =>
      announce(() => putClient(id, registration, revocation, lockRevocations)),
    disableClient: (id, registration) => announce(() => disableClient(id, registration)),
    enableClient: id => announce(() => enableClient(id)),
    listClients: () => read(() => listClients()),
    removeClient: id => announce(() => removeClient(id)),
    putSecret: (clientId, id, hash) => announce(() => putSecret(clientId, id, hash)),
    removeSecret: (clientId, id) => announce(() => removeSecret(clientId, id)),
    listSecrets: clientId => read(() => listSecrets(clientId)),
    addNote: (clientId, text, created) => write(() => addNote(clientId, text, created)),
    listNotes: (clientId, limit) => read(() => listNotes(clientId, limit)),
    spoolNotification: notification => write(() => spoolNotification(notification)),
    findDueReceivers: now => read(() => findDueReceivers(now)),
    claimNotifications: (receiver, claim) => write(() => claimNotifications(receiver, claim, skipLocked)),
    postponeNotification: (id, attempts, due) => write(() => postponeNotification(id, attempts, due)),
    removeNotification: id => write(() => removeNotification(id)),
    removeExpired: (now, limit) => write(() => removeExpired(now, limit)),
  }
}
