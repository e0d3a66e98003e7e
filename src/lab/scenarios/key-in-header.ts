// A token header can contain a key or its URL. A server that trusts it lets anyone sign, and sends requests to URLs of
// the attacker's choice.
import { type KeyObject, X509Certificate } from 'node:crypto'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type Attempt, attempt } from '../attempt.ts'
import type { Identity } from '../cast.ts'
import { type Json, keyOf, makeKey, readToken, signToken } from '../forge.ts'
import type { Scenario } from '../scenario.ts'
import { playSeries } from '../series.ts'
import type { Stage } from '../stage.ts'

export const scenario: Scenario = {
  id: 'key-in-header',
  sentence: 'A token is signed with a key that its own header contains or refers to.',
  stolen: "nothing: the claims are the client's own, so only the signature is tested",
  thief: 'a registered client, on its own connection, with its own key and TLS certificate',
  control: 'the same claims, signed by the issuer',
  expected: 'refused, without a request to any URL in the header',
  demandedBy: ['RFC 8725 §3.10', 'RFC 7515 §10.3'],
  stoppedAt: ['certificate', 'proof', 'connection'],
  remedy: 'Ignore jwk, jku, x5c and x5u in the header of a token; use only the keys of the issuer',
  async run(stage) {
    const victim = await stage.victim()
    const { header } = readToken(victim.token)
    const control = () => attempt('signed by the issuer', () => stage.use(victim.connection, victim.token))
    const controls = [await control()]
    const { key, jwk } = makeKey(header.alg)
    const canary = isHere(stage)
      ? await openCanary({ keys: [{ ...jwk, kid: header.kid, alg: header.alg }] })
      : undefined
    try {
      const forgeries = { ...ownKeys(key, jwk, stage.cast.alice), ...(canary && addresses(key, canary.address)) }
      const thefts = await playSeries(
        () => stage.victim(),
        forgeries,
        ({ connection, token }, { key, drop = [], ...changes }) => {
          const { header, claims } = readToken(token)
          const kept = Object.fromEntries(Object.entries(header).filter(([name]) => !drop.includes(name)))
          return stage.use(connection, signToken({ ...kept, ...changes }, claims, key))
        },
      )
      if (canary !== undefined) thefts.push(canary.report())
      return { controls: [...controls, await control()], thefts }
    } finally {
      canary?.server.close()
    }
  },
}

/** The members of the header, and the signing key. */
type Forgery = Json & { readonly key: KeyObject; readonly drop?: readonly string[] }

function ownKeys(key: KeyObject, jwk: object, alice: Identity): Readonly<Record<string, Forgery>> {
  const x509 = new X509Certificate(alice.certificate)
  const x5c = [x509.raw.toString('base64')]
  const x5t = x509.fingerprint256.replaceAll(':', '')
  return {
    'another key under the same kid': { key },
    'another key, no kid': { key, drop: ['kid'] },
    'another key, an unknown kid': { key, kid: 'unknown' },
    'jwk, under the same kid': { key, jwk },
    'jwk, no kid': { key, jwk, drop: ['kid'] },
    'jwk, marked as critical': { key, jwk, crit: ['jwk'] },
    'x5c with the TLS certificate': { key: keyOf(alice), x5c },
    'x5c with the TLS certificate, no kid': { key: keyOf(alice), x5c, drop: ['kid'] },
    'x5t#S256 of the TLS certificate': { key: keyOf(alice), 'x5t#S256': Buffer.from(x5t, 'hex').toString('base64url') },
  }
}

function addresses(key: KeyObject, address: string): Readonly<Record<string, Forgery>> {
  return {
    'jku, under the same kid': { key, jku: address },
    'jku, no kid': { key, jku: address, drop: ['kid'] },
    x5u: { key, x5u: address },
    'kid is a URL': { key, kid: address },
  }
}

/** A URL on this machine can be reached only by a server on this machine. */
function isHere({ options }: Stage): boolean {
  return ['localhost', '127.0.0.1', '[::1]'].includes(options.profile.resource.hostname)
}

/** Serves the thief's keys, and reports whether they were requested. */
async function openCanary(keys: object): Promise<{ server: Server; address: string; report: () => Attempt }> {
  let asked = 0
  const server = createServer((_request, response) => {
    asked += 1
    response.setHeader('content-type', 'application/json').end(JSON.stringify(keys))
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks`
  const report = (): Attempt => ({
    what: 'the URL of the thief',
    result: asked > 0 ? 'accepted' : 'refused',
    seen: asked > 0 ? `requested ${asked} times` : 'not requested',
  })
  return { server, address, report }
}
