// Demo only, with TLSBOUND_UNSAFE_TOKEN_COOKIE: curl cannot copy a response into a later request's header, but it sends
// cookies. So one curl run can get a connection-bound token and use it on the same connection.
import type { FastifyInstance } from 'fastify'
import type { ServerParts } from '../parts.ts'
import { answerTokenRequest } from './token.ts'

/** `__Host-` limits the cookie to this host and to TLS. */
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

/** Turns the cookie into an Authorization header. For requests below `/api`, before the token check. */
export function readTokenCookie(app: FastifyInstance): void {
  app.addHook('onRequest', (request, _reply, done) => {
    const { headers } = request.raw
    const pair = headers.cookie?.split('; ').find(entry => entry.startsWith(`${cookie}=`))
    if (pair !== undefined) headers.authorization ??= `Bearer ${pair.slice(cookie.length + 1)}`
    done()
  })
}
