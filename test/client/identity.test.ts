// Certificate and key files that change while the client runs.
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { type ClientError, createClient, readIdentityFiles } from '../../src/client/client.ts'
import { type Identity, issueCertificate } from '../../src/pki/certificate.ts'
import { startFakeUpstream } from '../helpers/client/fake-upstream.ts'
import { startServerBehindRelay } from '../helpers/client/relay.ts'
import { letPass } from '../helpers/monotonic.ts'
import { until } from '../helpers/until.ts'

/** Files of an identity, with functions that rewrite them, each time with another mtime or inode. */
function writeFiles(t: Test, { certificate, key }: Identity, ca: Identity) {
  const folder = mkdtempSync(join(tmpdir(), 'identity-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const path = (name: string) => join(folder, name)
  const write = (name: string, text: string) => {
    writeFileSync(path(`${name}.new`), text)
    renameSync(path(`${name}.new`), path(name))
  }
  write('crt', certificate)
  write('key', key)
  write('ca', ca.certificate)
  return { write, path, files: { certFile: path('crt'), keyFile: path('key'), caFile: path('ca') } }
}

const renew = (ca: Identity, name = 'alice') =>
  issueCertificate({ issuer: ca, subject: [['CN', name]], extendedKeyUsage: ['clientAuth'] })

t.test('uses a renewed certificate within a second, and completes requests under way with the old one', async t => {
  for (const http2 of [true, false]) {
    let finish = () => {}
    const upstream = await startFakeUpstream(
      t,
      (request, response) => {
        if (request.url !== '/long') return response.end('answer')
        response.write('begun ')
        finish = () => response.end('ended')
        return undefined
      },
      { http2 },
    )
    const { alice, ca } = upstream.pki
    const { write, files } = writeFiles(t, alice, ca)
    const problems: ClientError[] = []
    const identity = readIdentityFiles(files, problem => problems.push(problem))
    const client = createClient({ ...upstream.target, identity, http2 })
    t.teardown(() => client.close())
    const long = await client.fetch('/long')
    const before = client.state().connections[0]?.certificate

    const next = renew(ca)
    write('crt', next.certificate)
    letPass(t, 2)
    for (let count = 0; count < 3; count++)
      t.equal((await client.fetch('/')).status, 200, 'a certificate without its key changes nothing')
    t.match(problems, [{ code: 'identity_unusable' }], 'the problem is reported once')
    t.equal(client.state().connections[0]?.certificate, before)
    write('key', next.key)
    letPass(t, 2)
    t.equal((await client.fetch('/')).status, 200)
    const used = client.state().connections.map(({ certificate }) => certificate)
    t.ok(used.some(certificate => certificate !== before))
    finish()
    t.equal(await long.text(), 'begun ended')
    await until(() => client.state().connections.every(({ certificate }) => certificate !== before))
    t.equal(problems.length, 1)
  }
})

t.test('does not use a token of the old certificate with the new one', async t => {
  const { server, origin } = await startServerBehindRelay(t)
  const { alice, ca } = server.pki
  for (const tokenBinding of ['certificate', 'proof', 'connection'] as const) {
    const { write, files } = writeFiles(t, alice, ca)
    const client = createClient({ origin, identity: readIdentityFiles(files), tokenBinding })
    t.teardown(() => client.close())
    t.equal((await client.fetch('/api/whoami')).status, 200)
    const next = renew(ca)
    write('crt', next.certificate)
    write('key', next.key)
    letPass(t, 2)
    t.equal((await client.fetch('/api/whoami')).status, 200)
    t.match(client.state().counts, { tokens: 2, connections: 2, repeated: 0 })
  }
  t.notOk(server.events.some(({ event }) => event === 'token.refused'))
})

t.test('rejects invalid files at the start; later, invalid files leave the identity unchanged', async t => {
  const upstream = await startFakeUpstream(t, (_request, response) => response.end())
  const { alice, bob, ca } = upstream.pki
  const { write, path, files } = writeFiles(t, alice, ca)
  const unusable = { name: 'ClientError', code: 'identity_unusable', cause: { name: 'FileProblem' } }
  t.throws(() => readIdentityFiles({ ...files, keyFile: path('none') }), unusable)
  t.throws(() => readIdentityFiles({ ...files, keyFile: files.certFile }), unusable)
  t.throws(() => readIdentityFiles({ ...files, caFile: files.keyFile }), unusable)

  const problems: ClientError[] = []
  const identity = readIdentityFiles(files, problem => problems.push(problem))
  const client = createClient({ ...upstream.target, identity, clientId: 'alice' })
  t.teardown(() => client.close())
  const changes: (() => void)[] = [
    () => write('crt', 'nothing'),
    () => write('key', bob.key),
    () => write('ca', ''),
    () => rmSync(path('key')),
    () => mkdirSync(path('key')),
  ]
  for (const [index, change] of changes.entries()) {
    change()
    letPass(t, 2)
    for (let count = 0; count < 2; count++) t.equal((await client.fetch('/')).status, 200)
    t.equal(problems.length, index + 1)
    t.match(problems.at(-1), unusable)
    t.notMatch(`${problems.at(-1)?.stack}`, /BEGIN|PRIVATE/, 'LK01')
  }
  t.equal(upstream.handshakes, 1)
  rmSync(path('key'), { recursive: true })
  write('crt', bob.certificate)
  write('key', bob.key)
  write('ca', ca.certificate)
  letPass(t, 2)
  t.equal((await client.fetch('/')).status, 200)
  t.match([upstream.handshakes, problems.length], [2, changes.length])
})

t.test('the client_id defaults to the common name of the certificate', async t => {
  const upstream = await startFakeUpstream(t, (_request, response) => response.end())
  const { ca } = upstream.pki
  const ids: (string | null)[] = []
  upstream.issue = form => {
    ids.push(form.get('client_id'))
    return {}
  }
  const as = ({ certificate, key }: Identity) => ({
    ...upstream.target,
    identity: { certificate, key, ca: ca.certificate },
  })
  for (const options of [as(renew(ca, 'carol')), { ...as(renew(ca, 'carol')), clientId: 'other' }]) {
    const client = createClient(options)
    await client.fetch('/')
    await client.close()
  }
  t.same(ids, ['carol', 'other'])
  const nameless = issueCertificate({ issuer: ca, subject: [['O', 'nobody']] })
  const two = issueCertificate({
    issuer: ca,
    subject: [
      ['CN', 'one'],
      ['CN', 'two'],
    ],
  })
  t.throws(() => createClient(as(nameless)), TypeError)
  t.throws(() => createClient(as(two)), TypeError)
})
