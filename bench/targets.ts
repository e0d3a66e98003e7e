// The servers that are compared, and how the load uses each.
import type { Kind } from './load/lanes.ts'

export interface Target {
  title: string
  file: URL
  /** Arguments of its process. */
  args?: readonly string[]
  /** Whether the server speaks HTTP without TLS. */
  plain?: true
  /** Whether the load gets a token first, on the same connection, and sends it with each GET. */
  token: boolean
  /** A load of its own, for targets that differ in what is sent to the server. */
  load?: Kind
  /** Whether the load is what is measured: its CPU time, and its profile. */
  measuresLoad?: true
}

const file = (name: string) => new URL(`targets/${name}.ts`, import.meta.url)

const app = (title: string, ...args: string[]): Target => ({ title, file: file('app'), args, token: true })

const proxy = (title: string, ...args: string[]): Target => ({ title, file: file('proxies'), args, token: true })

const boundApp = (title: string) => app(title, 'fastify', 'bound')

/** In this order within every round. */
export const targets = {
  floor: {
    title: 'bare Fastify: the same octets on the wire, nothing verified (**the floor**)',
    file: file('floor'),
    token: true,
  },
  bare: { title: 'bare Fastify, requests without a token', file: file('floor'), token: false },
  https: { title: 'bare Fastify, no HTTP/2 offered', file: file('floor-https'), token: true },
  tlsbound: { title: '**tlsbound**', file: file('tlsbound'), token: true },
  grants: { title: '**tlsbound** with refresh tokens, in SQLite', file: file('tlsbound-grants'), token: true },
  workers: { title: '**tlsbound** with two workers', file: file('tlsbound-workers'), token: true },
  grown: {
    title: '**tlsbound** with 10⁶ grants, 10⁶ revocations and 10⁵ clients',
    file: file('tlsbound-grown'),
    token: true,
  },
  jose: { title: 'Fastify + jose, verified on each request', file: file('jose'), token: true },
  'oidc-provider': { title: 'node-oidc-provider 9', file: file('oidc-provider'), token: false },
  sidecar: {
    title: '**the sidecar** in front of tlsbound; the CPU time is its own',
    file: file('sidecar'),
    token: false,
    plain: true,
  },
  'sidecar-http1': {
    title: '**the sidecar** over HTTP/1.1',
    file: file('sidecar'),
    args: ['http1'],
    token: false,
    plain: true,
  },
  undici: {
    title: 'tlsbound, called with undici; the CPU time is that of the client',
    file: file('tlsbound'),
    token: true,
    load: 'undici',
    measuresLoad: true,
  },
  client: {
    title: 'tlsbound, called with **createClient**; the CPU time is that of the client',
    file: file('tlsbound'),
    token: true,
    load: 'client',
    measuresLoad: true,
  },
  'undici-fetch': {
    title: "tlsbound, called with undici's fetch; the CPU time is that of the client",
    file: file('tlsbound'),
    token: true,
    load: 'undici-fetch',
    measuresLoad: true,
  },
  'client-fetch': {
    title: 'tlsbound, called with the fetch of **createClient**; the CPU time is that of the client',
    file: file('tlsbound'),
    token: true,
    load: 'client-fetch',
    measuresLoad: true,
  },
  relay: { title: 'the same reverse proxy without tlsbound', file: file('gateway'), args: ['relay'], token: true },
  nginx: { title: 'nginx with mutual TLS, one worker', file: file('gateway'), args: ['nginx'], token: true },
  'pipe-proxy': proxy("sockets of Node alone: octets passed on unread (**Node's floor**)", 'pipe'),
  'http-proxy': proxy('node:https and node:http alone', 'http'),
  'undici-proxy': proxy('node:https and undici alone', 'undici'),
  gateway: {
    title: '**the gateway** in the server, level connection',
    file: file('gateway'),
    args: ['tlsbound'],
    token: true,
  },
  fastify: app('Fastify', 'fastify'),
  'fastify-listener': app('Fastify on `mutualTls`', 'fastify', 'listener'),
  'fastify-bound': app('Fastify + **requireToken**', 'fastify', 'bound'),
  'fastify-verifier': app('Fastify + **createVerifier**, awaited in a hook', 'fastify', 'verifier'),
  'get-proven': { ...boundApp('a **binding proof** for each request'), load: 'get-proven' },
  'get-signed': { ...boundApp('a **signature** of each request'), load: 'get-signed' },
  'post-bound': { ...boundApp('a token only'), load: 'post-bound' },
  'post-proven': {
    ...boundApp('a **binding proof** for each request, which does not cover the body'),
    load: 'post-proven',
  },
  'post-signed': { ...boundApp('a **signature** of each request and its body'), load: 'post-signed' },
  express: app('Express', 'express'),
  'express-listener': app('Express on `mutualTls`', 'express', 'listener'),
  'express-bound': app('Express + **requireToken**', 'express', 'bound'),
  koa: app('Koa', 'koa'),
  'koa-listener': app('Koa on `mutualTls`', 'koa', 'listener'),
  'koa-bound': app('Koa + **requireToken**', 'koa', 'bound'),
  hono: app('Hono', 'hono'),
  'hono-listener': app('Hono on `mutualTls`', 'hono', 'listener'),
  'hono-bound': app('Hono + **requireToken**', 'hono', 'bound'),
} as const satisfies Record<string, Target>

export type TargetName = keyof typeof targets
