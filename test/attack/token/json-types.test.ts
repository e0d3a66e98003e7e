// Every header member and claim of every token form, with every JSON type, well signed, at a real server: a response below
// 500, one event for each refusal, and no log entry. I2, I7, RFC 8725 §3.11.

import { createPrivateKey } from 'node:crypto'
import fc from 'fast-check'
import t from 'tap'
import { generateTokenKey, type TokenJwk } from '../../../src/keys/token-keys.ts'
import { type Answer, startTestServer } from '../../../src/testing/server.ts'
import { identityOf } from '../../helpers/server/ops.ts'
import { forgeProof, goodHeader, goodPayload, proofSigners } from '../../helpers/tokens/forge-proof.ts'
import { claimsFor, encode, forgeToken, headerOf } from '../../helpers/tokens/forge-token.ts'
import { introspect, post, register, revoke } from '../../helpers/tokens/grants.ts'
import {
  exchange,
  exchangeClients,
  goodClaims,
  idp,
  makeIssuer,
  outsideAudience,
  tokenType,
  trust,
} from '../../helpers/tokens/outside-issuer.ts'

const issuer = await makeIssuer()
const outsideKey = { ...issuer.privateJwk, kid: 'outside-1', alg: 'ES256' } as TokenJwk
const entry = { issuer: idp, audience: outsideAudience, jwks_file: 'keys.json' }
const env = trust(t.testdir(), [entry], { 'keys.json': { keys: [issuer.publicJwk] } })
const jwk = await generateTokenKey('ES256')
const clients = [
  { ...exchangeClients[0], token_bindings: ['connection', 'certificate', 'proof'] },
  ...exchangeClients.slice(1),
  register('api', { resource: outsideAudience, grant_types: ['client_credentials'] }),
]
const server = await startTestServer({ env, clients, signingKeys: [jwk] })
t.teardown(() => server.close())
const alice = await server.connect('alice')
const api = await server.connect(identityOf(server, 'api'), { clientId: 'api' })
const { key } = server.pki.alice

/** JSON texts of every type. */
const values = [
  ...['null', 'true', 'false', '0', '-1', '1.5', '1e400', '-1e400', '9007199254740993', '""', '"x"', '"\\u0000"'],
  ...['"\\ud800"', '[]', '["x"]', '[null]', '[[["x"]]]', '{}', '{"x":1}', '{"a":{"b":{"c":null}}}'],
  ...['{"__proto__":{"typ":"at+jwt"}}', '{"toString":1,"length":-1}', `${'['.repeat(400)}${']'.repeat(400)}`],
]
const headerMembers = [
  ...['typ', 'alg', 'kid', 'crit', 'cty', 'jku', 'jwk', 'x5u', 'x5c', 'x5t', 'x5t#S256', 'b64', 'zip', 'enc', 'nonce'],
  ...['__proto__', 'constructor', 'toString', ''],
]
const claimNames = [
  ...['iss', 'sub', 'aud', 'client_id', 'scope', 'scp', 'iat', 'exp', 'nbf', 'jti', 'grant', 'act', 'may_act', 'cnf'],
  ...['events', 'azp', 'nonce', 'roles', '__proto__', 'constructor', 'hasOwnProperty', ''],
]

/** Returns an object's text with this JSON text as a member, replaced or added. */
function withText(object: object, name: string, json: string): string {
  const { [name]: _, ...others } = object as Record<string, unknown>
  const inside = JSON.stringify(others).slice(1, -1)
  return `{${inside}${inside === '' ? '' : ','}${JSON.stringify(name)}:${json}}`
}

interface Parts {
  readonly header: unknown
  readonly claims: unknown
}
const own = (parts: Partial<Parts>) => forgeToken({ jwk, claims: claimsFor(alice, server), ...parts })
const outside = (parts: Partial<Parts>) => forgeToken({ jwk: outsideKey, claims: goodClaims(server.clock), ...parts })
const unsigned = ({ header = headerOf(jwk), claims = claimsFor(alice, server) }: Partial<Parts>) =>
  `${encode(header)}.${encode(claims)}.${'A'.repeat(86)}`

/** Where a token can be presented, and what must follow: a response, and an event if it is a refusal. */
const doors: Readonly<Record<string, (token: string) => Promise<Answer>>> = {
  'as an access token': token => alice.get('/api/whoami', token),
  'as a subject token': token => exchange(alice, token),
  'as an ID token': token => exchange(alice, token, { subject_token_type: tokenType('id_token') }),
  'for introspection': token => introspect(api, token),
  'for revocation': token => revoke(alice, token),
  'as a refresh token': token =>
    post(alice, '/oauth/token', { client_id: 'alice', grant_type: 'refresh_token', refresh_token: token }),
}

async function meet(what: string, bring: () => Promise<Answer>): Promise<Answer> {
  const [events, lines] = [server.events.length, server.log.length]
  const answer = await bring()
  if (answer.status >= 500) throw new Error(`${what}: ${answer.status} ${answer.text}`)
  if (server.log.length > lines) throw new Error(`${what}: ${server.log.slice(lines).join()}`)
  const refusals = server.events.slice(events).filter(({ outcome }) => outcome === 'refused')
  if (answer.status >= 400 && refusals.length !== 1)
    throw new Error(`${what}: ${answer.status} with ${refusals.length} events`)
  return answer
}

