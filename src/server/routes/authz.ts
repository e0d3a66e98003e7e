// /authz: a proxy that ends TLS asks whether it may pass a request on (nginx auth_request, Traefik forwardAuth, Caddy forward_auth, Envoy
// ext_authz over HTTP). The answer is 204 with the identity as header fields, or the refusal of the token. Only a proxy whose entry says so may ask.
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { isScope } from '../../core/access-token.ts'
import { malformed } from '../../core/errors.ts'
import { whenReady } from '../../core/when-ready.ts'
import { createStatement, type Recipient } from '../../gateway/assertion.ts'
import { connectionOf } from '../../tls/connection.ts'
import type { TokenDemand } from '../../verify/demand.ts'
import { createTokenCheck } from '../../verify/token-check.ts'
import { RequestError } from '../errors.ts'
import type { ServerParts } from '../parts.ts'

/** What the route needs of the server. */
type AuthzParts = Pick<ServerParts, 'settings' | 'keys' | 'verifier' | 'resourceMetadata' | 'now' | 'log'>

/** What the proxy demands of the token, and for whom the identity is stated. */
interface Question {
  readonly demand: TokenDemand
  readonly recipient: Recipient
}

/** Different questions that are remembered. A proxy has one for each of its rules. */
const mostQuestions = 1000

const parameters = ['scope', 'audience', 'identity_fields'] as const

/** Adds the routes. Their answer precedes the body of the request, which is not read. */
export function authzRoute(app: FastifyInstance, parts: AuthzParts): void {
  const { settings, keys, verifier, resourceMetadata, now, log } = parts
  const check = createTokenCheck({ verifier, resourceMetadata, onWarning: message => log.warn(message) })
  const state = createStatement({ issuer: settings.issuer, sign: keys.sign, now })
  const questions = new Map<string, Question>()

  app.addHook('onRequest', (request, reply, done) => {
    const { raw } = request
    const connection = connectionOf(raw)
    if (connection?.forwarded?.proxy.authz !== true)
      throw new RequestError(403, 'not_a_proxy', { thumbprint: connection?.thumbprint })
    const { demand, recipient } = findQuestion(queryOf(request))
    void whenReady(
      () => check(raw, demand),
      token => answer(reply, state(recipient, token, connection)),
      error => done(error as Error),
    )
  })
  const unreachable = () => {
    throw new Error('the hook answers each request')
  }
  app.all('/authz', unreachable)
  app.all('/authz/*', unreachable) // Envoy puts the path of the request behind that of the service

  function findQuestion(query: string): Question {
    const known = questions.get(query)
    if (known !== undefined) return known
    const question = parseQuestion(query, settings.audience)
    if (questions.size >= mostQuestions) questions.clear()
    questions.set(query, question)
    return question
  }
}

/**
 * Returns the query, which is the demand of the proxy, however the path is encoded. With a path behind that of the service, the query
 * is that of the client, and demands nothing.
 */
function queryOf({ raw: { url = '' }, routeOptions }: FastifyRequest): string {
  const at = url.indexOf('?')
  return routeOptions.url === '/authz' && at !== -1 ? url.slice(at + 1) : ''
}

/** @throws OAuthError `malformed_request`: a demand that is misspelt or empty must not be dropped. */
function parseQuestion(query: string, audience: string): Question {
  const given = new URLSearchParams(query)
  const names = [...given.keys()]
  const unknown = names.find(name => !(parameters as readonly string[]).includes(name))
  if (unknown !== undefined)
    throw malformed('parameter_not_supported', { parameter: unknown, expected: parameters.join(', ') })
  const repeated = names.find((name, index) => names.indexOf(name) !== index)
  if (repeated !== undefined) throw malformed('parameter_repeated', { parameter: repeated })
  const { scope, audience: recipient = audience, identity_fields: fields = 'false' } = Object.fromEntries(given)
  const wrong = (parameter: string, expected: string) => malformed('parameter_invalid', { parameter, expected })
  // An empty one is a variable of the proxy that has no value.
  if (scope !== undefined && (scope === '' || !isScope(scope)))
    throw wrong('scope', 'scope tokens separated by single spaces')
  if (!/^[\x21-\x7e]{1,256}$/.test(recipient)) throw wrong('audience', '1 to 256 characters without spaces')
  if (!['true', 'false'].includes(fields)) throw wrong('identity_fields', 'true or false')
  return {
    demand: scope === undefined ? {} : { scope },
    recipient: { upstream: { text: recipient }, identityFields: fields === 'true', clientCert: false },
  }
}

function answer(reply: FastifyReply, fields: readonly string[]): void {
  reply.code(204).header('cache-control', 'no-store')
  for (let at = 0; at < fields.length; at += 2) reply.header(fields[at] as string, fields[at + 1] as string)
  reply.send()
}
