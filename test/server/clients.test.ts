// The registry of clients: the file, the store that overrides it, and changes of the store. OA16, N-23. No request searches
// through all clients.
import { hash } from 'node:crypto'
import t from 'tap'
import { issueCertificate } from '../../src/pki/certificate.ts'
import { ClientRegistry } from '../../src/server/clients/registry.ts'
import type { ClientRecord } from '../../src/store/store.ts'
import { register } from '../helpers/tokens/grants.ts'

const secrets = [{ id: 'one', hash: 'scrypt$a$b' }]
const record = (registration: object | string | undefined, changes: Partial<ClientRecord> = {}): ClientRecord => ({
  id: 'alice',
  registration: typeof registration === 'object' ? JSON.stringify(registration) : registration,
  disabled: false,
  secrets: [],
  ...changes,
})
const scopeOf = (registry: ClientRegistry, id = 'alice') => [...(registry.get(id)?.client.scope ?? ['none'])].join(' ')
const ofFile = () => new ClientRegistry([register('alice'), register('bob')])

t.test('uses the clients of the file until the store overrides them', async t => {
  const registry = ofFile()
  t.same(
    registry.all.map(({ client, disabled, origin, secrets }) => [client.id, disabled, origin, secrets.length]),
    [
      ['alice', false, 'file', 0],
      ['bob', false, 'file', 0],
    ],
  )
  t.same(JSON.parse(registry.get('alice')?.registration as string), register('alice'))
  for (const id of ['carol', '', 'Alice', '__proto__', 'constructor']) t.equal(registry.get(id), undefined, id)
  t.ok(registry.isOfFile('alice') && !registry.isOfFile('carol'))
})

t.test('rejects a file with an invalid registration', async t => {
  t.throws(() => new ClientRegistry([register('alice', { scope: ' ' }), register('alice')]), {
    name: 'TypeError',
    message: /"alice": scope must/,
  })
  t.equal(new ClientRegistry([]).all.length, 0)
})

t.test("a registration of the store goes before that of the file, and the file's comes back when it goes", async t => {
  const registry = ofFile()
  registry.apply(record(register('alice', { scope: 'a' }), { secrets }))
  t.match(registry.get('alice'), { origin: 'store', disabled: false, secrets })
  t.equal(scopeOf(registry), 'a')
  registry.apply(record(register('alice', { scope: 'b' })))
  t.equal(scopeOf(registry), 'b')
  t.same(registry.get('alice')?.secrets, [])
  registry.apply(record(undefined))
  t.match(registry.get('alice'), { origin: 'file', disabled: false })
  t.equal(scopeOf(registry), 'notes:read notes:write')

  registry.apply(record(register('carol'), { id: 'carol' }))
  t.equal(registry.get('carol')?.origin, 'store')
  registry.apply(record(undefined, { id: 'carol' }))
  t.equal(registry.get('carol'), undefined, 'a client that is not in the file is gone')
  registry.apply(record(undefined, { id: 'dora', secrets }))
  t.equal(registry.get('dora'), undefined, 'secrets alone are not a client')
})

t.test('applies the store’s disabling and secrets to a client of the file', async t => {
  const registry = ofFile()
  registry.apply(record(undefined, { secrets }))
  t.match(registry.get('alice'), { origin: 'file', disabled: false, secrets })
  registry.apply(record(register('alice'), { disabled: true }))
  t.match(registry.get('alice'), { origin: 'store', disabled: true })
  t.same(
    registry.enabled.map(({ id }) => id),
    ['bob'],
  )
  t.equal(registry.all.length, 2)
  registry.apply(record(register('alice')))
  t.equal(registry.enabled.length, 2)
})

t.test('disables a client with an unreadable registration, and applies nothing of it', async t => {
  const unreadable: (object | string)[] = [
    ...['', '{', 'null', '[]', '"x"', '{}', 'undefined', '{"client_id":"alice"}'],
    register('alice', { scope: ' ' }),
    register('alice', { of_a_newer_version: true }),
    register('alice', { token_endpoint_auth_method: 'private_key_jwt' }),
    register('bob'), // for another client
  ]
  for (const registration of unreadable) {
    const name = JSON.stringify(registration).slice(0, 60)
    const registry = ofFile()
    t.doesNotThrow(() => registry.apply(record(registration)), name)
    t.match(registry.get('alice'), { disabled: true, client: { id: 'alice' } }, `${name}: the file's, disabled`)
    t.same(
      registry.enabled.map(({ id }) => id),
      ['bob'],
    )
    const carols = ofFile()
    const text =
      typeof registration === 'string' ? registration : JSON.stringify({ ...registration, client_id: 'alice' })
    t.doesNotThrow(() => carols.apply(record(text, { id: 'carol' })))
    t.equal(carols.get('carol'), undefined, `${name}: a client that is not in the file does not exist`)
    t.equal(carols.get('alice')?.disabled, false, 'other clients are unaffected')
    registry.apply(record(register('alice')))
    t.equal(registry.get('alice')?.disabled, false, 'the next valid one is effective')
  }
})

