// What a store promises about registered clients and their secrets.
import { type AddPromises, forever, listen, start, unavailable } from './contract.ts'
import { grant, successor } from './grant.ts'

export const clientPromises: AddPromises = (promise, open) => {
  promise('registers, changes, disables and removes clients, and reports each change', async t => {
    const [one, other] = await open(t.context)
    const { heard, stop } = await listen(one)
    await one.putClient('bob', '1')
    t.equal(await one.disableClient('alice', '2'), true, 'a client that is registered elsewhere')
    await one.putClient('bob', '3')
    t.same(await other.listClients(), [
      { id: 'alice', registration: '2', disabled: true, secrets: [] },
      { id: 'bob', registration: '3', disabled: false, secrets: [] },
    ])
    t.equal(await one.disableClient('alice', '4'), false, 'disabled already')
    t.equal(await one.disableClient('bob', '5'), true)
    await one.putClient('alice', '6')
    t.match(await other.listClients(), [
      { id: 'alice', registration: '6', disabled: true },
      { id: 'bob', registration: '3', disabled: true },
    ])
    t.equal(await one.enableClient('bob'), true)
    for (const id of ['bob', 'nobody']) t.equal(await one.enableClient(id), false, id)
    t.equal(await one.removeClient('alice'), true)
    t.equal(await one.removeClient('alice'), false)
    t.equal(await one.removeClient('nobody'), false)
    await one.putClient('alice', '7')
    t.match(await other.listClients(), [{ id: 'alice', registration: '7', disabled: false }, { id: 'bob' }])
    t.same(
      heard.map(
        change => change.kind === 'client' && [change.client.id, change.client.registration, change.client.disabled],
      ),
      [
        ['bob', '1', false],
        ['alice', '2', true],
        ['bob', '3', false],
        ['bob', '3', true],
        ['alice', '6', true],
        ['bob', '3', false],
        ['alice', undefined, false],
        ['alice', '7', false],
      ],
    )
    stop()
  })

  promise('preserves all of several parallel changes of a client', async t => {
    const [one, other] = await open(t.context)
    for (let round = 0; round < 20; round++) {
      const changes = [() => one.putClient(`c${round}`, 'new'), () => other.disableClient(`c${round}`, 'old')]
      await Promise.all((round % 2 ? changes : changes.toReversed()).map(change => change()))
    }
    const clients = await one.listClients()
    t.same([...new Set(clients.map(({ registration, disabled }) => `${registration} ${disabled}`))], ['new true'])
    t.equal(clients.length, 20)
  })

  promise('applies a new registration and its revocation completely or not at all', async t => {
    const [one, other] = await open(t.context)
    await one.putClient('alice', '1')
    await one.createGrant(grant('g1'), 'r1')
    await one.createGrant(grant('g2', { clientId: 'bob' }), 'r2')
    const { heard, stop } = await listen(one)
    await one.putClient('alice', '2')
    t.match(await other.findRefreshToken('r1'), { state: 'unused' }, 'control')
    const revocation = { kind: 'client', value: 'alice', notBefore: 1500, expires: forever } as const
    await one.putClient('alice', '3', revocation)
    t.match(await other.rotateRefreshToken('r1', successor('x'), start), { outcome: 'revoked' })
    t.match(await other.rotateRefreshToken('r2', successor('x'), start), { outcome: 'rotated' })
    t.match(heard.slice(1), [{ client: { registration: '2' } }, { revocation }, { client: { registration: '3' } }])
    await t.rejects(one.putClient(null as unknown as string, '4', { ...revocation, value: 'bob' }), unavailable)
    t.match(await other.findRefreshToken('x'), { state: 'unused' })
    t.match(await other.listClients(), [{ registration: '3' }])
    t.equal(heard.length, 4)
    stop()
  })

  promise('stores two secrets per client at most; a new client inherits none', async t => {
    const [one, other] = await open(t.context)
    await one.putSecret('alice', 's1', 'scrypt 1')
    await one.putSecret('alice', 's2', 'scrypt 2')
    await t.rejects(other.putSecret('alice', 's3', 'scrypt 3'), { name: 'ConflictError', message: /two secrets/ })
    await other.putSecret('alice', 's1', 'scrypt 1b')
    const byId = async () => Object.fromEntries((await other.listSecrets('alice')).map(({ id, hash }) => [id, hash]))
    t.same(await byId(), { s1: 'scrypt 1b', s2: 'scrypt 2' })
    t.equal(await one.removeSecret('alice', 's2'), true)
    t.equal(await one.removeSecret('alice', 's2'), false)
    await one.putSecret('alice', 's3', 'scrypt 3')
    t.same(await byId(), { s1: 'scrypt 1b', s3: 'scrypt 3' })
    t.same(await one.listClients(), [], 'a secret is not a registration')
    await one.putClient('alice', '{}')
    t.match(await one.listClients(), [{ secrets: [{ id: 's1' }, { id: 's3' }] }])
    const many = Array.from({ length: 10 }, (_, index) => (index % 2 ? one : other).putSecret('bob', `s${index}`, 'x'))
    t.equal((await Promise.allSettled(many)).filter(({ status }) => status === 'fulfilled').length, 2)
    t.equal((await one.listSecrets('bob')).length, 2)
    await one.removeClient('alice')
    t.same(await one.listSecrets('alice'), [])
    t.same(await one.listSecrets('nobody'), [])
  })
}
