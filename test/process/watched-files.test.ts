// Changed files are loaded without a signal: in place, by rename, and by a swapped symbolic link, as in a volume of Kubernetes.
// `tlsbound reload` reports what was loaded. A server process, and clients that use it meanwhile.
import { mkdirSync, readFileSync, renameSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import t from 'tap'
import { issueCertificate } from '../../src/pki/certificate.ts'
import { writeDemoPki } from '../../src/pki/demo.ts'
import { findFreePort } from '../../src/testing/free-port.ts'
import { runTlsbound, startTlsbound } from '../helpers/process/process.ts'
import { register } from '../helpers/tokens/grants.ts'
import { until } from '../helpers/until.ts'

t.setTimeout(120_000)
const folder = t.testdir()
const at = (...path: string[]) => join(folder, ...path)
writeDemoPki(at('certs'))
const authority = issueCertificate({ ca: true, subject: [['CN', 'servers']] })
const issue = () => {
  const names = { altNames: [{ dns: 'localhost' }], extendedKeyUsage: ['serverAuth'] } as const
  return issueCertificate({ issuer: authority, subject: [['CN', 'localhost']], ...names })
}

/** Replaces the volume as the kubelet does: a new folder, then one rename of the link `..data`. */
let version = 0
function publish(files: Readonly<Record<string, string>>): void {
  const name = `..2026_${++version}`
  mkdirSync(at('volume', name), { recursive: true })
  for (const [file, text] of Object.entries(files)) writeFileSync(at('volume', name, file), text, { mode: 0o600 })
  symlinkSync(name, at('volume', '..data_tmp'))
  renameSync(at('volume', '..data_tmp'), at('volume', '..data'))
}

const first = issue()
const own = ({ certificate, key }: { certificate: string; key: string }) => ({ 'tls.crt': certificate, 'tls.key': key })
publish(own(first))
for (const file of ['tls.crt', 'tls.key']) symlinkSync(join('..data', file), at('volume', file))
const clients = (...names: string[]) => JSON.stringify(names.map(name => register(name)))
writeFileSync(at('clients.json'), clients('alice'))
writeFileSync(at('webhooks.json'), '[]', { mode: 0o600 })
const opsPort = String(await findFreePort())
const server = await startTlsbound(t, folder, {
  TLSBOUND_TLS_CERT_FILE: 'volume/tls.crt',
  TLSBOUND_TLS_KEY_FILE: 'volume/tls.key',
  TLSBOUND_TLS_CLIENT_CA_FILE: 'certs/ca.crt',
  TLSBOUND_CLIENTS_FILE: 'clients.json',
  TLSBOUND_WEBHOOKS_FILE: 'webhooks.json',
  TLSBOUND_OPS_PORT: opsPort,
})
const connect = (who = 'alice') => server.connect(who, { ca: authority.certificate })
const serialOf = async () => (await connect()).socket.getPeerX509Certificate()?.serialNumber
const count = (pattern: RegExp, since = 0) => server.stderr().slice(since).match(pattern)?.length ?? 0
const reload = () => runTlsbound(['reload'], folder, { TLSBOUND_OPS_URL: `http://127.0.0.1:${opsPort}` })

t.test('loads the files of a swapped volume within two seconds, and refuses no request meanwhile', async t => {
  const alice = await connect()
  const token = await alice.token()
  let isDone = false
  let requests = 0
  const use = async () => {
    while (!isDone) {
      const { status } = await alice.get('/api/whoami', token)
      const other = await connect()
      const { status: opened } = await other.get('/binding')
      if (status !== 200 || opened !== 200) t.fail(`${status} ${opened}`)
      other.close()
      requests++
      await pause(50)
    }
  }
  const using = use()
  for (let round = 0; round < 2; round++) {
    const next = issue()
    const since = server.stderr().length
    publish(own(next))
    const start = performance.now()
    await server.seen(/certificates, authorities and revocation lists were loaded again/, since)
    t.ok(performance.now() - start < 2000, `after ${Math.round(performance.now() - start)} ms`)
    t.equal(await serialOf(), next.x509.serialNumber)
    t.equal(count(/webhooks were loaded|clients were loaded/g, since), 0, 'nothing else is loaded')
  }
  isDone = true
  await using
  t.ok(requests > 5, `${requests} requests on the old connection, and as many on new ones`)
})

t.test('keeps what is in use while a file is wrong, with one line, and loads it once it is right', async t => {
  const before = await serialOf()
  const next = issue()
  for (const wrong of [
    { ...own(next), 'tls.key': next.key.slice(0, 80) }, // half-written
    { ...own(next), 'tls.key': first.key },
    { ...own(next), 'tls.crt': '' },
  ]) {
    const since = server.stderr().length
    publish(wrong)
    await server.seen(/certificates, authorities and revocation lists stay as they were: volume\/tls/, since)
    await pause(1500)
    t.equal(count(/stay as they were/g, since), 1, 'one line')
    t.equal(await serialOf(), before)
  }
  publish(own(next))
  await until(() => count(/"certificates, authorities and revocation lists were loaded again/g) === 3)
  t.equal(await serialOf(), next.x509.serialNumber)
})

t.test('loads clients that are written in place, or replaced by rename', async t => {
  const bob = await connect('bob')
  t.match(await bob.requestToken(), { status: 401 }, 'control')
  writeFileSync(at('clients.json'), clients('alice', 'bob'))
  await server.seen(/"clients were loaded again/)
  t.match(await bob.requestToken(), { status: 200 })
  const since = server.stderr().length
  writeFileSync(at('clients.new'), clients('alice'))
  renameSync(at('clients.new'), at('clients.json'))
  await server.seen(/"clients were loaded again/, since)
  t.match(await bob.requestToken(), { status: 401 })
})

t.test('tlsbound reload shows what was loaded, and fails for what was not', async t => {
  const done = await reload()
  t.match(done, { code: 0, stderr: '' })
  t.same(done.stdout.split('\n'), [
    'loaded: certificates, authorities and revocation lists',
    'loaded: clients',
    'loaded: webhooks',
    '',
  ])
  const before = readFileSync(at('clients.json'))
  writeFileSync(at('clients.json'), '[{')
  t.match(await reload(), {
    code: 1,
    stdout: /^loaded: cert.*\nnot loaded: clients: clients\.json, line 1.*\nloaded: webhooks\n$/,
  })
  t.match(await (await connect()).requestToken(), { status: 200 }, 'the former clients stay')
  writeFileSync(at('clients.json'), before)
  t.match(await reload(), { code: 0 }, 'control')
  t.match(await runTlsbound(['reload', 'x'], folder), { code: 2, stderr: /unexpected argument/ })
  const ask = (method: string, headers = {}) => fetch(`http://127.0.0.1:${opsPort}/admin/reload`, { method, headers })
  t.equal((await ask('POST')).status, 401, 'not without the ops token')
  const authorization = `Bearer ${readFileSync(at('data/ops-token'), 'utf8').trim()}`
  t.equal((await ask('GET', { authorization })).status, 405)
  const many = await Promise.all(Array.from({ length: 20 }, () => ask('POST', { authorization })))
  t.ok(
    many.every(({ status }) => status === 200),
    'many at once',
  )
  t.match(await (await connect()).requestToken(), { status: 200 })
})
