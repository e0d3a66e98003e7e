// The channel bindings that a TLS connection offers; both ends compute the same values. RFC 9266 §2, RFC 5929 §3, RFC 7627
// §5.4; requirements N-01, N-02, N-03, N-05, N-09, N-16, N-17, N-18.
import { hash } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import { type ConnectionOptions, connect, createServer, type TLSSocket } from 'node:tls'
import t from 'tap'
import {
  type BindableSocket,
  hasExtendedMasterSecret,
  proofExporterLabel,
  readChannelBindings,
  readKeyingMaterial,
} from '../../src/core/channel-binding.ts'
import { makeDemoPki } from '../../src/pki/demo.ts'

const pki = makeDemoPki()
const anyVersion = { minVersion: 'TLSv1', ciphers: 'DEFAULT@SECLEVEL=0' } as const
const withoutExtendedMasterSecret = 1 // SSL_OP_NO_EXTENDED_MASTER_SECRET

// A plain Node server, which resumes sessions; it writes an octet so that TLS 1.3 clients read their tickets.
const accepted: ((socket: TLSSocket) => void)[] = []
const server = createServer({ cert: pki.server.certificate, key: pki.server.key, ...anyVersion }, socket => {
  socket.on('error', () => {}).write('.')
  accepted.shift()?.(socket)
})
await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
t.teardown(() => server.close())

interface Pair {
  readonly ours: TLSSocket
  readonly theirs: TLSSocket
  /** Resolves with the first session that the client may resume. From Node 26 on, it arrives before the first octet. */
  readonly session: Promise<Buffer>
}

/** Opens a connection, and returns its two ends. */
async function openPair(options: ConnectionOptions = {}): Promise<Pair> {
  const { port } = server.address() as AddressInfo
  const ours = new Promise<TLSSocket>(resolve => accepted.push(resolve))
  const theirs = connect({ port, servername: 'localhost', ca: pki.ca.certificate, ...anyVersion, ...options })
  t.teardown(() => theirs.destroy())
  const session = new Promise<Buffer>(resolve => theirs.once('session', resolve))
  await new Promise((resolve, reject) => theirs.once('data', resolve).once('error', reject))
  return { ours: await ours, theirs, session }
}

const thumbprint = (value: Buffer | undefined) => hash('sha256', value as Buffer, 'base64url')
const exporter = (socket: TLSSocket, context?: Buffer) =>
  socket.exportKeyingMaterial(32, 'EXPORTER-Channel-Binding', context as Buffer)
const empty = Buffer.alloc(0)

t.test('offers only tls-exporter on TLS 1.3, with the same value at both ends', async t => {
  const { ours, theirs } = await openPair()
  t.equal(ours.getProtocol(), 'TLSv1.3')
  t.same(readChannelBindings(ours), { 'tls-exporter': thumbprint(exporter(theirs, empty)) }, 'N-01, N-12, N-19')
  t.ok((ours.getPeerFinished()?.length ?? 0) > 0, 'Node returns a Finished, but tls-unique is not defined (N-05)')
  t.equal(exporter(theirs, empty).length, 32, 'N-16')
})

t.test('offers tls-exporter and tls-unique on TLS 1.2 with the extended master secret', async t => {
  const { ours, theirs } = await openPair({ maxVersion: 'TLSv1.2' })
  const both = {
    'tls-exporter': thumbprint(exporter(theirs, empty)),
    'tls-unique': thumbprint(theirs.getFinished()),
  }
  t.same(readChannelBindings(ours), both, 'N-12')
  t.equal(theirs.getFinished()?.length, 12, 'the client’s Finished is the first (N-09)')
  t.notSame(exporter(theirs, empty), exporter(theirs), 'an empty context differs from none (N-02)')
})

t.test('derives different values for both types and for every connection (N-10)', async t => {
  const values: string[] = []
  for (const maxVersion of ['TLSv1.3', 'TLSv1.2', 'TLSv1.3', 'TLSv1.2'] as const)
    values.push(...Object.values(readChannelBindings((await openPair({ maxVersion })).ours)))
  t.equal(values.length, 6)
  t.equal(new Set(values).size, 6)
})

t.test('uses the server’s Finished, which is the first, on a resumed TLS 1.2 connection (N-09)', async t => {
  const first = await openPair({ maxVersion: 'TLSv1.2' })
  const session = first.theirs.getSession() as Buffer
  const { ours, theirs } = await openPair({ maxVersion: 'TLSv1.2', session })
  t.ok(ours.isSessionReused())
  t.same(readChannelBindings(ours), {
    'tls-exporter': thumbprint(exporter(theirs, empty)),
    'tls-unique': thumbprint(theirs.getPeerFinished()),
  })
  t.strictNotSame(
    readChannelBindings(ours),
    readChannelBindings(first.ours),
    'bindings belong to a connection, not to a session',
  )
})

t.test('derives a new exporter on a resumed TLS 1.3 connection (CB05)', async t => {
  const first = await openPair()
  const { ours, theirs } = await openPair({ session: await first.session })
  t.ok(ours.isSessionReused())
  t.same(readChannelBindings(ours), { 'tls-exporter': thumbprint(exporter(theirs, empty)) })
  t.strictNotSame(readChannelBindings(ours), readChannelBindings(first.ours))
})

