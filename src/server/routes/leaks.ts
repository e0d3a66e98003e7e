// POST /leaks: reports of leaked tokens, in the format of GitHub's secret scanning partner program. The response depends
// only on the form of the report, so that it does not reveal which tokens are valid (docs/reference/leak-reports.md).
import type { FastifyInstance } from 'fastify'
import { OAuthError } from '../../core/errors.ts'
import { type LeakReport, maximumReport, parseLeakReport } from '../../core/leak-report.ts'
import { acceptJsonOctets } from '../bodies.ts'
import { type Reporter, readReporter, verifyReport } from '../incidents/leak-reporter.ts'
import { createLeakResponse, type LeakResponseParts } from '../incidents/leak-response.ts'
import type { ServerParts } from '../parts.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** The authenticated reporter. */
    reporter: Reporter
  }
}

/** Number of tokens after which other requests are served before the next. */
const atATime = 25

/** Maximum number of invalid entries that the response explains. It counts the others. */
const maximumProblems = 100

/** What the route needs of the server. */
type LeakParts = LeakResponseParts & Pick<ServerParts, 'leakKeys' | 'verifier' | 'log'>

export function leaksRoute(app: FastifyInstance, parts: LeakParts): void {
  const endLeaked = createLeakResponse(parts)
  app.decorateRequest('reporter')
  app.addHook('onRequest', async request => {
    request.reporter = await readReporter(request, parts)
  })
  acceptJsonOctets(app) // unparsed, because the signature covers the octets

  app.post('/leaks', { bodyLimit: maximumReport }, async (request, reply) => {
    const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0)
    verifyReport(request.reporter, body)
    const { leaks, problems } = readReport(body)
    for (const [index, leak] of leaks.entries()) {
      if (index % atATime === atATime - 1) await new Promise(setImmediate)
      await endLeaked(request, request.reporter, leak)
    }
    reply.header('cache-control', 'no-store')
    if (problems.length === 0) return reply.code(204).send()
    parts.log.warn(
      { request_id: request.id, entries: problems.length, first: problems[0] },
      'a report of leaked tokens has invalid entries',
    )
    return {
      not_understood: problems.slice(0, maximumProblems),
      ...(problems.length > maximumProblems && { more: problems.length - maximumProblems }),
    }
  })
}

/** Parses a report. @throws OAuthError `malformed_request` */
function readReport(body: Buffer): LeakReport {
  const report = parseLeakReport(parseJson(body))
  if (report === undefined)
    throw new OAuthError('invalid_request', 'malformed_request', 'body_form', {
      expected: 'a JSON array of objects with the member token, at least one',
    })
  return report
}

/** Parses JSON in UTF-8. @throws OAuthError `malformed_request` */
function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(body))
  } catch {
    throw new OAuthError('invalid_request', 'malformed_request', 'body_not_json')
  }
}
