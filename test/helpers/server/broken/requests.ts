// What servers do wrong with requests: where they take tokens and certificates from, and what they let pass unseen.
import { hash, X509Certificate } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { forgeToken } from '../../tokens/forge-token.ts'
import type { Asker, Fault } from '../broken-server.ts'
import { fit, fitWhere } from './claims.ts'

/** The token of a request, wherever the client has put it. */
export function tokenOf({ headers }: IncomingMessage): string | undefined {
  return /^bearer +(\S+)$/i.exec(headers.authorization ?? '')?.[1]
}

/** Puts a token where one belongs. */
export function take({ request }: Asker, token: string | undefined): void {
  if (token === undefined) return
  request.headers.authorization = `Bearer ${token}`
  // Fields are pairs; nobody shall find a second one, nor another.
  const { rawHeaders } = request
  for (let at = rawHeaders.length - 2; at >= 0; at -= 2)
    if (rawHeaders[at]?.toLowerCase() === 'authorization') rawHeaders.splice(at, 2)
}

/** Lets a request pass as what its token, or another one, says. */
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
  /** Of two headers the first is checked, and the last one believed. */
  believesSecondHeader: {
    asked: asker => {
      const [first, second] = fieldsOf(asker.request, 'authorization')
      if (first?.startsWith('Bearer ey') && second?.startsWith('Bearer ey')) letPass(asker, second.split(' ')[1])
    },
  },
  /** Believes that a proxy stands before it, which has looked at the certificate. */
  trustsCertificateHeader: fitWhere((cnf, { request: { headers } }) => {
    const text = headers['x-client-cert'] as string | undefined
    if (!text?.includes('BEGIN%20CERTIFICATE')) return false
    const { raw } = new X509Certificate(decodeURIComponent(text))
    return cnf['x5t#S256'] === hash('sha256', raw, 'base64url')
  }),
  /** Believes that a proxy stands before it, which has looked at the connection. */
  trustsBindingHeader: fitWhere((cnf, { request: { headers } }) => {
    const value = Buffer.from((headers['tls-exporter'] as string | undefined) ?? '', 'base64url')
    return cnf['tls-exporter#S256'] === hash('sha256', value, 'base64url')
  }),
  /** Takes HEAD for harmless. */
  skipsHead: {
    asked: asker => {
      if (asker.request.method === 'HEAD') letPass(asker)
    },
  },
  /** Guards one spelling of an address, and serves others. */
  skipsOtherSpellings: {
    asked: asker => {
      const { url = '' } = asker.request
      if (!/^\/+api\/+whoami\/?$/i.test(url) || url === '/api/whoami') return
      asker.request.url = '/api/whoami'
      letPass(asker)
    },
  },
  /** Remembers what was found out about a token by its text, for all connections. */
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
  /** Falls over a token that is too long for it. */
  failsOnLongTokens: {
    asked: ({ request, response }) => {
      if ((request.headers.authorization ?? '').length < 8000) return
      response.statusCode = 500
      response.end()
    },
  },
} satisfies Record<string, Fault>
