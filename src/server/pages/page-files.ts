// Serves the pages of both listeners: files of src/page, with headers that forbid loading from elsewhere, foreign scripts,
// framing and embedding (CSP Level 3).
import { readFileSync } from 'node:fs'
import type { FastifyContextConfig, FastifyInstance, FastifyReply } from 'fastify'

const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
]

export const pageHeaders = {
  'content-security-policy': policy.join('; '),
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'cache-control': 'no-store',
}

const types: Readonly<Record<string, string>> = {
  html: 'text/html; charset=utf-8',
  css: 'text/css; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  svg: 'image/svg+xml',
}

/** Loads a file of the page's folder. @throws Error of the system. */
export function readPageFile(name: string): string {
  return readFileSync(new URL(`../../page/${name}`, import.meta.url), 'utf8')
}

/** Sends a page or a part of one. `type` is the extension of its file. */
export function sendPage(reply: FastifyReply, type: string, content: string): FastifyReply {
  return reply
    .headers(pageHeaders)
    .type(types[type] as string)
    .send(content)
}

/** Serves files at `/page/NAME`. They are read now, so that a missing one fails the start. */
export function servePageFiles(
  app: FastifyInstance,
  names: readonly string[],
  config: FastifyContextConfig = {},
): void {
  for (const name of names) {
    const content = readPageFile(name)
    const type = name.slice(name.lastIndexOf('.') + 1)
    app.get(`/page/${name}`, { config }, (_request, reply) => sendPage(reply, type, content))
  }
}
