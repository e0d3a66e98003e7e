// The CPU time to sign an access token and to verify it for the first time, as a PASETO and as a JWT with EdDSA, which use the same curve. Both
// are measured in turn, so that a busy machine slows both: `node --conditions=tlsbound-source bench/token-formats.ts`.
import { createKeyRing } from '../src/keys/key-ring.ts'
import { generateTokenKey, importSigningKeys } from '../src/keys/token-keys.ts'
import { createTokenReader } from '../src/verify/token-reader.ts'

const iss = 'https://as.example.com'
const now = Math.floor(Date.now() / 1000)
const keys = [await generateTokenKey('EdDSA'), await generateTokenKey('v4.public')]
const ring = createKeyRing(await importSigningKeys(keys), now)
const read = createTokenReader(kid => ring.find(kid, now), undefined, iss)
const claims = {
  ...{ iss, sub: 'alice', aud: 'https://api.example.com', client_id: 'alice', scope: 'notes:read notes:write' },
  ...{ iat: now, exp: now + 300, jti: crypto.randomUUID() },
  cnf: { 'x5t#S256': 'A'.repeat(43), 'tls-exporter#S256': 'B'.repeat(43) },
}
const jwt = ring.sign(claims, now)
const paseto = ring.signPaseto(claims, now) as string

const work = {
  'sign a JWT': () => ring.sign(claims, now),
  'sign a PASETO': () => ring.signPaseto(claims, now),
  'verify a JWT': () => read(jwt),
  'verify a PASETO': () => read(paseto),
} as const
type Name = keyof typeof work

const [rounds, calls] = [400, 50]
const times = Object.fromEntries(Object.keys(work).map(name => [name, [] as number[]])) as Record<Name, number[]>
for (let round = 0; round < rounds; round++)
  for (const name of Object.keys(work) as Name[]) {
    const before = process.threadCpuUsage()
    for (let call = 0; call < calls; call++) work[name]()
    const { user, system } = process.threadCpuUsage(before)
    times[name].push((user + system) / calls)
  }

const median = (name: Name) => times[name].sort((one, other) => one - other)[rounds / 2] as number
for (const name of Object.keys(work) as Name[]) console.log(`${name}: ${median(name).toFixed(1)} µs`)
for (const verb of ['sign', 'verify'] as const)
  console.log(`${verb}: PASETO takes ${(median(`${verb} a PASETO`) / median(`${verb} a JWT`)).toFixed(2)} of a JWT`)
