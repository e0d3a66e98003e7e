// The two kinds of request body: forms, as strictly as OAuth requires (no repeated parameter, an empty one counts as
// absent: RFC 6749 §3.2), and JSON in UTF-8. Each route accepts one content type.

import { isUtf8 } from 'node:buffer'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { DetailOf, RefusalFacts } from '../core/details.ts'
import { malformed, OAuthError } from '../core/errors.ts'
import { isTooDeep, maximumDepth } from '../core/json-depth.ts'
import { isAsciiOrUtf8, parseMediaType } from '../core/media-type.ts'
import { countHeaders } from '../verify/bearer.ts'
import { RequestError } from './errors.ts'

export type Form = Readonly<Record<string, string>>

const formType = 'application/x-www-form-urlencoded'
const jsonType = 'application/json'

/** Maximum size of a form in octets. */
export const maximumForm = 16_384

/** Maximum characters of a parameter that contains no token. Tokens have limits of their own. */
export const maximumParameter = 8192

/** Makes the routes of this scope accept forms only. Any other type gets 400: RFC 6749 §5.2 has no other status. */
export function acceptForms(app: FastifyInstance): void {
  app.addHook('onRoute', route => {
    route.bodyLimit ??= maximumForm
  })
  app.addHook('onRequest', (request, _reply, done) => {
    const problem = findBodyProblem(request, formType)
    done(problem && malformed(...problem))
  })
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'string' }, (_request, body, done) => done(null, body))
}

/** Makes the routes of this scope accept JSON only, and parses it. Any other type gets 415. */
export function acceptJson(app: FastifyInstance): void {
  acceptJsonOctets(app, (request, octets) => {
    if (octets.length === 0) throw malformed('body_empty')
    if (!isUtf8(octets)) throw malformed('body_not_utf8')
    const text = octets.toString()
    if (isTooDeep(text)) throw malformed('body_too_deep', { limit: maximumDepth })
    let result: unknown
    parse(request, text, (error: Error | null, value?: unknown) => {
      if (error) throw describeJsonFault(text)
      result = value
    })
    return result
  })
  const parse = app.getDefaultJsonParser('error', 'error') // a body with __proto__ or constructor.prototype is an error
}

/** Makes the routes of this scope accept JSON only. `read` converts its octets to the body. Any other type gets 415. */
export function acceptJsonOctets(
  app: FastifyInstance,
  read: (request: FastifyRequest, octets: Buffer) => unknown = (_request, octets) => octets,
): void {
  app.addHook('onRequest', (request, _reply, done) => {
    const problem = hasBody(request) ? findBodyProblem(request, jsonType) : undefined
    done(problem && new RequestError(415, ...problem))
  })
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (request, body, done) => {
    try {
      done(null, request.is404 ? undefined : read(request, body as Buffer))
    } catch (error) {
      done(error as Error)
    }
  })
}

/** Checks by its headers whether a request has a body. */
function hasBody({ method, headers, is404 }: FastifyRequest): boolean {
  if (is404 || method === 'GET' || method === 'HEAD') return false
  const { 'content-type': type, 'content-length': length = '0', 'transfer-encoding': coding } = headers
  return type !== undefined || length !== '0' || coding !== undefined
}

/** Returns why the body is not of the expected type, judged by the headers. */
function findBodyProblem(
  { raw, headers }: FastifyRequest,
  expected: string,
): [DetailOf<'malformed_request'>, RefusalFacts] | undefined {
  const { 'content-type': found, 'content-encoding': coding } = headers
  if (found !== expected) {
    if (found === undefined) return ['content_type_missing', { expected }]
    const type = parseMediaType(found)
    if (type?.essence !== expected) return ['content_type', { found, expected }]
    const charset = type.charsets.find(name => !isAsciiOrUtf8(name))
    if (charset !== undefined) return ['charset', { found: charset, expected: `${expected}; charset=utf-8` }]
  }
  if (countHeaders(raw.rawHeaders, 'content-type') > 1) return ['header_repeated', { header: 'Content-Type' }]
  return coding === undefined ? undefined : ['content_encoding', { found: coding }] // no compressed body is supported
}

/** Explains a body that Fastify's parser rejects. */
function describeJsonFault(text: string): OAuthError {
  try {
    JSON.parse(text)
  } catch (error) {
    const position = / in JSON at position (\d+)/.exec((error as Error).message)?.[1]
    return malformed('body_not_json', { found: position && `at character ${position}` })
  }
  return malformed('body_prototype')
}

/** The names of a form's parameters without a value. */
const emptyParameters = Symbol('empty parameters')

/**
 * Parses a form.
 * @throws OAuthError `malformed_request` for a parameter that is repeated, badly encoded, or too long; `target_unknown` for two targets.
 */
export function readForm(body: unknown): Form {
  const text = typeof body === 'string' ? body : ''
  const form: Record<string, string> & { [emptyParameters]?: Set<string> } = Object.create(null)
  const seen = new Set<string>()
  let isSuspect = /%(?![0-9A-Fa-f]{2})|%00|[\0\ufffd]/.test(text)
  for (const [name, value] of new URLSearchParams(text)) {
    if (seen.has(name)) throw refuseRepeated(name)
    if (value.length > maximumParameter && !name.endsWith('token'))
      throw malformed('parameter_too_long', { parameter: name, found: value.length, limit: maximumParameter })
    seen.add(name)
    isSuspect ||= value.includes('\ufffd') || name.includes('\ufffd')
    if (value !== '') form[name] = value
  }
  if (isSuspect) requireEncoding(text)
  if (seen.size > Object.keys(form).length) form[emptyParameters] = seen
  return form
}

/** Several targets may be named (RFC 8707 §2, RFC 8693 §2.1), but a token is for one here; no other parameter may come twice. */
function refuseRepeated(parameter: string): OAuthError {
  if (parameter !== 'resource' && parameter !== 'audience') return malformed('parameter_repeated', { parameter })
  return new OAuthError('invalid_target', 'target_unknown', 'two_targets', { found: `${parameter} twice` })
}

/** Returns a parameter that must be present and not empty. @throws OAuthError `malformed_request` */
export function requireParameter(form: Form, parameter: string): string {
  const value = form[parameter]
  if (value !== undefined) return value
  const isEmpty = (form as { [emptyParameters]?: Set<string> })[emptyParameters]?.has(parameter) === true
  throw malformed(isEmpty ? 'parameter_empty' : 'parameter_missing', { parameter })
}

/** Rejects a form that is not percent-encoded UTF-8. @throws OAuthError `malformed_request` */
function requireEncoding(text: string): void {
  for (const pair of text.split('&')) {
    const [name = '', value = ''] = pair.split(/=(.*)/s).map(part => part.replaceAll('+', ' '))
    const parameter = decode(name)
    const found = findEncodingFault(name) ?? findEncodingFault(value)
    if (found !== undefined) throw malformed('parameter_encoding', { parameter, found })
  }
}

function findEncodingFault(text: string): string | undefined {
  if (/%(?![0-9A-Fa-f]{2})/.test(text)) return 'a percent sign without two hexadecimal digits'
  if (/%00|\0/.test(text)) return 'NUL'
  return text.includes('\ufffd') || decode(text) === undefined ? 'octets that are not UTF-8' : undefined
}

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}
