// Reads a form body as strictly as OAuth asks: no parameter twice, an empty one is absent (RFC 6749 §3.2).
import type { FastifyInstance } from 'fastify'
import { OAuthError } from '../core/errors.ts'

export type Form = Readonly<Record<string, string>>

const maximumLength = 16_384

/** Makes forms the one content type that the routes of this scope take. */
export function acceptForms(app: FastifyInstance): void {
  app.removeAllContentTypeParsers()
  const options = { parseAs: 'string', bodyLimit: maximumLength } as const
  app.addContentTypeParser('application/x-www-form-urlencoded', options, (_request, body, done) => {
    try {
      done(null, readForm(String(body)))
    } catch (error) {
      done(error as Error)
    }
  })
  // RFC 6749 §5.2 has one status for a request that is not of the right form, and so for one of another type.
  app.addContentTypeParser('*', (_request, _body, done) => done(malformed()))
}

/** @throws OAuthError `malformed_request` when a parameter is repeated. */
export function readForm(body: string): Form {
  const form: Record<string, string> = Object.create(null)
  for (const [name, value] of new URLSearchParams(body)) {
    if (Object.hasOwn(form, name)) throw malformed()
    form[name] = value
  }
  for (const [name, value] of Object.entries(form)) if (value === '') delete form[name]
  return form
}

function malformed(): OAuthError {
  return new OAuthError('invalid_request', 'malformed_request')
}