t.test('offers nothing on TLS 1.2 without the extended master secret, resumed or not (N-03, N-18)', async t => {
  const options = { maxVersion: 'TLSv1.2', secureOptions: withoutExtendedMasterSecret } as const
  const first = await openPair(options)
  t.notOk(hasExtendedMasterSecret(first.ours))
  t.equal(exporter(first.ours, empty).length, 32, 'Node exports a value all the same')
  t.same(readChannelBindings(first.ours), {})
  const { ours } = await openPair({ ...options, session: first.theirs.getSession() as Buffer })
  t.ok(ours.isSessionReused())
  t.same(readChannelBindings(ours), {})
})

t.test('offers nothing on TLS 1.0 and 1.1 (N-03)', async t => {
  for (const maxVersion of ['TLSv1.1', 'TLSv1'] as const) {
    const { ours } = await openPair({ maxVersion })
    t.equal(ours.getProtocol(), maxVersion)
    t.same(readChannelBindings(ours), {})
  }
})

t.test('reads the same bindings and the same keying material for proofs at both ends (N-01, N-09, N-56)', async t => {
  const seen = new Set<string>()
  for (const [offered, options] of [
    [1, {}],
    [2, { maxVersion: 'TLSv1.2' }],
    [0, { maxVersion: 'TLSv1.2', secureOptions: withoutExtendedMasterSecret }],
    [0, { maxVersion: 'TLSv1.1' }],
  ] as const) {
    const first = await openPair(options)
    const session = first.theirs.getSession() as Buffer
    const resumed = options.maxVersion === undefined ? [] : [await openPair({ ...options, session })]
    for (const { ours, theirs } of [first, ...resumed]) {
      t.equal(Object.keys(readChannelBindings(ours)).length, offered)
      t.same(readChannelBindings(theirs, 'client'), readChannelBindings(ours))
      const material = readKeyingMaterial(ours)
      t.equal(readKeyingMaterial(theirs), material)
      if (offered === 0) t.equal(material, undefined)
      else {
        const exported = theirs.exportKeyingMaterial(32, proofExporterLabel, empty).toString('base64url')
        t.equal(material, exported)
        seen.add(exported)
      }
    }
  }
  t.equal(seen.size, 3, 'every connection has its own')
  const gone = await openPair()
  await new Promise<void>(resolve => gone.ours.once('close', resolve).destroy())
  t.equal(readKeyingMaterial(gone.ours), undefined)
})

t.test('offers nothing on a closed connection, and does not throw', async t => {
  for (const maxVersion of ['TLSv1.3', 'TLSv1.2'] as const) {
    const { ours } = await openPair({ maxVersion })
    t.not(Object.keys(readChannelBindings(ours)).length, 0)
    await new Promise<void>(resolve => ours.once('close', resolve).destroy())
    t.same(readChannelBindings(ours), {})
  }
})

t.test('offers nothing when a connection reports unknown values, or none', async t => {
  const { ours } = await openPair({ maxVersion: 'TLSv1.2' })
  const but = (changes: Partial<BindableSocket>): BindableSocket => ({
    getProtocol: () => ours.getProtocol(),
    getSession: () => ours.getSession(),
    isSessionReused: () => ours.isSessionReused(),
    getFinished: () => ours.getFinished(),
    getPeerFinished: () => ours.getPeerFinished(),
    exportKeyingMaterial: (...args) => ours.exportKeyingMaterial(...args),
    ...changes,
  })
  const state = ours.getSession() as Buffer
  const flags = state.indexOf(Buffer.from('ad03020101', 'hex'))
  t.ok(flags > 0, 'the flags of an SSL_SESSION are at the expected offset')
  t.strictSame(readChannelBindings(but({})), readChannelBindings(ours))
  t.equal(Object.keys(readChannelBindings(ours)).length, 2)

  const cleared = Buffer.from(state).fill(0, flags + 4, flags + 5)
  const hidden = Buffer.from(state).fill(0xae, flags, flags + 1)
  const rows: [string, Partial<BindableSocket>][] = [
    ['no session', { getSession: () => undefined }],
    ['an empty session', { getSession: () => Buffer.alloc(0) }],
    ['a truncated session', { getSession: () => Buffer.from(state.subarray(0, flags + 4)) }],
    ['flags that are zero', { getSession: () => Buffer.from(cleared) }],
    ['no flags', { getSession: () => Buffer.from(hidden) }],
    ['no Finished', { getPeerFinished: () => undefined }],
    ['a Finished with the length of TLS 1.3', { getPeerFinished: () => Buffer.alloc(48) }],
    ['no version', { getProtocol: () => null }],
    ['a future version', { getProtocol: () => 'TLSv1.4' as never }],
    [
      'no exporter',
      {
        exportKeyingMaterial: () => {
          throw new TypeError('closed')
        },
      },
    ],
  ]
  for (const [name, changes] of rows) t.same(readChannelBindings(but(changes)), {}, name)
})

t.test('wipes the session, which contains the master secret, after use', async t => {
  const { ours } = await openPair({ maxVersion: 'TLSv1.2' })
  const state = ours.getSession() as NonNullable<ReturnType<TLSSocket['getSession']>>
  t.ok(hasExtendedMasterSecret({ getSession: () => state }))
  t.ok(state.every(octet => octet === 0))
  const broken = Buffer.from('3005020101', 'hex')
  t.throws(() => hasExtendedMasterSecret({ getSession: () => broken }))
  t.ok(
    broken.every(octet => octet === 0),
    'also when it cannot be parsed',
  )
})
