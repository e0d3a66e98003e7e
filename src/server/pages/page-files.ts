// Pages for people, on both listeners: plain files of src/page, with headers by which a page loads nothing from elsewhere,
// runs nothing but our files, and is framed, read or embedded by nobody (CSP Level 3).
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

/** Reads a file of the page's folder. @throws Error of the system. */
export function readPageFile(name: string): string {
  return readFileSync(new URL(`../../page/${name}`, import.meta.url), 'utf8')
}

/** Answers with a page, or a part of one; `type` is how its file's name ends. */
export function sendPage(reply: FastifyReply, type: string, content: string): FastifyReply {
  return reply
    .headers(pageHeaders)
    .type(types[type] as string)
    .send(content)
}

/** Serves files at `/page/NAME`. They are read now, so that one that is missing shows at the start. */
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
