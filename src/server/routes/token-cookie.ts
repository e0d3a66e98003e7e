// Demo only, behind TLSBOUND_UNSAFE_TOKEN_COOKIE: plain curl cannot put an answer into a later request's header, but it
// carries cookies along, so that one curl run can get a connection-bound token and use it on the same connection.
import type { FastifyInstance } from 'fastify'
import type { ServerParts } from '../parts.ts'
import { answerTokenRequest } from './token.ts'

/** `__Host-` keeps the cookie on this host and on TLS. */
const cookie = '__Host-tlsbound-token'

export function tokenCookieRoute(app: FastifyInstance, parts: ServerParts): void {
  app.get<{ Querystring: { client_id?: string } }>('/demo/token-cookie', async (request, reply) => {
    const { client_id = '' } = request.query
    const form = { grant_type: 'client_credentials', client_id }
    const { access_token, ...answer } = await answerTokenRequest(request, form, parts)
    const attributes = `Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=${answer.expires_in}`
    reply
      .header('set-cookie', `${cookie}=${access_token}; ${attributes}`)
      .header('cache-control', 'no-store')
      .send(answer)
  })
}

/** Lets the cookie stand for an Authorization header. For requests below `/api`, before the token is looked for. */
export function readTokenCookie(app: FastifyInstance): void {
  app.addHook('onRequest', (request, _reply, done) => {
    const { headers } = request.raw
    const pair = headers.cookie?.split('; ').find(entry => entry.startsWith(`${cookie}=`))
    if (pair !== undefined) headers.authorization ??= `Bearer ${pair.slice(cookie.length + 1)}`
    done()
  })
}
