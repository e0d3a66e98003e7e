// The rows of the tables: a load, and the targets that are compared under it.
import type { Kind } from './load/lanes.ts'
import type { TargetName } from './targets.ts'

interface Row {
  title: string
  /** Each target with the one that it is compared with; a target that is compared with itself is a floor. */
  targets: Partial<Record<TargetName, TargetName>>
}

export interface Load extends Row {
  load: Kind
}

export interface Idle extends Row {
  /** Whether each connection got its token and made one GET before it became idle. */
  used: boolean
}

export const rows = {
  get: {
    title: 'Keep-alive GET',
    load: 'get',
    targets: { floor: 'floor', bare: 'floor', https: 'floor', tlsbound: 'floor', jose: 'floor' },
  },
  http2: {
    title: 'GET over HTTP/2: all requests on one connection',
    load: 'http2',
    targets: { floor: 'floor', tlsbound: 'floor', jose: 'floor' },
  },
  opaque: {
    title: 'Keep-alive GET with an opaque token',
    load: 'opaque',
    targets: { floor: 'floor', tlsbound: 'floor' },
  },
  proof: { title: 'Keep-alive GET at level proof', load: 'proof', targets: { floor: 'floor', tlsbound: 'floor' } },
  token: {
    title: 'Token endpoint POST',
    load: 'token',
    targets: { floor: 'floor', tlsbound: 'floor', grants: 'floor', jose: 'floor', 'oidc-provider': 'floor' },
  },
  refresh: { title: 'Refresh token POST', load: 'refresh', targets: { floor: 'floor', grants: 'floor' } },
  introspect: { title: 'Introspection POST', load: 'introspect', targets: { floor: 'floor', tlsbound: 'floor' } },
  connect: {
    title: 'New connection each time: a token, one GET',
    load: 'connect',
    targets: { floor: 'floor', bare: 'floor', tlsbound: 'floor', jose: 'floor' },
  },
  apps: {
    title: 'Keep-alive GET of an app in a framework, at level certificate',
    load: 'get',
    targets: {
      fastify: 'fastify',
      'fastify-bound': 'fastify',
      express: 'express',
      'express-bound': 'express',
      koa: 'koa',
      'koa-bound': 'koa',
      hono: 'hono',
      'hono-bound': 'hono',
    },
  },
  sidecar: {
    title: 'Keep-alive GET through the sidecar',
    load: 'get',
    targets: { tlsbound: 'tlsbound', sidecar: 'tlsbound' },
  },
  client: {
    title: 'GET with a client library',
    load: 'get',
    targets: { undici: 'undici', client: 'undici' },
  },
  idle: {
    title: 'An idle connection, never used',
    used: false,
    targets: { floor: 'floor', tlsbound: 'floor', grants: 'floor', jose: 'floor' },
  },
  'idle-used': {
    title: 'An idle connection after its token and one GET',
    used: true,
    targets: { floor: 'floor', tlsbound: 'floor', grants: 'floor', jose: 'floor' },
  },
} as const satisfies Record<string, Load | Idle>

export type RowName = keyof typeof rows
