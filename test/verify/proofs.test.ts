// Proofs of requests: each is verified once on a connection, one for a single request is valid once, and memory is bounded.
// Real TLS connections, no HTTP. N-47, N-57, N-59, N-63; I7.
import t from 'tap'
import { outcomeOf, refused, request, startTokenCheck } from '../helpers/tokens/token-check.ts'

const { connect, clock, sign, build } = await startTokenCheck(t)

t.test('accepts the verified proof or a valid new one with each request at level proof (N-57, N-59)', async t => {
  const alice = await connect()
  const verifier = build()
  const token = sign(alice, 'proof')
  const verify = (proof?: string) => outcomeOf(() => verifier.verify(request(token, proof), alice.connection))
  const missing = refused('proof_missing', 'use_session_binding')
  const invalid = refused('proof_invalid', 'invalid_proof')
  t.match(await verify(), missing)
  t.match(await verify((await connect()).client.prove(token)), invalid, 'made for another connection')
  const [first, second] = [alice.client.prove(token), alice.client.prove(token, { iat: clock.now - 1 })]
  t.equal(await verify(first), 'accepted')
  t.equal(await verify(first), 'accepted')
  t.match(await verify(), missing)
  t.match(await verify('x'), invalid)
  t.equal(await verify(second), 'accepted', 'another one')
  clock.now += 100
  t.equal(await verify(second), 'accepted', 'its window applied to the first use only')
  t.match(await verify(first), invalid, 'the window of the earlier proof has passed')
  t.equal(
    await outcomeOf(() => build().verify(request(token, second), alice.connection)),
    'accepted',
    'verified on this connection before',
  )
  for (const limit of [{ htm: 'GET' }, { htu: '/' }]) {
    const limited = alice.client.prove(token, limit)
    t.equal(await verify(limited), 'accepted', JSON.stringify(limit))
    t.match(
      await outcomeOf(() =>
        verifier.verify(request(token, limited, { method: 'POST', url: '/other' }), alice.connection),
      ),
      invalid,
    )
    t.equal(await verify(second), 'accepted', 'the proof for all requests stays valid')
  }
})

t.test('requires another proof after one for a single path (N-59)', async t => {
  const alice = await connect()
  const verifier = build()
  const token = sign(alice, 'proof')
  const verify = (proof?: string) => outcomeOf(() => verifier.verify(request(token, proof), alice.connection))
  const limited = alice.client.prove(token, { htu: '/' })
  t.equal(await verify(limited), 'accepted')
  t.match(await verify(), refused('proof_missing', 'use_session_binding'))
  t.equal(await verify(limited), 'accepted', 'control')
})

t.test('requires a per-request proof at every level, also for remembered tokens (N-59 i)', async t => {
  for (const level of ['certificate', 'proof', 'connection'] as const) {
    const alice = await connect()
    const verifier = build()
    const token = sign(alice, level)
    let made = 0
    const once = (more = {}) => alice.client.prove(token, { jti: `id ${made++}`, htm: 'GET', htu: '/', ...more })
    const verify = (proof?: string, perRequest = true, more = {}) =>
      outcomeOf(() =>
        verifier.verify(request(token, proof, more), alice.connection, perRequest ? 'per-request' : undefined),
      )
    const invalid = refused('proof_invalid', 'invalid_proof')
    t.match(await verify(), refused('proof_missing', 'use_session_binding'), level)
    t.match(await verify(alice.client.prove(token)), invalid, 'a proof for the whole connection')
    const used = once()
    t.equal(await verify(used), 'accepted', `control: ${level}`)
    t.match(await verify(used), invalid)
    t.match(await verify(), refused('proof_missing', 'use_session_binding'))
    t.match(await verify(once({ htu: '/other' })), invalid)
    t.match(await verify(once(), true, { method: undefined }), invalid)
    t.match(await verify(once(), true, { url: undefined }), invalid)
    for (const left of ['jti', 'htm', 'htu']) t.match(await verify(once({ [left]: undefined })), invalid, left)
    const general = alice.client.prove(token)
    t.equal(await verify(general, false), 'accepted', 'where no per-request proof is required')
    t.match(await verify(general), invalid)
    t.equal(await verify(once()), 'accepted')
    t.equal(await verify(general, false), 'accepted')
  }
})

t.test('accepts the id of a proof once on a connection, until the proof is too old (N-63)', async t => {
  const alice = await connect()
  const verifier = build()
  const [token, start] = [sign(alice, 'certificate'), clock.now]
  const verify = (jti: string, claims = {}) => {
    const proof = alice.client.prove(token, { jti, htm: 'GET', htu: '/', ...claims })
    return outcomeOf(() => verifier.verify(request(token, proof), alice.connection, 'per-request'))
  }
  const invalid = refused('proof_invalid', 'invalid_proof')
  t.equal(await verify('a', { iat: start + 5 }), 'accepted')
  clock.now = start + 10
  t.equal(await verify('b'), 'accepted')
  for (clock.now of [start + 64, start + 65]) t.match(await verify('a'), invalid, `${clock.now - start} s`)
  const used = alice.connection.usedProofs as Map<string, number>
  t.equal(used.size, 2)
  clock.now = start + 66
  t.equal(await verify('a'), 'accepted')
  t.match(await verify('b'), invalid)
  t.equal(used.size, 2)
  t.ok(
    [...used.keys()].every(id => id.length === 43),
    'stored as hashes, since ids can be long',
  )

  for (let at = used.size; at < 16_383; at++) used.set(`id ${at}`, clock.now)
  t.equal(await verify('the last'), 'accepted')
  t.match(await verify('one more'), invalid)
  t.equal(used.size, 16_384)
  clock.now = start
})

t.test('remembers the proofs of a thousand tokens, and drops the oldest', async t => {
  const alice = await connect()
  const [token, other] = [sign(alice, 'proof'), sign(alice, 'proof', { jti: 'other' })]
  const [proof, its] = [alice.client.prove(token), alice.client.prove(other)]
  const verify = (token: string, proof: string) =>
    outcomeOf(() => build().verify(request(token, proof), alice.connection)) // a new verifier each time, which remembers none
  t.equal(await verify(token, proof), 'accepted')
  const proven = alice.connection.provenTokens as Map<string, string>
  for (let at = 1; at < 1023; at++) proven.set(`token ${at}`, '')
  t.equal(await verify(other, its), 'accepted')
  t.equal(proven.size, 1024)
  clock.now += 100
  t.equal(await verify(token, proof), 'accepted', 'all are remembered, from first to last')
  const [fresh, late] = [alice.client.prove(other), sign(alice, 'proof', { jti: 'late' })]
  t.equal(await verify(other, fresh), 'accepted')
  t.equal(proven.size, 1024, 'a token’s new proof replaces its old one')
  t.equal(await verify(token, proof), 'accepted')
  t.equal(await verify(late, alice.client.prove(late)), 'accepted')
  t.equal(proven.size, 1024)
  t.match(await verify(token, proof), { reason: 'proof_invalid' }, 'so it must be within its window again')
  clock.now -= 100
})
