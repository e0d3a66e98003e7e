// POST /leaks: reports of leaked tokens, in the format of GitHub's secret scanning partner programme. The answer is always
// the same, whatever the tokens were: a report must not tell its sender which of them are good (docs/leaks.md).
import type { FastifyInstance } from 'fastify'
import { OAuthError } from '../../core/errors.ts'
import { type Leak, readLeakReport } from '../../core/leak-report.ts'
import { acceptJsonOctets } from '../bodies.ts'
import { type Reporter, readReporter, verifyReport } from '../leak-reporter.ts'
import { createLeakResponse } from '../leak-response.ts'
import type { ServerParts } from '../parts.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** Who reports leaked tokens. */
    reporter: Reporter
  }
}

/** Octets: as many tokens as one report may hold, with what is said of each. */
const maximumReport = 131_072

export function leaksRoute(app: FastifyInstance, parts: ServerParts): void {
  const endLeaked = createLeakResponse(parts)
  app.decorateRequest('reporter')
  app.addHook('onRequest', async request => {
    request.reporter = await readReporter(request, parts)
  })
  acceptJsonOctets(app) // kept as they came: they are what is signed

  app.post('/leaks', { bodyLimit: maximumReport }, async (request, reply) => {
    const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0)
    verifyReport(request.reporter, body)
    for (const leak of readLeaks(body)) await endLeaked(request, request.reporter, leak)
    return reply.code(204).header('cache-control', 'no-store').send()
  })
}

/** @throws OAuthError `malformed_request` */
function readLeaks(body: Buffer): readonly Leak[] {
  const leaks = readLeakReport(parseJson(body))
  if (leaks === undefined)
    throw new OAuthError('invalid_request', 'malformed_request', 'body_form', {
      expected: 'a JSON array of objects with the member token',
    })
  return leaks
}

/** undefined for what is no JSON in UTF-8. */
function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(body))
  } catch {
    return undefined
  }
}
