// Packed revocations: they revoke what the same ones in a Map do, and are removed when they expire.
import fc from 'fast-check'
import t from 'tap'
import { type PackedColumns, PackedRevocations, RevocationPacker } from '../../src/core/packed-revocations.ts'
import { type RevocationKind, Revocations, revocationKinds } from '../../src/core/revocations.ts'

type Entry = readonly [kind: RevocationKind, value: string, expires: number]

function pack(entries: readonly Entry[]): PackedColumns {
  const packer = new RevocationPacker(1)
  for (const entry of entries) packer.add(...entry)
  return packer.finish()
}

const having = (...entries: Entry[]) => {
  const revocations = new Revocations()
  revocations.addPacked(pack(entries))
  return revocations
}

const token = { jti: 'j', grant: 'g', client_id: 'c', iat: 1000 }

t.test('revokes the tokens and grants that were packed, and no others', async t => {
  t.notOk(having().includes(token), 'none')
  t.match(having(['token', 'j', 5000]).find(token), { kind: 'token', value: 'j', expires: 5000 })
  t.match(having(['grant', 'g', 5000]).find(token), { kind: 'grant', value: 'g' })
  for (const [kind, value] of [
    ['token', 'g'],
    ['grant', 'j'],
    ['token', 'jj'],
    ['token', ''],
    ['token', 'J'],
  ] as const)
    t.notOk(having([kind, value, 5000]).includes(token), `${kind} ${value}`)
  t.notOk(having(['grant', 'undefined', 5000]).includes({ ...token, grant: undefined }))
})

t.test('applies later revocations besides the packed ones', async t => {
  const revocations = having(['token', 'j', 2000])
  revocations.add({ kind: 'token', value: 'other', notBefore: 0, expires: 5000 })
  t.ok(revocations.includes(token))
  t.ok(revocations.includes({ ...token, jti: 'other' }))
  revocations.add({ kind: 'token', value: 'j', notBefore: 0, expires: 5000 }) // until later
  revocations.removeExpired(3000)
  t.ok(revocations.includes(token))
})

t.test('packs only known kinds and values in ASCII', async t => {
  const packer = new RevocationPacker()
  t.equal(packer.add('record', 'a', 1), undefined)
  t.equal(packer.add('token', 'ä', 1), undefined)
  t.equal(typeof packer.add('token', 'b', 1), 'number')
  const packed = new PackedRevocations(packer.finish())
  t.equal(packed.size, 1)
  t.equal(packed.find('token', 'b'), 0)
  t.equal(packed.find('token', 'ä'), -1)
})

t.test('finds and removes what a Map does', async () => {
  const entry = fc.tuple(
    fc.constantFrom(...revocationKinds),
    fc.string({ maxLength: 3, unit: 'grapheme-ascii' }),
    fc.nat(9),
  )
  const entries = fc.uniqueArray(entry, { selector: ([kind, value]) => `${kind} ${value}`, maxLength: 200 })
  fc.assert(
    fc.property(entries, entries, fc.array(fc.nat(10), { maxLength: 4 }), (given, others, times) => {
      const packed = new PackedRevocations(pack(given))
      const map = new Map(given.map(([kind, value, expires]) => [`${kind} ${value}`, expires]))
      for (const now of [-1, ...times]) {
        packed.removeExpired(now)
        for (const [key, expires] of map) if (expires <= now) map.delete(key)
        if (packed.size !== map.size) return false
        for (const [kind, value] of [...given, ...others]) {
          const index = packed.find(kind, value)
          const expected = map.get(`${kind} ${value}`)
          if (index === -1 ? expected !== undefined : packed.expiryOf(index) !== expected) return false
        }
      }
      return true
    }),
  )
})
