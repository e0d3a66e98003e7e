// Valid proofs: each kind of key, each combination of claims, and spellings of other implementations.
import { signatureOf, withOtherS, withSignature } from '../../test/helpers/tokens/forge-token.ts'
import { now, type ProofCase } from './proof-case.ts'

const once = { jti: '6f1e3d0c', htm: 'GET', htu: '/notes' }

export const goodProofs: readonly ProofCase[] = [
  { name: 'ES256' },
  { name: 'ES384', connection: 'p384' },
  { name: 'EdDSA', connection: 'ed25519' },
  { name: 'PS256', connection: 'rsa' },
  { name: 'RS256', connection: 'rsa', alg: 'RS256' },
  { name: 'the same token on a later connection', connection: 'p256, a later connection' },
  { name: 'a renewed certificate with a token of its own', connection: 'p256-renewed' },
  { name: 'an opaque token', token: 'opaque' },
  { name: 'for one request', payload: once },
  { name: 'for one request, ES384', connection: 'p384', payload: once },
  { name: 'for one request, EdDSA', connection: 'ed25519', payload: once },
  { name: 'for one request, PS256', connection: 'rsa', payload: once },
  { name: 'for one request, with an address', payload: { ...once, htu: 'https://api.example/notes' } },
  { name: 'for one request, POST', request: 'POST /notes', payload: { ...once, htm: 'POST' } },
  { name: 'for one request, its path encoded', request: 'GET /caf%C3%A9', payload: { ...once, htu: '/caf%C3%A9' } },
  { name: 'jti alone', payload: { jti: once.jti } },
  { name: 'htm alone', payload: { htm: 'GET' } },
  { name: 'htu alone', payload: { htu: '/notes' } },
  { name: '60 s old', payload: { iat: now - 60 } },
  { name: '5 s ahead', payload: { iat: now + 5 } },
  {
    name: 'spaces and another order of members',
    header: good => JSON.stringify(Object.fromEntries(Object.entries(good).reverse()), null, 2),
    payload: good => JSON.stringify(Object.fromEntries(Object.entries(good).reverse()), null, '\t'),
  },
  { name: 'a name with an escape', payload: good => JSON.stringify(good).replace('"ath"', '"\\u0061th"') },
  { name: 'iat with a fraction', payload: { iat: now + 0.5 } },
  { name: 'iat with an exponent', payload: good => JSON.stringify(good).replace(`${now}`, '18e8') },
  {
    name: 'the other one of two signatures',
    spell: proof => withSignature(proof, withOtherS(signatureOf(proof))),
  },
]
