// The rows of the tables: a load, and the targets that are compared under it.
import type { First, Kind } from './load/lanes.ts'
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
  /** What each connection does before it is idle: nothing, a token and one GET, or a token and a WebSocket. */
  first: First
}

/** The gateway, and proxies of parts of Node, which verify nothing. */
const besideNginx = {
  nginx: 'nginx',
  'pipe-proxy': 'nginx',
  'http-proxy': 'nginx',
  'undici-proxy': 'nginx',
  gateway: 'nginx',
} as const

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
  'own-proof': {
    title: 'Keep-alive GET of an app in Fastify, with a proof of its own',
    load: 'get',
    targets: { 'fastify-bound': 'get-proven', 'get-proven': 'get-proven', 'get-signed': 'get-proven' },
  },
  'signed-body': {
    title: 'Keep-alive POST of 1 MiB to an app in Fastify',
    load: 'get',
    targets: { 'post-bound': 'post-proven', 'post-proven': 'post-proven', 'post-signed': 'post-proven' },
  },
  token: {
    title: 'Token endpoint POST',
    load: 'token',
    targets: { floor: 'floor', tlsbound: 'floor', grants: 'floor', jose: 'floor', 'oidc-provider': 'floor' },
  },
  workers: {
    title: 'Token endpoint POST, with workers',
    load: 'token',
    targets: { tlsbound: 'tlsbound', workers: 'tlsbound' },
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
  adapters: {
    title: 'Keep-alive GET of an app on `mutualTls`, at level certificate, with and without the adapter',
    load: 'get',
    targets: {
      'fastify-listener': 'fastify-listener',
      'fastify-bound': 'fastify-listener',
      'express-listener': 'express-listener',
      'express-bound': 'express-listener',
      'koa-listener': 'koa-listener',
      'koa-bound': 'koa-listener',
      'hono-listener': 'hono-listener',
      'hono-bound': 'hono-listener',
    },
  },
  verifier: {
    title: 'Keep-alive GET of an app in Fastify, at level certificate',
    load: 'get',
    targets: { 'fastify-bound': 'fastify-bound', 'fastify-verifier': 'fastify-bound' },
  },
  forward: {
    title: 'Keep-alive GET of 1 KiB through a reverse proxy',
    load: 'forward',
    targets: { relay: 'relay', nginx: 'relay', gateway: 'relay' },
  },
  'forward-floors': {
    title: 'Keep-alive GET of 1 KiB through nginx, and through proxies of parts of Node',
    load: 'forward',
    targets: besideNginx,
  },
  download: {
    title: 'GET of 64 MiB through a reverse proxy',
    load: 'download',
    targets: besideNginx,
  },
  upload: {
    title: 'POST of 64 MiB through a reverse proxy',
    load: 'upload',
    targets: besideNginx,
  },
  sidecar: {
    title: 'Keep-alive GET through the sidecar',
    load: 'get',
    targets: { tlsbound: 'tlsbound', sidecar: 'tlsbound', 'sidecar-http1': 'tlsbound' },
  },
  client: {
    title: 'GET with a client library',
    load: 'get',
    targets: { undici: 'undici', client: 'undici' },
  },
  'client-fetch': {
    title: 'GET with the fetch of a client library',
    load: 'get',
    targets: { 'undici-fetch': 'undici-fetch', 'client-fetch': 'undici-fetch' },
  },
  'grown-get': {
    title: 'Keep-alive GET, as the state grows',
    load: 'get',
    targets: { grants: 'grants', grown: 'grants' },
  },
  'grown-token': {
    title: 'Token endpoint POST, as the state grows',
    load: 'token',
    targets: { grants: 'grants', grown: 'grants' },
  },
  'grown-refresh': {
    title: 'Refresh token POST, as the state grows',
    load: 'refresh',
    targets: { grants: 'grants', grown: 'grants' },
  },
  'grown-connect': {
    title: 'New connection each time, as the state grows',
    load: 'connect',
    targets: { grants: 'grants', grown: 'grants' },
  },
  idle: {
    title: 'An idle connection, never used',
    first: 'nothing',
    targets: { floor: 'floor', tlsbound: 'floor', grants: 'floor', jose: 'floor' },
  },
  'idle-used': {
    title: 'An idle connection after its token and one GET',
    first: 'get',
    targets: { floor: 'floor', tlsbound: 'floor', grants: 'floor', jose: 'floor' },
  },
  websockets: {
    title: 'An idle WebSocket through a reverse proxy',
    first: 'websocket',
    targets: { nginx: 'nginx', gateway: 'nginx' },
  },
} as const satisfies Record<string, Load | Idle>

export type RowName = keyof typeof rows

/** Rows that need minutes of preparation, and are measured only if they are named. */
export const grownRows = (Object.keys(rows) as RowName[]).filter(name => name.startsWith('grown-'))
