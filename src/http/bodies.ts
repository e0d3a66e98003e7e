// The two kinds of body that are read here, each the one content type of its routes: forms, as strictly as OAuth asks
// (no parameter twice, an empty one is absent: RFC 6749 §3.2), and JSON in UTF-8.
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { DetailOf, RefusalFacts } from '../core/details.ts'
import { OAuthError } from '../core/errors.ts'
import { RequestError } from './errors.ts'

export type Form = Readonly<Record<string, string>>

/** Octets of a form. */
const maximumForm = 16_384

/** Makes forms what the routes of this scope take. Any other type is 400 there: RFC 6749 §5.2 has no other status. */
export function acceptForms(app: FastifyInstance): void {
  const type = 'application/x-www-form-urlencoded'
  const readText = (body: string) => body // taken apart by readForm in the route: a fault in here ends the connection
  accept(
    app,
    /^application\/x-www-form-urlencoded *(; *charset="?utf-8"?)?$/i,
    readText,
    () => malformed('content_encoding'),
    maximumForm,
  )
  app.addContentTypeParser('*', ({ headers }, _body, done) =>
    done(malformed('content_type', { found: headers['content-type'], expected: type })),
  )
}

/** Makes JSON what the routes of this scope take. Any other type is 415. */
export function acceptJson(app: FastifyInstance): void {
  const parse = app.getDefaultJsonParser('error', 'error') // a body that reaches for a prototype is an error
  const readJson = (body: string, request: FastifyRequest) => {
    let result: unknown
    parse(request, body, (error: Error | null, value?: unknown) => {
      if (error) throw malformed('body_not_json')
      result = value
    })
    return result
  }
  accept(
    app,
    /^application\/json *(; *charset="?utf-8"?)?$/i,
    readJson,
    () => new RequestError(415, 'content_encoding'),
  )
}

function accept(
  app: FastifyInstance,
  type: RegExp,
  read: (body: string, request: FastifyRequest) => unknown,
  refusal: () => Error,
  bodyLimit?: number,
): void {
  app.removeAllContentTypeParsers()
  const options = { parseAs: 'string', ...(bodyLimit !== undefined && { bodyLimit }) } as const
  app.addContentTypeParser(type, options, (request, body, done) => {
    try {
      if (request.headers['content-encoding'] !== undefined) throw refusal() // nothing is unpacked here
      done(null, read(String(body), request))
    } catch (error) {
      done(error as Error)
    }
  })
}

/** @throws OAuthError `malformed_request` when a parameter is repeated. */
export function readForm(body: unknown): Form {
  const form: Record<string, string> = Object.create(null)
  const seen = new Set<string>()
  for (const [name, value] of new URLSearchParams(typeof body === 'string' ? body : '')) {
    if (seen.has(name)) throw malformed('parameter_repeated', { parameter: name })
    seen.add(name)
    if (value !== '') form[name] = value
  }
  return form
}

function malformed(detail: DetailOf<'malformed_request'>, facts?: RefusalFacts): OAuthError {
  return new OAuthError('invalid_request', 'malformed_request', detail, facts)
}
