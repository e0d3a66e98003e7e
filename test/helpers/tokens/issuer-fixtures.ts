// Tokens in the form of each identity provider (test/vectors/issuer-tokens.json), signed with keys of this file and bound to a
// certificate, and a server that verifies them.
import { generateKeyPairSync, type KeyObject, X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { CompactSign } from 'jose'
import { type IssuerProfileName, mutualTls, OAuthError, type Verifier } from 'tlsbound'
import { readCertificate } from '../../../src/core/presenter.ts'
import { makeDemoPki } from '../../../src/pki/demo.ts'
import { openConnection, type TestConnection } from '../../../src/testing/connection.ts'

export interface Fixture {
  readonly issuer: string
  readonly profile: IssuerProfileName
  readonly header: Record<string, unknown>
  readonly payload: Record<string, unknown>
}
export const fixtures = JSON.parse(readFileSync('test/vectors/issuer-tokens.json', 'utf8')) as Fixture[]

export const pki = makeDemoPki()
export const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
export const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' })
export const keys = [
  { ...rsa.publicKey.export({ format: 'jwk' }), kid: 'r', x5c: ['MIIB'], x5t: 'abc' },
  { ...ec.publicKey.export({ format: 'jwk' }), kid: 'e' },
]
export const now = Math.floor(Date.now() / 1000)
export const cnf = { 'x5t#S256': readCertificate(new X509Certificate(pki.alice.certificate)).thumbprint }

export interface Changes {
  readonly header?: Record<string, unknown>
  readonly payload?: Record<string, unknown>
  readonly key?: KeyObject
}

/** The claims of a fixture, with its times moved to now, and bound to alice. */
export function claimsOf({ payload }: Fixture): Record<string, unknown> {
  const times = Object.fromEntries(
    ['iat', 'nbf', 'exp', 'auth_time'].flatMap(name =>
      name in payload ? [[name, (payload[name] as number) + now]] : [],
    ),
  )
  return { ...payload, ...times, cnf }
}

/** Signs a fixture with changes. Omits undefined members. */
export async function sign(fixture: Fixture, { header, payload, key = rsa.privateKey }: Changes = {}): Promise<string> {
  const body = Buffer.from(JSON.stringify({ ...claimsOf(fixture), ...payload }))
  const full = JSON.parse(JSON.stringify({ ...fixture.header, kid: 'r', ...header }))
  return new CompactSign(body).setProtectedHeader(full).sign(key, { crit: { exp: true } })
}

/** A server that answers with the claims that the current verifier returns, and connections to it. */
export async function startVerifying(t: { teardown(end: () => unknown): void }, current: () => Verifier) {
  const server = mutualTls({ cert: pki.server.certificate, key: pki.server.key, ca: pki.ca.certificate })(
    (request: IncomingMessage, response: ServerResponse) => {
      const verifier = current()
      verifier.verify(request).then(
        ({ claims, scope }) => response.end(JSON.stringify({ ...claims, list: scope })),
        error => {
          if (error instanceof OAuthError) verifier.sendRefusal(response, error)
          else response.writeHead(500).end()
        },
      )
    },
  )
  await new Promise<void>(listening => server.listen(0, '127.0.0.1', listening))
  t.teardown(() => server.close())
  return async (who: 'alice' | 'bob' | null, protocol = 'http/1.1'): Promise<TestConnection> => {
    const { port } = server.address() as AddressInfo
    const identity = who && { cert: pki[who].certificate, key: pki[who].key }
    const tls = { host: '127.0.0.1', port, servername: 'localhost', ca: pki.ca.certificate, ALPNProtocols: [protocol] }
    const connection = await openConnection({ ...tls, ...identity }, 'alice')
    t.teardown(() => connection.close())
    return connection
  }
}
