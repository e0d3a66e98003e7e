// rules/gitleaks.toml: its expressions match tokens of this server and no similar text, in JavaScript and in Python. gitleaks
// itself does not run here; a TOML parser reads the rules, and the test computes the entropy as gitleaks does.
import { randomBytes } from 'node:crypto'
import t from 'tap'
import { buildOpaqueToken } from '../../src/core/opaque-token.ts'
import { generateTokenKey, importSigningKey, type TokenJwk } from '../../src/keys/token-keys.ts'
import { run } from '../helpers/process/process.ts'
import { forgePaseto } from '../helpers/tokens/forge-paseto.ts'
import { forgeToken } from '../helpers/tokens/forge-token.ts'

interface Rule {
  readonly id: string
  readonly description: string
  readonly regex: string
  readonly keywords: readonly string[]
  readonly entropy?: number
}

const digest = randomBytes(32).toString('base64url')
const jwks = await Promise.all((['ES256', 'EdDSA', 'RS256'] as const).map(generateTokenKey))
const [jwk] = jwks as [TokenJwk, ...TokenJwk[]]

/** Tokens as the server signs them, with ids and claims of many lengths, so that each base64 alignment occurs. */
const signed: string[] = []
for (const key of jwks)
  for (const kid of ['a', 'ab', 'abc', key.kid, 'x'.repeat(128)])
    for (let length = 1; length < 12; length++)
      signed.push(
        (await importSigningKey({ ...key, kid })).sign({ sub: 'a'.repeat(length ** 2), cnf: { 'x5t#S256': digest } }),
      )
const times = { iat: 1_700_000_000, exp: 1_700_000_300 }
const bound = { sub: 'alice', cnf: { 'x5t#S256': digest, 'tls-exporter#S256': digest } }
const signer = await importSigningKey(jwk)
const ofPaseto = await generateTokenKey('v4.public')
/** PASETO of every alignment of the claims in base64. */
const pasetos = Array.from({ length: 12 }, (_, length) =>
  forgePaseto({ jwk: ofPaseto, claims: { sub: 'a'.repeat(length ** 2), cnf: { 'x5t#S256': digest }, ...times } }),
)
const opaqueTokens = (kind: 'rt' | 'at') => Array.from({ length: 50 }, () => buildOpaqueToken(kind, randomBytes(32)))

const samples: Readonly<Record<string, { readonly good: readonly string[]; readonly bad: readonly string[] }>> = {
  'tlsbound-refresh-token': {
    good: opaqueTokens('rt'),
    bad: [...opaqueTokens('at'), 'tlsbound_rt_', `tlsbound_rt_${'a-'.repeat(30)}`, `TLSBOUND_RT_${'a'.repeat(49)}`],
  },
  'tlsbound-access-token': {
    good: opaqueTokens('at'),
    bad: [...opaqueTokens('rt'), 'tlsbound_at_', ...opaqueTokens('at').map(token => token.slice(0, -1))],
  },
  'tlsbound-signed-access-token': {
    good: [...signed, signer.sign(bound)],
    bad: [
      signer.sign({ sub: 'alice' }),
      signer.sign({ sub: 'alice', cnf: { jkt: digest } }),
      signer.sign(bound).slice(0, -1),
      forgeToken({ jwk, header: { alg: 'ES256', typ: 'JWT', kid: jwk.kid }, claims: bound }),
      forgeToken({ jwk, header: { alg: 'none', typ: 'at+jwt', kid: jwk.kid }, claims: bound }),
      ...opaqueTokens('at'),
    ],
  },
  'tlsbound-paseto-access-token': {
    good: [...pasetos, (await importSigningKey(ofPaseto)).sign({ iss: 'https://as.example', ...bound, ...times })],
    bad: [
      forgePaseto({ jwk: ofPaseto, claims: { sub: 'alice', ...times } }),
      forgePaseto({ jwk: ofPaseto, claims: { ...bound, ...times }, footer: null }),
      forgePaseto({
        jwk: ofPaseto,
        claims: { ...bound, ...times },
        footer: '{"kid":"of another kind, which is long enough"}',
      }),
      forgePaseto({ jwk: ofPaseto, claims: { ...bound, ...times }, sent: 'v4.local.' }),
      (pasetos[0] as string).slice(0, -1),
      signer.sign(bound),
    ],
  },
}

