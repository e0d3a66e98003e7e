// A server that uses a public key as an HMAC secret lets anyone sign.
import { createHmac, createPublicKey, type JsonWebKey } from 'node:crypto'
import { attempt, NotTried } from '../attempt.ts'
import { encode, type Json, readToken } from '../forge.ts'
import type { Scenario } from '../scenario.ts'
import { playSeries } from '../series.ts'
import type { Speaker, Stage } from '../stage.ts'
import type { Client } from '../thief.ts'

export const scenario: Scenario = {
  id: 'symmetric-signature',
  sentence: "A token is signed with HS256 and the issuer's public key as the secret, in each key format.",
  stolen: "nothing: the public key is published, and the claims are the client's own",
  thief: 'a registered client, on its own connection',
  control: 'the same claims, signed by the issuer',
  expected: 'refused',
  demandedBy: ['RFC 8725 §2.1, §3.1'],
  stoppedAt: ['certificate', 'proof', 'connection'],
  remedy: 'Accept only asymmetric algorithms, and derive the algorithm from the key, not from the token',
  async run(stage) {
    const victim = await stage.victim()
    const control = () => attempt('signed by the issuer', () => stage.use(victim.connection, victim.token))
    const controls = [await control()]
    const secrets = await readSecrets(stage, victim)
    const thefts = await playSeries(
      () => stage.victim(),
      secrets,
      ({ connection, token }, { secret, ...changes }) => {
        const { header, claims } = readToken(token)
        return stage.use(connection, signWithSecret({ ...header, alg: 'HS256', ...changes }, claims, secret))
      },
    )
    return { controls: [...controls, await control()], thefts }
  },
}

type Secret = { readonly secret: Buffer | string; readonly alg?: string; readonly kid?: string }

/** The public key as a secret in each format; and secrets that a `kid` could refer to. */
async function readSecrets(stage: Stage, { connection, token }: Client): Promise<Readonly<Record<string, Secret>>> {
  const { kid } = readToken(token).header
  const jwk = await readKey(stage, connection, kid)
  const key = createPublicKey({ key: jwk, format: 'jwk' })
  const pem = String(key.export({ type: 'spki', format: 'pem' }))
  const der = key.export({ type: 'spki', format: 'der' }) as Buffer
  return {
    'the key in PEM': { secret: pem },
    'the key in PEM, with HS512': { secret: pem, alg: 'HS512' },
    'the key in PEM without the last line end': { secret: pem.trim() },
    'the key in DER': { secret: der },
    'the key in DER, as base64': { secret: der.toString('base64') },
    'the key in DER, as base64url': { secret: der.toString('base64url') },
    'the key as a JWK': { secret: JSON.stringify(jwk) },
    'the coordinate or the modulus of the JWK': { secret: Buffer.from(jwk.x ?? jwk.n ?? '', 'base64url') },
    'the kid': { secret: String(kid) },
    'an empty secret': { secret: '' },
    'an empty secret, with the kid of an empty file': { secret: '', kid: '../../../../../../dev/null' },
    'an empty secret, with an unknown kid': { secret: '', kid: 'unknown' },
    'an empty secret, with kid __proto__': { secret: '', kid: '__proto__' },
  }
}

async function readKey(stage: Stage, at: Speaker, kid: unknown): Promise<JsonWebKey> {
  const { jwks } = stage.options.profile
  if (jwks === undefined) throw new NotTried('the metadata of the server has no jwks_uri')
  const { body } = await (await stage.reach(jwks, at)).call(jwks.pathname + jwks.search)
  const keys: readonly (JsonWebKey & { readonly kid?: unknown })[] = Array.isArray(body?.keys) ? body.keys : []
  const key = keys.find(candidate => candidate.kid === kid) ?? keys[0]
  if (key === undefined) throw new NotTried('the server publishes no key')
  return key
}

function signWithSecret(header: Json, claims: Json, secret: Buffer | string): string {
  const input = `${encode(header)}.${encode(claims)}`
  const digest = header.alg === 'HS512' ? 'sha512' : 'sha256'
  return `${input}.${createHmac(digest, secret).update(input).digest('base64url')}`
}
