// Faults in the handling of requests: where tokens and certificates are read from, and what is not checked.
import { hash, X509Certificate } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { forgeToken } from '../../tokens/forge-token.ts'
import type { Asker, Fault } from '../broken-server.ts'
import { fit, fitWhere } from './claims.ts'

/** The token of a request, wherever the client has put it. */
export function tokenOf({ headers }: IncomingMessage): string | undefined {
  return /^bearer +(\S+)$/i.exec(headers.authorization ?? '')?.[1]
}

/** Puts a token into the Authorization header. */
export function take({ request }: Asker, token: string | undefined): void {
  if (token === undefined) return
  request.headers.authorization = `Bearer ${token}`
  // Fields are pairs; another or repeated field must not be found.
  const { rawHeaders } = request
  for (let at = rawHeaders.length - 2; at >= 0; at -= 2)
    if (rawHeaders[at]?.toLowerCase() === 'authorization') rawHeaders.splice(at, 2)
}

/** Accepts a request as the presenter of its token, or of another one. */
function letPass(asker: Asker, token = tokenOf(asker.request)): void {
  const payload = token?.split('.')[1]
  if (payload === undefined) return
  const claims = fit(JSON.parse(Buffer.from(payload, 'base64url').toString()), asker)
  take(asker, forgeToken({ jwk: asker.server.signingKey, claims }))
}

function fieldsOf({ rawHeaders }: IncomingMessage, name: string): string[] {
  return rawHeaders.filter((_, at) => at % 2 === 1 && rawHeaders[at - 1]?.toLowerCase() === name)
}

export const requestFaults = {
  takesTokensFromQuery: {
    asked: asker => {
      const { pathname, searchParams } = new URL(asker.request.url ?? '', 'https://localhost')
      const token = searchParams.get('access_token')
      if (token === null) return
      asker.request.url = pathname
      take(asker, token)
    },
  },
  takesTokensFromCookies: {
    asked: asker => take(asker, /access_token=([^;]+)/.exec(asker.request.headers.cookie ?? '')?.[1]),
  },
  takesTokensFromOtherHeaders: {
    asked: asker => take(asker, asker.request.headers['x-access-token'] as string | undefined),
  },
  /** Checks the first of two headers, and uses the last one. */
  believesSecondHeader: {
    asked: asker => {
      const [first, second] = fieldsOf(asker.request, 'authorization')
      if (first?.startsWith('Bearer ey') && second?.startsWith('Bearer ey')) letPass(asker, second.split(' ')[1])
    },
  },
  /** Trusts a proxy header about the certificate. */
  trustsCertificateHeader: fitWhere((cnf, { request: { headers } }) => {
    const text = headers['x-client-cert'] as string | undefined
    if (!text?.includes('BEGIN%20CERTIFICATE')) return false
    const { raw } = new X509Certificate(decodeURIComponent(text))
    return cnf['x5t#S256'] === hash('sha256', raw, 'base64url')
  }),
  /** Trusts a proxy header about the connection. */
  trustsBindingHeader: fitWhere((cnf, { request: { headers } }) => {
    const value = Buffer.from((headers['tls-exporter'] as string | undefined) ?? '', 'base64url')
    return cnf['tls-exporter#S256'] === hash('sha256', value, 'base64url')
  }),
  /** Treats HEAD as harmless. */
  skipsHead: {
    asked: asker => {
      if (asker.request.method === 'HEAD') letPass(asker)
    },
  },
  /** Protects one spelling of a path, and serves others. */
  skipsOtherSpellings: {
    asked: asker => {
      const { url = '' } = asker.request
      if (!/^\/+api\/+whoami\/?$/i.test(url) || url === '/api/whoami') return
      asker.request.url = '/api/whoami'
      letPass(asker)
    },
  },
  /** Remembers the verdict on a token by its text, for all connections. */
  remembersVerdicts: {
    asked: ({ request: { headers }, response, server }) => {
      response.on('finish', () => {
        if (response.statusCode === 200) server.memory.set(`good ${headers.authorization}`, true)
      })
    },
    read: (claims, asker) => {
      const { request, server } = asker
      return server.memory.has(`good ${request.headers.authorization}`) ? fit(claims, asker) : claims
    },
  },
  /** Fails with an exception on a token that is too long. */
  failsOnLongTokens: {
    asked: ({ request, response }) => {
      if ((request.headers.authorization ?? '').length < 8000) return
      response.statusCode = 500
      response.end()
    },
  },
} satisfies Record<string, Fault>
