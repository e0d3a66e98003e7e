// Options of createVerifier in programs without types: each wrong or misspelt one is a TypeError at the start that names it. Ignored,
// it would disable a protection silently.
import { generateKeyPairSync } from 'node:crypto'
import t from 'tap'
import { createVerifier, type VerifierOptions } from 'tlsbound'
import { makeDemoPki } from '../../src/pki/demo.ts'

const key = { ...generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ format: 'jwk' }), alg: 'ES256' }
const jwks = { keys: [key] }
const issuer = { issuer: 'https://as.example', audience: 'https://rs.example' }
const options = { ...issuer, jwks }
const pki = makeDemoPki()
const create = (given: unknown) => createVerifier(given as VerifierOptions)

t.test('accepts valid options', async t => {
  const valid: Record<string, object> = {
    'the required ones alone': issuer,
    'a key set': options,
    'a key set with a member of its own': { ...issuer, jwks: { ...jwks, version: 3 } },
    'the address of a key set': { ...issuer, jwks: { uri: 'https://as.example/keys', ca: pki.ca.certificate } },
    'the authority of the issuer alone': { ...issuer, jwks: { ca: pki.ca.certificate } },
    'no address': { ...issuer, jwks: { uri: undefined, ca: undefined } },
    'several audiences': { ...options, audience: ['https://rs.example', 'rs'] },
    'several issuers': { issuers: [options, { ...options, issuer: 'https://two.example', profile: 'keycloak' }] },
    'a profile': {
      ...options,
      profile: { types: ['jwt', undefined], clientClaim: 'azp', scopeClaim: ['scp', 'roles'] },
    },
    'a demand': { ...options, scope: 'notes:read notes:write', binding: 'connection', proof: 'per-request' },
    functions: { ...options, isRevoked: () => false, onRefusal: () => {}, onWarning: () => {} },
    'the address of metadata': {
      ...options,
      resourceMetadata: 'https://rs.example/.well-known/oauth-protected-resource',
    },
    'undefined ones': Object.fromEntries(
      ['scope', 'binding', 'proof', 'profile', 'isRevoked', 'onRefusal', 'onWarning', 'resourceMetadata']
        .map((name): [string, unknown] => [name, undefined])
        .concat(Object.entries(options)),
    ),
  }
  for (const [name, given] of Object.entries(valid)) t.doesNotThrow(() => create(given), name)
})

