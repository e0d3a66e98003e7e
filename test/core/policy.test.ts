// What a client may request: by default its whole scope and its first level, never more than it is registered for (N-35).
import fc from 'fast-check'
import t from 'tap'
import { isScope, parseScope } from '../../src/core/access-token.ts'
import type { Client } from '../../src/core/client.ts'
import { authorize, isSameTarget, otherSpelling, type Targets, type TokenRequest } from '../../src/core/policy.ts'

const client: Client = {
  id: 'alice',
  method: 'tls_client_auth',
  subject: { type: 'subject_dn', value: 'CN=alice' },
  certificates: new Set(),
  scope: new Set(['notes:read', 'notes:write']),
  grantTypes: new Set(['client_credentials']),
  bindings: ['connection', 'certificate'],
  format: 'jwt',
  rotation: 'rotate',
  refreshTokenBinding: 'client',
  theftResponse: 'alert',
  resource: undefined,
}
const audience = 'https://api.example'
const other = 'https://other.example/path'
const targets: Targets = {
  fallback: audience,
  find: name => [name, otherSpelling(name)].find(spelling => spelling === audience || spelling === other),
}
const nothing: TokenRequest = { scope: undefined, binding: undefined, resource: undefined }
const authorizeWith = (wish: Partial<TokenRequest>, who = client) => authorize(who, { ...nothing, ...wish }, targets)

t.test('treats an empty path and / as one target, and issues the registered spelling (RFC 3986 §6.2.3)', async t => {
  const slash = 'https://slash.example/'
  const spelled: Targets = {
    fallback: audience,
    find: name => [name, otherSpelling(name)].find(spelling => spelling === audience || spelling === slash),
  }
  for (const [resource, aud] of [
    [audience, audience],
    [`${audience}/`, audience],
    [slash, slash],
    ['https://slash.example', slash],
  ] as const)
    t.equal(authorize(client, { ...nothing, resource }, spelled).aud, aud, resource)
  for (const resource of [
    `${audience}//`,
    `${audience}/?`,
    `${audience}?`,
    `${audience}/.`,
    'https://API.example/',
    `${audience}#`,
    '',
  ])
    t.throws(
      () => authorize(client, { ...nothing, resource }, spelled),
      { code: 'invalid_target', reason: 'target_unknown' },
      resource,
    )
  t.equal(otherSpelling('https://a.example?b'), 'https://a.example/?b')
  for (const same of [other, `${other}/`, 'x', 'https://', 'urn:x'])
    t.equal(otherSpelling(same), same, 'not an empty path')
})

t.test('grants the whole scope, the first level and the default audience to a request without parameters', async t => {
  t.same(authorizeWith({}), { aud: audience, scope: 'notes:read notes:write', binding: 'connection' })
  t.equal(authorizeWith({}, { ...client, bindings: ['certificate', 'connection'] }).binding, 'certificate')
  t.equal(authorizeWith({}, { ...client, scope: new Set() }).scope, '')
})

t.test('grants the requested part of the scope, in the requested order', async t => {
  for (const scope of ['notes:read', 'notes:write', 'notes:write notes:read', ''])
    t.equal(authorizeWith({ scope }).scope, scope)
  const denied = { name: 'OAuthError', code: 'invalid_scope', reason: 'scope_denied' }
  for (const scope of [
    'notes:delete',
    'notes:read notes:delete',
    'notes',
    'notes:read ',
    ' notes:read',
    'notes:read  notes:write',
    'notes:read notes:read',
    'NOTES:READ',
    'notes:read\tnotes:write',
    '*',
    'has',
    'constructor',
    '\0',
    'x'.repeat(65_536),
  ])
    t.throws(() => authorizeWith({ scope }), denied, JSON.stringify(scope).slice(0, 40))
  t.throws(() => authorizeWith({ scope: 'notes:read' }, { ...client, scope: new Set() }), denied)
})

t.test('grants each level that the client is registered for', async t => {
  for (const binding of ['connection', 'certificate']) t.equal(authorizeWith({ binding }).binding, binding)
  const refused = { name: 'OAuthError', code: 'invalid_request', reason: 'binding_not_allowed' }
  for (const binding of ['proof', '', 'none', 'Connection', 'connection ', '0', 'length', '__proto__'])
    t.throws(() => authorizeWith({ binding }), refused, binding)
  t.throws(
    () => authorizeWith({ binding: 'certificate' }, { ...client, bindings: ['connection'] }),
    refused,
    'a weaker level as well',
  )
})

t.test('issues a token for one known resource server (RFC 8707 §2, N-35)', async t => {
  for (const resource of [audience, other]) t.equal(authorizeWith({ resource }).aud, resource)
  for (const resource of [
    `${audience}//`,
    'https://API.example',
    'https://other.example',
    '',
    'https://api.exampl',
    `${audience} ${other}`,
  ])
    t.throws(
      () => authorizeWith({ resource }),
      { name: 'OAuthError', code: 'invalid_target', reason: 'target_unknown' },
      resource,
    )
})

t.test('grants nothing that the client is not registered for, whatever it requests (N-41)', async t => {
  const word = fc.oneof(fc.constantFrom(...client.scope, 'notes:delete', ''), fc.string())
  const requests = fc.record({
    scope: fc.option(
      fc.array(word, { maxLength: 3 }).map(words => words.join(' ')),
      { nil: undefined },
    ),
    binding: fc.option(fc.oneof(fc.constantFrom('connection', 'certificate', 'proof'), fc.string()), {
      nil: undefined,
    }),
    resource: fc.option(fc.oneof(fc.constantFrom(audience, other), fc.string()), { nil: undefined }),
  })
  let given = 0
  fc.assert(
    fc.property(requests, wanted => {
      try {
        const { aud, scope, binding } = authorize(client, wanted, targets)
        given++
        return (
          isSameTarget(aud, wanted.resource ?? audience) &&
          [audience, other].includes(aud) &&
          isScope(scope) &&
          parseScope(scope).every(token => client.scope.has(token)) &&
          client.bindings.includes(binding)
        )
      } catch (error) {
        return (error as { name?: string }).name === 'OAuthError'
      }
    }),
    { numRuns: 500 },
  )
  t.ok(given > 20, 'some requests were granted')
})
