// The servers that are compared, and the requests that each supports.
export interface Target {
  title: string
  file: URL
  /** The protected resource: none, open to every client, or only for a token issued on the same connection. */
  whoami: 'none' | 'open' | 'protected'
}

const file = (name: string) => new URL(`targets/${name}.ts`, import.meta.url)

/** In this order within every round. */
export const targets = {
  floor: { title: 'bare Fastify, no tokens (**the floor**)', file: file('floor'), whoami: 'open' },
  'floor-https': { title: 'bare Fastify, no HTTP/2 offered', file: file('floor-https'), whoami: 'open' },
  tlsbound: { title: '**tlsbound**', file: file('tlsbound'), whoami: 'protected' },
  'tlsbound-grants': {
    title: '**tlsbound** with refresh tokens, in SQLite',
    file: file('tlsbound-grants'),
    whoami: 'protected',
  },
  jose: { title: 'Fastify + jose, verified on each request', file: file('jose'), whoami: 'protected' },
  'oidc-provider': { title: 'node-oidc-provider 9', file: file('oidc-provider'), whoami: 'none' },
} as const satisfies Record<string, Target>

export type TargetName = keyof typeof targets