/** Reads the rules, and prints for each rule the complete matches of Python in its samples. */
const python = `
import json, re, sys, tomllib
rules = tomllib.load(open('rules/gitleaks.toml', 'rb'))['rules']
samples = json.load(sys.stdin)
def find(rule, text):
    found = re.search(rule['regex'], text, re.ASCII)
    return found and found.group(0)
print(json.dumps({'rules': rules, 'found': {rule['id']: {kind: [find(rule, 'x="' + text + '"') for text in texts]
  for kind, texts in samples[rule['id']].items()} for rule in rules}}))`

t.test('matches each token of a rule completely, and no other text', async t => {
  const script = `import io,sys\nsys.stdin = io.StringIO(${JSON.stringify(JSON.stringify(samples))})\n${python}`
  const { code, stdout, stderr } = await run('python3', ['-c', script], process.cwd())
  t.equal(code, 0, `requires python3 3.11 or newer (Debian package python3): ${stderr}`)
  const { rules, found } = JSON.parse(stdout) as {
    rules: Rule[]
    found: Record<string, Record<'good' | 'bad', (string | null)[]>>
  }
  t.same(rules.map(({ id }) => id).sort(), Object.keys(samples).sort())
  for (const { id, description, regex, keywords, entropy = 0 } of rules) {
    const { good, bad } = samples[id] as (typeof samples)[string]
    t.match(description, /^An? .{20,120}\.$/, id)
    const look = (text: string) => new RegExp(regex).exec(`x="${text}"`)?.[0] ?? null
    t.same(good.map(look), good, `${id} in JavaScript`)
    t.same(found[id]?.good, good, `${id} in Python`)
    t.same([...new Set(bad.map(look))], [null], `${id} in JavaScript: no match`)
    t.same([...new Set(found[id]?.bad)], [null], `${id} in Python: no match`)
    for (const text of good) {
      t.ok(
        keywords.some(word => text.toLowerCase().includes(word)),
        `${id}: contains a keyword in lower case`,
      )
      t.ok(entropyOf(text) > entropy + 0.3, `${id}: ${entropyOf(text)}`)
    }
  }
  const example = `tlsbound_rt_${'x'.repeat(49)}`
  t.ok(entropyOf(example) < 4, 'the entropy of a placeholder in documentation is too low')
})

t.test('matches worst-case text in linear time (DS09)', async t => {
  const { stdout } = await run(
    'python3',
    ['-c', "import json,tomllib; print(json.dumps(tomllib.load(open('rules/gitleaks.toml','rb'))))"],
    process.cwd(),
  )
  const [head = '', claims = ''] = signer.sign(bound).split('.')
  const worst = [
    'eyJ'.repeat(33_000),
    head.repeat(900),
    `${head}.`.repeat(900),
    `${head}.${claims}`.repeat(300),
    `${head}.${claims.repeat(400)}`,
    `${head}.eyJ${'eDV0I1MyNT'.repeat(10_000)}`,
  ]
  const [, , payload = ''] = (pasetos[0] as string).split('.')
  const worstPaseto = ['v4.public.', `v4.public.${payload}`, `v4.public.${payload}.eyJraWQiOiJrNC5waWQu`].map(text =>
    text.repeat(Math.ceil(100_000 / text.length)),
  )
  worstPaseto.push(`v4.public.eyJ${'eDV0I1MyNT'.repeat(10_000)}`)
  for (const { id, regex } of JSON.parse(stdout).rules as Rule[])
    for (const text of [...worst, ...worstPaseto, 'tlsbound_rt_'.repeat(9000), 'tlsbound_at_'.repeat(9000)]) {
      const start = process.cpuUsage().user
      new RegExp(regex).test(text)
      const spent = (process.cpuUsage().user - start) / 1000
      t.ok(spent < 2000, `${id}: ${Math.round(spent)} ms for ${text.slice(0, 20)}…`)
    }
})

/** Returns the Shannon entropy in bits per character. */
function entropyOf(text: string): number {
  const counts = new Map<string, number>()
  for (const character of text) counts.set(character, (counts.get(character) ?? 0) + 1)
  return -[...counts.values()].reduce((sum, count) => sum + (count / text.length) * Math.log2(count / text.length), 0)
}
