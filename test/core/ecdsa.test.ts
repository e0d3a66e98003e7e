import { generateKeyPairSync, sign, verify } from 'node:crypto'
import t from 'tap'
import { signEcdsa, verifyEcdsa } from '../../src/core/ecdsa.ts'

const curves = [
  ['P-256', 'sha256', 32],
  ['P-384', 'sha384', 48],
] as const
const data = Buffer.from('signed')
const rounds = 300 // a leading zero in r or s occurs in one signature of 128

for (const [namedCurve, hash, size] of curves) {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve })
  const peer = { key: publicKey, dsaEncoding: 'ieee-p1363' } as const
  const order = { 'P-256': p256Order, 'P-384': p384Order }[namedCurve]()

  t.test(`${namedCurve}: Node verifies each signature, in both directions`, async t => {
    let short = 0
    for (let round = 0; round < rounds; round++) {
      const own = signEcdsa(hash, data, privateKey)
      const other = sign(hash, data, { key: privateKey, dsaEncoding: 'ieee-p1363' })
      if ([own, other].some(signature => signature[0] === 0 || signature[size] === 0)) short++
      if (own.length !== 2 * size || !verify(hash, data, peer, own)) t.fail(`own signature ${own.toString('hex')}`)
      if (!verifyEcdsa(hash, data, publicKey, other)) t.fail(`signature of Node ${other.toString('hex')}`)
    }
    t.ok(short > 0, 'some numbers had a leading zero')
  })

  t.test(`${namedCurve}: rejects every other signature, as Node does`, async t => {
    const right = signEcdsa(hash, data, privateKey)
    const [r, s] = [right.subarray(0, size), right.subarray(size)]
    const zero = Buffer.alloc(size)
    const wrong: Record<string, Buffer> = {
      empty: Buffer.alloc(0),
      'all zero': Buffer.alloc(2 * size),
      'r zero': Buffer.concat([zero, s]),
      's zero': Buffer.concat([r, zero]),
      'r and s exchanged': Buffer.concat([s, r]),
      'all ones': Buffer.alloc(2 * size, 0xff),
      'the order of the curve as s': Buffer.concat([r, order]),
      'one octet short': right.subarray(0, -1),
      'one octet long': Buffer.concat([right, Buffer.alloc(1)]),
      'in DER': sign(hash, data, privateKey),
      'one bit changed': Buffer.from(right.map((octet, at) => (at === size ? octet ^ 1 : octet))),
    }
    for (const [name, signature] of Object.entries(wrong)) {
      t.equal(verifyEcdsa(hash, data, publicKey, signature), false, name)
      t.equal(verify(hash, data, peer, signature), false, `${name}: Node`)
    }
    t.equal(verifyEcdsa(hash, Buffer.from('other'), publicKey, right), false, 'other data')
    const { publicKey: other } = generateKeyPairSync('ec', { namedCurve })
    t.equal(verifyEcdsa(hash, data, other, right), false, 'another key')
    t.equal(verifyEcdsa(hash, data, publicKey, right), true, 'the right one')
  })
}

/** SEC 2 §2.4.2, §2.5.1. */
function p256Order(): Buffer {
  return Buffer.from('ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551', 'hex')
}
function p384Order(): Buffer {
  return Buffer.from(
    'ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973',
    'hex',
  )
}