const forms = { own, outside, unsigned }
/** Where each form gets beyond its parser. */
const doorsOf = {
  own: ['as an access token', 'as a subject token', 'for introspection', 'for revocation'],
  outside: ['as a subject token', 'as an ID token'],
  unsigned: ['as an access token', 'as a subject token'],
}
const parts = [
  ...headerMembers.map(name => ['header', name] as const),
  ...claimNames.map(name => ['claims', name] as const),
]

for (const [form, build] of Object.entries(forms))
  t.test(`answers below 500 to members of every JSON type: ${form} tokens`, async t => {
    const header = form === 'outside' ? headerOf(outsideKey) : headerOf(jwk)
    const claims = form === 'outside' ? goodClaims(server.clock) : claimsFor(alice, server)
    let count = 0
    for (const [part, name] of parts)
      for (const json of values) {
        const token = build({ [part]: withText(part === 'header' ? header : claims, name, json) })
        for (const door of doorsOf[form as keyof typeof doorsOf]) {
          await meet(`${part} ${name} ${json.slice(0, 40)} ${door}`, () =>
            (doors[door] as (typeof doors)[string])(token),
          )
          count++
        }
      }
    t.comment(`${count} requests`)
    t.ok(count > 1000)
  })

t.test('rejects a typ that is not a string by name, and exchanges the right one', async t => {
  t.match(await exchange(alice, outside({})), { status: 200 }, 'control')
  for (const json of values.filter(json => !json.startsWith('"'))) {
    const token = outside({ header: withText(headerOf(outsideKey), 'typ', json) })
    const answer = await exchange(alice, token)
    t.match(answer, { status: 400, body: { reason: 'subject_token_invalid' } }, json.slice(0, 40))
    const detail = json.startsWith('[[[[') ? 'not_jws' : 'typ' // a header that is nested too deep is not parsed
    t.match(server.events.at(-1), { reason: 'subject_token_invalid', detail })
  }
})

t.test('answers below 500 to members of every JSON type in a binding proof', async t => {
  const token = await alice.token({ token_binding: 'proof' })
  const { x5t, ekm, iat } = readProof(alice.prove(token))
  const header = goodHeader('ES256', x5t)
  const payload = goodPayload(token, ekm, iat)
  const sign = proofSigners.ES256 as NonNullable<typeof proofSigners.ES256>
  const forge = (changes: object) => forgeProof({ header, payload, key: createPrivateKey(key), sign, ...changes })
  t.match(await alice.get('/api/whoami', token, forge({})), { status: 200 }, 'control')
  let count = 0
  for (const name of [...headerMembers, 'ekm'])
    for (const json of values) {
      const proof = forge({ header: withText(header, name, json) })
      const answer = await meet(`header ${name} ${json.slice(0, 40)}`, () => alice.get('/api/whoami', token, proof))
      if (answer.status === 200) throw new Error(`header ${name} ${json} was accepted`)
      count++
    }
  for (const name of ['ath', 'ekm', 'iat', 'jti', 'htm', 'htu', ...claimNames])
    for (const json of values) {
      const proof = forge({ payload: withText(payload, name, json) })
      const answer = await meet(`payload ${name} ${json.slice(0, 40)}`, () => alice.get('/api/whoami', token, proof))
      const isFree = name === 'jti' && json.startsWith('"') && json !== '""'
      if (answer.status === 200 && !isFree) throw new Error(`payload ${name} ${json} was accepted`)
      count++
    }
  t.ok(count > 500, `${count} requests`)
})

t.test(
  'answers below 500 to tokens whose header or claims are not an object, and to two odd members at once',
  async t => {
    for (const json of [...values, '', '{', '{"typ":}', '\u0000', '\ufeff{}'])
      for (const [name, build] of Object.entries(forms))
        for (const part of ['header', 'claims'])
          for (const [door, bring] of Object.entries(doors))
            await meet(`${name} ${part} ${json.slice(0, 40)} ${door}`, () => bring(build({ [part]: json })))
    const odd = fc.tuple(fc.constantFrom(...parts), fc.constantFrom(...values))
    const names = fc.constantFrom(...(Object.keys(forms) as (keyof typeof forms)[]))
    const property = fc.asyncProperty(names, odd, odd, async (form, [[one, first], a], [[other, second], b]) => {
      const good = {
        header: form === 'outside' ? headerOf(outsideKey) : headerOf(jwk),
        claims: form === 'outside' ? goodClaims(server.clock) : claimsFor(alice, server),
      }
      const once = { ...good, [one]: withText(good[one], first, a) }
      const base = once[other] as object | string
      const twice =
        typeof base === 'string' ? `${base.slice(0, -1)},${JSON.stringify(second)}:${b}}` : withText(base, second, b)
      const token = forms[form]({ ...once, [other]: twice })
      for (const [door, bring] of Object.entries(doors)) await meet(`${form} ${door}`, () => bring(token))
    })
    await fc.assert(property, { numRuns: 100 })
    t.match(await alice.get('/api/whoami', await alice.token()), { status: 200 }, 'the server goes on')
  },
)

function readProof(proof: string): { x5t: string; ekm: string; iat: number } {
  const [header, payload] = proof.split('.').map(segment => Buffer.from(segment, 'base64url').toString())
  const { 'x5t#S256': x5t } = JSON.parse(header as string)
  return { x5t, ...JSON.parse(payload as string) }
}