t.test('replaces the whole file, and returns the clients whose registration changed', async t => {
  const registry = new ClientRegistry(['alice', 'bob', 'carol', 'dora'].map(id => register(id)))
  registry.apply(record(register('carol', { scope: 'a' }), { id: 'carol' }))
  registry.apply(record(undefined, { id: 'alice', secrets }))
  registry.apply(record('{', { id: 'dora' }))
  registry.apply(record(register('erin'), { id: 'erin' }))
  t.same(registry.replaceFile(['alice', 'bob', 'carol', 'dora'].map(id => register(id))), [], 'no change')

  const [alice, bob] = [registry.get('alice'), registry.get('bob')]
  const broken = [register('alice', { scope: 'b' }), register('bob', { scope: ' ' })]
  t.throws(() => registry.replaceFile(broken), { name: 'TypeError', message: /"bob": scope must/ })
  t.equal(registry.get('alice'), alice, 'nothing of an invalid file is applied')

  const changed = registry.replaceFile([register('fay'), register('alice', { scope: 'b' })])
  t.same(changed.sort(), ['alice', 'bob', 'dora'])
  t.match(registry.get('alice'), { origin: 'file', disabled: false, secrets })
  t.equal(scopeOf(registry), 'b')
  t.equal(registry.get('fay')?.origin, 'file')
  for (const id of ['bob', 'dora']) t.equal(registry.get(id), undefined, id)
  for (const id of ['carol', 'erin']) t.equal(registry.get(id)?.origin, 'store', `${id}, which the store has as well`)
  t.notOk(registry.isOfFile('carol') || registry.isOfFile('bob'))

  t.same(registry.replaceFile([register('bob')]).sort(), ['alice', 'fay'])
  t.not(registry.get('bob')?.client, bob?.client, 'the old registration is not cached')
  registry.apply(record(undefined, { id: 'carol' }))
  t.equal(registry.get('carol'), undefined, 'a client of the old file does not return')
})

t.test('applies what the store changes between the steps of a new file', async t => {
  const changes = [
    record(undefined, { id: 'alice', disabled: true }),
    record(undefined, { id: 'bob', secrets }),
    record(register('carol', { scope: 'a' }), { id: 'carol' }),
    record(register('dora', { scope: 'a' }), { id: 'dora', disabled: true }),
    record(register('erin'), { id: 'erin' }),
  ]
  /** Replaces the file, and applies the changes after so many steps. */
  function replace(after: number) {
    const registry = new ClientRegistry(['alice', 'bob', 'carol'].map(id => register(id)))
    const next = [register('alice', { scope: 'b' }), register('bob', { scope: 'b' }), register('dora')]
    const steps = registry.replaceInSteps(next)
    let count = 0
    for (; ; count++) {
      if (count === after) for (const change of changes) registry.apply(change)
      if (steps.next().done) break
      t.equal(registry.get('bob')?.client.scope.has('b'), false, 'the old file until the last step')
    }
    if (count < after) for (const change of changes) registry.apply(change)
    return { count, all: new Map(registry.all.map(one => [one.client.id, one])) }
  }
  const { count, all } = replace(Number.POSITIVE_INFINITY)
  t.ok(count > 0, `${count} steps`)
  t.match(all.get('alice'), { disabled: true, origin: 'file' })
  t.match(all.get('dora'), { disabled: true, origin: 'store' })
  for (let after = 0; after <= count; after++) t.same(replace(after).all, all, `after ${after} steps`)
})

t.test('answers by id whether a client may act', async t => {
  const registry = ofFile()
  t.equal(registry.isEnabled('alice'), true)
  registry.apply(record(register('alice'), { disabled: true }))
  for (const id of ['alice', 'carol', '', '__proto__']) t.equal(registry.isEnabled(id), false, id)
  t.equal(registry.isEnabled('bob'), true)
})

t.test('finds pinned certificates and resource servers of enabled clients only', async t => {
  const [one, two] = ['one', 'two'].map(name => issueCertificate({ subject: [['CN', name]] }).x509.raw) as [
    Buffer,
    Buffer,
  ]
  const thumbprint = (der: Buffer) => hash('sha256', der, 'base64url')
  const { tls_client_auth_subject_dn: _, ...rest } = register('anna', { resource: 'https://anna.example' })
  const anna = (...certificates: Buffer[]) => ({
    ...rest,
    token_endpoint_auth_method: 'self_signed_tls_client_auth',
    jwks: { keys: certificates.map(der => ({ x5c: [der.toString('base64')] })) },
  })
  const registry = new ClientRegistry([anna(one), register('alice')])
  const seen = () => [
    registry.isPinned(thumbprint(one)),
    registry.isPinned(thumbprint(two)),
    registry.hasResource('https://anna.example'),
  ]
  const put = (registration: object | undefined, disabled = false) =>
    registry.apply(record(registration, { id: 'anna', disabled }))
  t.same(seen(), [true, false, true])
  put(anna(two))
  t.same(seen(), [false, true, true])
  put(anna(one, two))
  t.same(seen(), [true, true, true])
  put(anna(one, two), true)
  t.same(seen(), [false, false, false], 'disabled')
  put({ ...anna(one), resource: 'https://other.example' })
  t.same(seen(), [true, false, false])
  put(undefined)
  t.same(seen(), [true, false, true], "the file's again")
  for (const name of ['', 'undefined', 'https://anna.example/'])
    t.equal(registry.hasResource(name), false, `${name} is not a resource server`)
  t.equal(registry.isPinned(''), false)
})

t.test('finds a resource server as long as one client of its name is enabled', async t => {
  const resource = 'https://api.example'
  const registry = new ClientRegistry([register('anna', { resource }), register('alice')])
  const put = (id: string, registration: object | undefined, disabled = false) =>
    registry.apply(record(registration, { id, disabled }))
  put('ben', register('ben', { resource }))
  put('anna', register('anna', { resource }), true)
  t.equal(registry.hasResource(resource), true, 'anna is disabled, ben is not')
  for (let again = 0; again < 2; again++) put('ben', register('ben', { resource }), true)
  t.equal(registry.hasResource(resource), false, 'both are')
  registry.replaceFile([register('anna', { resource })])
  t.equal(registry.hasResource(resource), false, 'the file does not enable one that the store has disabled')
  put('anna', undefined)
  t.equal(registry.hasResource(resource), true)
  registry.replaceFile([])
  t.equal(registry.hasResource(resource), false)
})
