// The rows of the tables, and the columns of each.
import type { Kind } from './load/lanes.ts'

export interface Load {
  title: string
  load: Kind
  /** Whether the row reads the protected resource. */
  readsWhoami: boolean
}

export interface Idle {
  title: string
  /** Whether each connection got its token and made one GET before it became idle. */
  used: boolean
  readsWhoami: boolean
}

export const rows = {
  get: { title: 'Keep-alive GET', load: 'get', readsWhoami: true },
  token: { title: 'Token endpoint POST', load: 'token', readsWhoami: false },
  connect: {
    title: 'New connection each time: a token where one is needed, one GET',
    load: 'connect',
    readsWhoami: true,
  },
  idle: { title: 'An idle connection, never used', used: false, readsWhoami: false },
  'idle-used': { title: 'An idle connection after its token and one GET', used: true, readsWhoami: true },
} as const satisfies Record<string, Load | Idle>

export type RowName = keyof typeof rows
