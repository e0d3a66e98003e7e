// The lab against a test server in the same process: the identities, and everything that this makes possible.
import { createPrivateKey, sign } from 'node:crypto'
import { createIssuer } from '../../../src/cli/lab/issue.ts'
import { generateTokenKey, type TokenJwk } from '../../../src/keys/token-keys.ts'
import type { Cast, Identity } from '../../../src/lab/cast.ts'
import { endpointOf, openConnection } from '../../../src/lab/connection.ts'
import { type Matrix, type Run, runMatrix } from '../../../src/lab/matrix.ts'
import { type Profile, type ProfileOptions, readProfile } from '../../../src/lab/profile.ts'
import type { Scenario } from '../../../src/lab/scenario.ts'
import type { DemoPki } from '../../../src/pki/demo.ts'
import { demoRegistrations } from '../../../src/process/demo.ts'
import { forgeToken } from '../tokens/forge-token.ts'

/** The demo's clients with every grant, so that the lab can steal every kind of token. */
export const labClients = demoRegistrations.map(client => ({
  ...client,
  grant_types: ['client_credentials', 'refresh_token', 'urn:ietf:params:oauth:grant-type:token-exchange'],
}))

/** The Ed25519 keys of a server, for PASETO and for JWTs. */
export type PasetoKeys = Readonly<Record<'paseto' | 'jwt', TokenJwk>>

/** Generates such keys. */
export async function makePasetoKeys(): Promise<PasetoKeys> {
  return { paseto: await generateTokenKey('v4.public'), jwt: await generateTokenKey('EdDSA') }
}

/** The demo's identities, an issuer of further ones, and the server's signing key if given. */
export function castOf(
  { ca, alice, bob, mallory, stranger }: Omit<DemoPki, 'server'>,
  signingKey?: TokenJwk,
  pasetoKeys?: PasetoKeys,
): Cast {
  const identity = (clientId: string, { certificate, key }: DemoPki['alice']): Identity => ({
    certificate,
    key,
    clientId,
  })
  return {
    ca: ca.certificate,
    alice: identity('alice', alice),
    bob: identity('bob', bob),
    mallory: identity('mallory', mallory),
    stranger: identity('stranger', stranger),
    issue: createIssuer(ca.x509, ca.privateKey),
    signPaseto:
      pasetoKeys &&
      (kind => {
        const jwk = pasetoKeys[kind]
        return { kid: jwk.kid, sign: octets => sign(null, octets, createPrivateKey({ key: jwk, format: 'jwk' })) }
      }),
    signClaims: signingKey && ((header, claims) => forgeToken({ jwk: signingKey, header, claims })),
  }
}

export type LabOptions = Partial<Pick<Matrix, 'levels' | 'tls' | 'http' | 'restart'>> & {
  readonly signingKey?: TokenJwk
  readonly pasetoKeys?: PasetoKeys
  readonly profile?: ProfileOptions
}

/** What the lab needs of a server. A server with a settable clock needs no real waiting. */
export interface LabServer {
  readonly origin: string
  readonly pki: DemoPki
  clock?: number
}

/** Runs scenarios against a server: by default at all its levels, over TLS 1.3 and HTTP/1.1. */
export async function playLab(
  server: LabServer,
  scenarios: readonly Scenario[],
  { signingKey, pasetoKeys, profile: options = {}, ...matrix }: LabOptions = {},
): Promise<Run[]> {
  const profile = await meet(server, options)
  const hasClock = server.clock !== undefined
  const rightTime = () => {
    if (hasClock) server.clock = Math.floor(Date.now() / 1000)
  }
  const wait = async (seconds: number) => {
    server.clock = Math.floor(Date.now() / 1000 + seconds)
  }
  rightTime()
  const all: Matrix = {
    profile,
    cast: castOf(server.pki, signingKey, pasetoKeys),
    levels: profile.levels,
    tls: ['TLSv1.3'],
    http: ['http/1.1'],
    pause: 0,
    maximumConnections: 30,
    ...(hasClock && { wait }),
    ...matrix,
  }
  return runMatrix(scenarios, all, rightTime) // each scenario starts at the right time
}

async function meet({ origin, pki: { ca, alice } }: LabServer, options: ProfileOptions): Promise<Profile> {
  const url = new URL(origin)
  const identity = { ca: ca.certificate, cert: alice.certificate, key: alice.key }
  const asker = await openConnection({ ...endpointOf(url), ...identity }, url.host)
  try {
    return await readProfile(url, options, path => asker.call(path))
  } finally {
    asker.close()
  }
}
