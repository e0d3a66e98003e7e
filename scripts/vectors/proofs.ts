// Builds the vectors of binding proofs from the tables good-proofs.ts, bad-proofs.ts and bad-claims.ts. ECDSA and RSASSA-PSS
// signatures are random: a vector in the file with the same header and payload stays unchanged.
import { sign } from 'node:crypto'
import { forgeProof, goodHeader, goodPayload, proofLabel, proofSigners } from '../../test/helpers/tokens/forge-proof.ts'
import { encode } from '../../test/helpers/tokens/forge-token.ts'
import type { KeySet, ProofVector, ProofVectors, TestKey } from '../../test/helpers/vectors.ts'
import { badClaims } from './bad-claims.ts'
import { badProofs } from './bad-proofs.ts'
import { goodProofs } from './good-proofs.ts'
import { kidOf, privateKeyOf } from './keys.ts'
import { algorithms, connections, ekmOf, issuer, now, type ProofCase } from './proof-case.ts'

const about =
  'Binding proofs: is what comes with this request on this connection good for this token? See README.md. All keys are PUBLIC TEST KEYS of keys.json.'

export function buildProofVectors({ keys }: KeySet, file: ProofVectors | undefined): ProofVectors {
  const find = (name: string) => keys.find(({ kid }) => kid === kidOf(name)) as TestKey
  const tokens = buildTokens(find)
  const kept = new Map(file?.vectors.map(vector => [vector.name, vector]))
  const vectors = [...goodProofs, ...badProofs, ...badClaims].map(one => {
    const vector = buildVector(one, find, tokens)
    const old = kept.get(vector.name)
    return old !== undefined && signedText(old) === signedText(vector) ? { ...vector, proof: old.proof } : vector
  })
  const described = Object.entries(connections).map(([name, key]) => {
    const ekm = name.includes('without') ? null : ekmOf(name)
    return [name, { kid: kidOf(key), ekm }] as const
  })
  return { about, issuer, connections: Object.fromEntries(described), tokens, vectors }
}

type FindKey = (name: string) => TestKey
type Tokens = ProofVectors['tokens']

function buildVector(one: ProofCase, find: FindKey, tokens: Tokens): ProofVector {
  const { name, wrong, connection = 'p256', request = 'GET /notes?limit=10', clock = 0, spell = proof => proof } = one
  const { madeOn = connection, token = connections[connection] as string, jws = 'valid' } = one
  const certificate = connections[madeOn] as string
  const { key = certificate, alg = algorithms[certificate] ?? 'ES256' } = one
  const header = goodHeader(alg, find(certificate)['x5t#S256'] as string)
  const payload = goodPayload(tokens[token]?.text as string, ekmOf(madeOn), now)
  const parts = { header: change(header, one.header), payload: change(payload, one.payload) }
  const made = forgeProof({
    ...parts,
    key: privateKeyOf(find(key)),
    sign: one.sign ?? (proofSigners[alg] as (typeof proofSigners)[string]),
  })
  const proof = spell(made)
  const common = { name, ...(wrong !== undefined && { wrong }), connection, token, request, now: now + clock, proof }
  const outcome = one.outcome ?? (wrong === undefined ? 'proof' : 'proof_invalid')
  const known = { ...(proof !== null && { jws }), outcome }
  if (wrong !== undefined) return { ...common, ...known }
  const limits = ['jti', 'htm', 'htu'].filter(member => Object.hasOwn(JSON.parse(decode(made)), member)).length
  return { ...common, ...known, per_request: limits === 3, reusable: limits === 0 }
}

function change(good: object, changes: ProofCase['header'] = {}): unknown {
  return typeof changes === 'function' ? changes(good) : { ...good, ...changes }
}

function decode(proof: string): string {
  return Buffer.from(proof.split('.')[1] as string, 'base64url').toString()
}

/** Returns a proof without its signature. */
function signedText({ proof }: ProofVector): string | undefined {
  return proof?.slice(0, proof.lastIndexOf('.'))
}

/** One access token for each certificate, signed by the issuer with Ed25519, and an opaque one. */
function buildTokens(find: FindKey): Tokens {
  const cnfOf = (name: string) => ({ 'x5t#S256': find(name)['x5t#S256'] as string, tls_exp: proofLabel })
  const issue = (name: string) => {
    const claims = {
      ...{ iss: issuer, aud: 'https://api.example', sub: 'public-test-client', client_id: 'public-test-client' },
      ...{ scope: 'notes:read', iat: now - 30, exp: now + 270, jti: `vector-${name}`, cnf: cnfOf(name) },
    }
    const input = `${encode({ typ: 'at+jwt', alg: 'EdDSA', kid: kidOf('issuer') })}.${encode(claims)}`
    const signature = sign(null, Buffer.from(input), privateKeyOf(find('issuer')))
    return [name, { text: `${input}.${encode(signature)}`, cnf: claims.cnf }] as const
  }
  const opaque = { text: 'an-opaque-token-of-PUBLIC-TEST-KEY-p256', cnf: cnfOf('p256') }
  return { ...Object.fromEntries([...new Set(Object.values(connections))].map(issue)), opaque }
}