t.test('names a wrong, missing or misspelt option', async t => {
  const path = 'certs/ca.crt'
  const rows: [unknown, string | RegExp][] = [
    [undefined, 'options must be an object with issuer, audience, not undefined'],
    [null, /^options must be an object .* not null$/],
    ['https://as.example', /^options must be an object .* not "https:\/\/as.example"$/],
    [Promise.resolve(options), /^options must be an object .* not a promise$/],
    [{ jwks }, /^issuer must be .* not undefined; audience must be .* not undefined$/],
    [{ ...options, scopes: 'notes:read' }, 'scopes is not an option; did you mean scope?'],
    [{ ...options, bindings: 'connection' }, 'bindings is not an option; did you mean binding?'],
    [{ ...options, isrevoked: () => true }, 'isrevoked is not an option; did you mean isRevoked?'],
    [{ ...options, onrefusal: () => {} }, 'onrefusal is not an option; did you mean onRefusal?'],
    [{ ...options, jwk: jwks }, 'jwk is not an option; did you mean jwks?'],
    [{ ...options, ca: pki.ca.certificate }, /^ca is not an option; expected: issuer, audience, scope, /],
    [{ ...options, prefix: '/api' }, /^prefix is not an option/],
    [{ ...options, scope: ['notes:read'] }, /^scope must be .* not a list$/],
    [{ ...options, binding: 'tls' }, /^binding must be one of .* not "tls"$/],
    [{ ...options, proof: true }, /^proof must be per-request, signed-request or absent, not true$/],
    [{ ...options, resourceMetadata: new URL('https://a') }, /^resourceMetadata must be an https URL, not an object$/],
    [{ ...options, onRefusal: 'x' }, 'onRefusal must be a function, not "x"'],
    [{ ...options, onWarning: true }, 'onWarning must be a function, not true'],
    [{ ...options, isRevoked: new Set() }, /^isRevoked must be a function .* not an object$/],
    [{ ...options, isRevoked: async () => false }, /^isRevoked must be a function that .* is not async, not /],
    [{ ...options, verifier: create(options) }, /^verifier must be absent: the options of createVerifier belong here/],
    // keys
    [{ ...issuer, jwks: 'https://as.example/keys' }, /^jwks must be an object with .* not "https:/],
    [{ ...issuer, jwks: null }, /^jwks must be an object with .* not null$/],
    [{ ...issuer, jwks: [key] }, /^jwks must be an object with .* not a list$/],
    [{ ...issuer, jwks: { url: 'https://a' } }, 'jwks.url is not an option; did you mean jwks.uri?'],
    [{ ...issuer, jwks: { ...jwks, uri: 'https://a' } }, /^jwks\.uri and jwks\.keys exclude each other/],
    [{ ...issuer, jwks: { ...jwks, ca: pki.ca.certificate } }, /^jwks\.ca and jwks\.keys exclude each other/],
    [{ ...issuer, jwks: { ca: path } }, /^jwks\.ca must be valid certificates in PEM .* not "certs\/ca\.crt"$/],
    [{ ...issuer, jwks: { ca: '' } }, /^jwks\.ca must be valid certificates .* not ""$/],
    [{ ...issuer, jwks: { ca: Buffer.from(pki.ca.certificate) } }, /^jwks\.ca must be .* not a Buffer$/],
    [{ ...issuer, jwks: { ca: pki.ca.key } }, /^jwks\.ca must be .* not PEM text \([A-Z ]*PRIVATE KEY\)$/],
    [{ ...issuer, jwks: { ca: pki.ca.certificate.replace(/\n.{8}/, '\nAAAAAAAA') } }, /^jwks\.ca .* \(CERTIFICATE\)$/],
    // profile
    [{ ...options, profile: 'keycloack' }, /^profile must be one of .*keycloak/],
    [{ ...options, profile: 7 }, 'profile must be an object with types, not 7'],
    [{ ...options, profile: {} }, /^profile\.types must be .* not undefined$/],
    [
      { ...options, profile: { types: ['jwt'], clientclaim: 'azp' } },
      /^profile\.clientclaim .* profile\.clientClaim\?$/,
    ],
    // several issuers
    [{ issuers: {} }, 'issuers must be a list of at least one issuer, not an object'],
    [{ issuers: undefined, ...options }, /^issuers must be a list/],
    [{ ...options, issuers: [options] }, /^issuer must be absent, .* audience must be absent, .* jwks must be absent/],
    [{ issuers: [options], profile: 'keycloak' }, /^profile must be absent, since each entry of issuers has its own/],
    [{ issuers: [options, undefined] }, /^issuers\[1\] must be an object with issuer, audience, not undefined$/],
    [{ issuers: [{ ...options, scope: 'notes:read' }] }, /^issuers\[0\]\.scope is not an option; expected: issuer, /],
    [
      { issuers: [{ ...options, audiance: 'a' }] },
      'issuers[0].audiance is not an option; did you mean issuers[0].audience?',
    ],
    [{ issuers: [{ ...issuer, jwks: { ca: path } }] }, /^issuers\[0\]: jwks\.ca must be/],
    [{ issuers: [options], scopes: 'notes:read' }, 'scopes is not an option; did you mean scope?'],
  ]
  for (const [given, message] of rows) t.throws(() => create(given), { name: 'TypeError', message }, String(message))
})

t.test('rejects a demand of verify that is wrong or misspelt', async t => {
  const { verify } = create(options)
  const request = { headers: {}, rawHeaders: [], url: '/', method: 'GET', socket: {} } as never
  await t.rejects(verify(request, { scope: 'notes:read' }), { message: /./, reason: 'no_token' }, 'control')
  for (const [demand, message] of [
    ['notes:read', /^demand must be an object with scope, binding, proof, not "notes:read"$/],
    [null, /^demand must be an object/],
    [['notes:read'], /^demand must be an object .* not a list$/],
    [{ scopes: 'notes:read' }, 'demand.scopes is not an option; did you mean demand.scope?'],
    [{ binding: 'tls' }, /^demand\.binding must be one of/],
  ] as const)
    await t.rejects(verify(request, demand as never), { name: 'TypeError', message })
})
